package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"runtime"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/roamgate/roamgate/cmd/roamgen/node"
	"github.com/roamgate/roamgate/cmd/roamgen/play"
)

// demoFlags is the command line of `roamgen demo`.
type demoFlags struct {
	roamgate string
	duration time.Duration
	devices  uint64
	rate     float64
	failover bool
	exit     bool
	dir      string
}

func newDemoCommand() *cobra.Command {
	var f demoFlags
	c := &cobra.Command{
		Use:   "demo",
		Short: "Starts roamgate between networks played here and shows traffic",
		Long: `Starts roamgate between networks played here and shows traffic.

Visited networks, homes and their devices are played in this process on free
loopback ports; roamgate runs as a child process with a configuration in a new
directory. RADIUS is spoken by airport-wifi, cellular-x and hotel-wifi, and by
three home servers, two of them in one pool; Diameter by an MME and a gateway
of mobile-y and by the NAS of stadium, and by an HSS and a home AAA server.
What hotel-wifi asks goes to the AAA server as Diameter, what stadium asks to
the home servers as RADIUS. The summary must add up, or the exit code is 1.
Then everything stays up until interrupted.`,
		Example: `  roamgen demo --roamgate bin/roamgate
  roamgen demo --roamgate bin/roamgate --duration 3s --exit
  roamgen demo --roamgate bin/roamgate --failover`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error { return f.run(c.Context(), c.OutOrStdout()) },
	}
	l := c.Flags()
	l.StringVar(&f.roamgate, "roamgate", "bin/roamgate", "the hub's program")
	l.DurationVar(&f.duration, "duration", 8*time.Second, "how long devices begin")
	l.Uint64Var(&f.devices, "devices", 4000, "devices of each visited network")
	l.Float64Var(&f.rate, "rate", 400, "devices that begin each second in each visited network")
	l.BoolVar(&f.failover, "failover", false, "silence one home server of the pool after a third of the time")
	l.BoolVar(&f.exit, "exit", false, "end after the summary")
	l.StringVar(&f.dir, "dir", "", "directory for the hub's files, kept at the end; a temporary one if empty")
	return c
}

// demo is everything that runs.
type demo struct {
	flags demoFlags
	out   io.Writer
	dir   string
	nets  []*play.NAS
	homes []*play.Home
	cells []*node.Node // networks that speak Diameter
	cores []*node.Node // homes that do
	files play.HubFiles
	hub   *hubProcess
	begun time.Time

	diameter netip.AddrPort // of the hub
}

func (f *demoFlags) run(ctx context.Context, out io.Writer) (err error) {
	// The hub is told to end when the thread that started it ends, so that a
	// killed demo leaves nothing behind: that must be the main thread.
	runtime.LockOSThread()
	return (&demo{flags: *f, out: out, dir: f.dir}).run(ctx)
}

func (d *demo) run(ctx context.Context) (err error) {
	if d.dir == "" {
		if d.dir, err = os.MkdirTemp("", "roamgate-demo-"); err != nil {
			return fmt.Errorf("making the hub's directory: %w", err)
		}
		defer os.RemoveAll(d.dir)
	}
	defer func() { err = errors.Join(err, d.stop()) }()
	if err := d.start(ctx); err != nil {
		return err
	}
	if err := d.traffic(ctx); err != nil {
		return err
	}
	ok, err := d.summary(ctx)
	switch {
	case err != nil:
		return err
	case !ok:
		return errDoesNotAddUp
	case d.flags.exit:
		return nil
	}
	return d.leaveRunning(ctx)
}

// start plays the networks and starts the hub between them.
func (d *demo) start(ctx context.Context) error {
	if err := d.playHomes(); err != nil {
		return err
	}
	if err := d.playCores(ctx); err != nil {
		return err
	}
	if err := d.playVisited(); err != nil {
		return err
	}
	config, err := d.writeFiles()
	if err != nil {
		return err
	}
	fmt.Fprintf(d.out, "starting %s with %s\n", d.flags.roamgate, config)
	if d.hub, err = startHub(ctx, d.flags.roamgate, config, d.files.Admin); err != nil {
		return err
	}
	return d.playCells(ctx)
}

// stop ends what start began: who asks, the hub, who answers.
func (d *demo) stop() error {
	var err error
	for _, n := range d.cells {
		err = errors.Join(err, n.Close())
	}
	if d.hub != nil {
		err = errors.Join(err, d.hub.stop())
	}
	for _, n := range d.cores {
		err = errors.Join(err, n.Close())
	}
	for _, h := range d.homes {
		err = errors.Join(err, h.Close())
	}
	return err
}

// traffic lets the devices come and shows what happens until the last
// session is over.
func (d *demo) traffic(ctx context.Context) error {
	d.begun = time.Now()
	if d.flags.failover {
		silence := time.AfterFunc(d.flags.duration/3, func() {
			s := d.homes[0].Script()
			s.Silent = true
			d.homes[0].SetScript(s)
		})
		defer silence.Stop()
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer context.AfterFunc(d.hub.context(), func() { cancel(context.Cause(d.hub.context())) })()
	var wait sync.WaitGroup
	errs := make([]error, len(d.nets)+len(d.cells))
	for i, n := range d.nets {
		wait.Go(func() { errs[i] = n.Run(ctx) })
	}
	for i, n := range d.cells {
		wait.Go(func() { errs[len(d.nets)+i] = n.Play(ctx, d.work(&cells[i])) })
	}
	over := make(chan struct{})
	go func() {
		wait.Wait()
		close(over)
	}()
	d.show(ctx, over)
	wait.Wait()
	return errors.Join(errs...)
}

// leaveRunning says where everything is and waits for the interrupt.
func (d *demo) leaveRunning(ctx context.Context) error {
	f := &d.files
	fmt.Fprintf(d.out, `
The hub runs on. Interrupt to stop it.
  RADIUS          authentication %s   accounting %s   secret %s
  Diameter        %s   identity of a guest %s
  metrics         http://%s/metrics   status http://%s/status
  routing files   %s  (edit them: taken over within %s)
  log             %s

Try:
`, f.Auth, f.Acct, guestSecret, d.diameter, guestIdentity, f.Admin, f.Admin, d.dir+"/realms", hubPoll, d.hub.log.Name())
	for _, line := range d.tries() {
		fmt.Fprintf(d.out, "  %s\n", line)
	}
	select {
	case <-ctx.Done():
		return nil
	case <-d.hub.context().Done():
		return context.Cause(d.hub.context())
	}
}

// tries are commands that the hub answers.
func (d *demo) tries() []string {
	f, program := &d.files, d.flags.roamgate
	ask := fmt.Sprintf("%s send diameter --to %s --identity %s", program, d.diameter, guestIdentity)
	return []string{
		fmt.Sprintf("echo 'User-Name=you@%s,User-Password=%s,Message-Authenticator=0x00' | radclient -x %s auth %s", realmAlpha, demoPassword, f.Auth, guestSecret),
		fmt.Sprintf("echo 'User-Name=you@nowhere.example,User-Password=x,Message-Authenticator=0x00' | radclient -x %s auth %s", f.Auth, guestSecret),
		fmt.Sprintf("%s --command ULR --imsi 001010000000001 --destination-realm %s", ask, realmMobile),
		fmt.Sprintf("%s --command AAR --user you@%s User-Password=%s", ask, realmStaff, demoPassword),
		fmt.Sprintf("%s status peers --admin %s", program, f.Admin),
		fmt.Sprintf("%s status --admin %s", program, f.Admin),
	}
}
