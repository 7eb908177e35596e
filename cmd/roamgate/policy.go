package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/roamgate/roamgate/aaa/device"
)

func policyCommand() *cobra.Command {
	var path string
	c := &cobra.Command{
		Use:   "policy",
		Short: "Read and change the device policy in Redis",
		Long: `Read and change the profiles and devices in the Redis that the configuration
names. Every hub that shares it follows a change in less than a second.

A device is written imsi:DIGITS, mac:AA-BB-CC-DD-EE-FF, nai:user@realm or
cui:LENGTH:REALM:VALUE.`,
	}
	c.PersistentFlags().StringVarP(&path, "config", "c", "roamgate.yaml", "main configuration `file`")
	return group(c, policyImport(&path), policyGet(&path), policySet(&path), policyWatch(&path))
}

// openStore opens the policy store of the configuration.
func openStore(path string) (*device.Store, error) {
	conf, ps := loadConfig(path)
	if ps.Failed() {
		return nil, refused(ps)
	}
	r, err := conf.policyStore()
	if err != nil {
		return nil, problem("%v", err)
	}
	if r == nil {
		return nil, problem("%s names no Redis: its policy is the file of policy.file", path)
	}
	s, err := device.OpenStore(r)
	if err != nil {
		return nil, problem("%v", err)
	}
	return s, nil
}

// withStore runs f with the store open, until interrupted.
func withStore(cmd *cobra.Command, path string, f func(context.Context, *device.Store) error) error {
	s, err := openStore(path)
	if err != nil {
		return err
	}
	defer func() { _ = s.Close() }()
	ctx, stop := signal.NotifyContext(cmd.Context(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	err = f(ctx, s)
	var away *net.OpError
	if errors.As(err, &away) {
		return &exitError{exitUnreachable, fmt.Sprintf("the policy store does not answer: %v", err)}
	}
	if err != nil {
		return problem("%v", err)
	}
	return nil
}

func policyImport(path *string) *cobra.Command {
	var name string
	c := &cobra.Command{
		Use:   "import FILE",
		Short: "Write the profiles and devices of a policy file",
		Long: `Write the profiles and devices of a policy file. With --resume NAME an import
that was interrupted goes on where it stopped when it is run again with the
same file.`,
		Example: "  roamgate policy import devices.yaml --config roamgate.yaml",
		Args:    exactly("FILE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			f, ps := device.LoadFile(args[0])
			if ps.Failed() {
				return refused(ps)
			}
			return withStore(cmd, *path, func(ctx context.Context, s *device.Store) error {
				bar := newProgress(cmd.ErrOrStderr(), f.Len())
				done, err := s.Import(ctx, device.ImportOptions{Name: name}, f.Profiles, f.All(),
					func(p device.ImportProgress) { bar.at(int(p.Devices + p.Skipped)) })
				bar.end()
				text := fmt.Sprintf("%s and %s written", count(done.Profiles, "profile"), count(int(done.Devices), "device"))
				if done.Skipped > 0 {
					text += fmt.Sprintf(", %d before this run", done.Skipped)
				}
				fmt.Fprintln(cmd.OutOrStdout(), text)
				return err
			})
		},
	}
	c.Flags().StringVar(&name, "resume", "", "`name` of the import, to go on after an interruption")
	return c
}

// progress shows a share and the time left on a terminal, nothing elsewhere.
type progress struct {
	w     io.Writer
	total int
	began time.Time
	shown time.Time
}

func newProgress(w io.Writer, total int) *progress {
	f, ok := w.(*os.File)
	if !ok {
		return &progress{}
	}
	if st, err := f.Stat(); err != nil || st.Mode()&os.ModeCharDevice == 0 {
		return &progress{}
	}
	return &progress{w: w, total: total, began: time.Now()}
}

func (p *progress) at(n int) {
	now := time.Now()
	if p.w == nil || n == 0 || now.Sub(p.shown) < 200*time.Millisecond {
		return
	}
	p.shown = now
	left := time.Duration(float64(now.Sub(p.began)) / float64(n) * float64(p.total-n))
	fmt.Fprintf(p.w, "\r%d of %d, %s left \x1b[K", n, p.total, left.Round(time.Second))
}

func (p *progress) end() {
	if p.w != nil {
		fmt.Fprint(p.w, "\r\x1b[K")
	}
}

func policyGet(path *string) *cobra.Command {
	c := &cobra.Command{Use: "get", Short: "Print a profile or what a device refers to"}
	print := func(cmd *cobra.Command, v any) error {
		return indented(cmd.OutOrStdout(), v)
	}
	return group(c, &cobra.Command{
		Use: "profile [NAME]", Short: "Print a profile, or the names of all", Args: atMost("NAME"),
		Example: "  roamgate policy get profile meter",
		RunE: func(cmd *cobra.Command, args []string) error {
			return withStore(cmd, *path, func(ctx context.Context, s *device.Store) error {
				if len(args) == 0 {
					names, err := s.Names(ctx)
					if err != nil {
						return err
					}
					return print(cmd, names)
				}
				spec, err := s.Get(ctx, args[0])
				if err != nil {
					return err
				}
				if spec == nil {
					return fmt.Errorf("there is no profile %q", args[0])
				}
				return print(cmd, spec)
			})
		},
	}, &cobra.Command{
		Use: "device IDENTITY", Short: "Print what a device refers to", Args: exactly("IDENTITY"),
		Example: "  roamgate policy get device imsi:262011234567890",
		RunE: func(cmd *cobra.Command, args []string) error {
			d, err := device.ParseDevice(args[0])
			if err != nil {
				return misuse(cmd, "%v", err)
			}
			return withStore(cmd, *path, func(ctx context.Context, s *device.Store) error {
				got, version, found, err := s.Device(ctx, d)
				if err != nil {
					return err
				}
				if !found {
					return fmt.Errorf("the device is not known")
				}
				return print(cmd, struct {
					device.DeviceSpec
					Version uint32 `json:"version"`
				}{got, version})
			})
		},
	})
}

func policySet(path *string) *cobra.Command {
	c := &cobra.Command{Use: "set", Short: "Write or remove a profile or a device"}
	return group(c, setProfiles(path), setDevice(path))
}

func setProfiles(path *string) *cobra.Command {
	var remove string
	c := &cobra.Command{
		Use: "profile FILE", Short: "Write the profiles of a policy file, or remove one", Args: atMost("FILE"),
		Example: "  roamgate policy set profile meter.yaml\n  roamgate policy set profile --delete meter",
		RunE: func(cmd *cobra.Command, args []string) error {
			if (len(args) == 1) == (remove != "") {
				return misuse(cmd, "a FILE or --delete NAME is needed")
			}
			if remove != "" {
				return withStore(cmd, *path, func(ctx context.Context, s *device.Store) error { return s.Delete(ctx, remove) })
			}
			f, ps := device.LoadFile(args[0])
			if ps.Failed() {
				return refused(ps)
			}
			return withStore(cmd, *path, func(ctx context.Context, s *device.Store) error {
				for i := range f.Profiles {
					if err := s.Set(ctx, &f.Profiles[i]); err != nil {
						return err
					}
				}
				return nil
			})
		},
	}
	c.Flags().StringVar(&remove, "delete", "", "remove this `profile`")
	return c
}

func setDevice(path *string) *cobra.Command {
	var remove, blocked bool
	var profile string
	c := &cobra.Command{
		Use: "device IDENTITY", Short: "Give a device a profile, block it, or remove it", Args: exactly("IDENTITY"),
		Example: "  roamgate policy set device imsi:262011234567890 --profile meter",
		RunE: func(cmd *cobra.Command, args []string) error {
			d, err := device.ParseDevice(args[0])
			if err != nil {
				return misuse(cmd, "%v", err)
			}
			d.Profile, d.Blocked = profile, blocked
			if remove == (profile != "") {
				return misuse(cmd, "--profile NAME or --delete is needed")
			}
			return withStore(cmd, *path, func(ctx context.Context, s *device.Store) error {
				if remove {
					return s.DeleteDevice(ctx, d)
				}
				return s.SetDevice(ctx, &d)
			})
		},
	}
	c.Flags().StringVar(&profile, "profile", "", "`name` of its profile")
	c.Flags().BoolVar(&blocked, "block", false, "refuse this device, whatever its profile says")
	c.Flags().BoolVar(&remove, "delete", false, "remove the device")
	return c
}

func policyWatch(path *string) *cobra.Command {
	return &cobra.Command{
		Use: "watch", Short: "Print changes as they happen, a line each", Args: none,
		Long: `Print each change of a profile or a device as it happens, until interrupted: its
place in the change stream, what was done, and the name of the profile or the
identity of the device as the store has it.`,
		Example: "  roamgate policy watch",
		RunE: func(cmd *cobra.Command, _ []string) error {
			return withStore(cmd, *path, func(ctx context.Context, s *device.Store) error {
				err := s.Watch(ctx, func(c device.Change) error {
					_, err := fmt.Fprintf(cmd.OutOrStdout(), "%s %s %s\n", c.ID, c.Op, c.Name)
					return err
				})
				if ctx.Err() != nil {
					return nil
				}
				return err
			})
		},
	}
}
