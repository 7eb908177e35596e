package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"time"
)

func main() {
	var o options
	flag.IntVar(&o.sessions, "sessions", 100_000, "sessions to play, at least")
	flag.IntVar(&o.days, "days", 30, "days before the end of the month that the first session begins")
	flag.Uint64Var(&o.seed, "seed", 1, "of everything random")
	flag.StringVar(&o.store, "store", "embedded", "where records are made: embedded or memory")
	flag.StringVar(&o.dir, "dir", "", "directory of the embedded store (default: a temporary one)")
	flag.Parse()
	o.progress = os.Stderr
	if err := play(&o, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "month:", err)
		os.Exit(1)
	}
}

type options struct {
	sessions int
	days     int
	seed     uint64
	store    string
	dir      string
	progress io.Writer
}

var errDiffers = errors.New("what came out is not the truth")

// play runs a month and writes the table of faults to out.
func play(o *options, out io.Writer) (err error) {
	g := newGenerator(o)
	began := time.Now()
	r := &run{g: g, hubs: [2]*hub{newHub("hub-a"), newHub("hub-b")}, got: newAccount(), progress: o.progress, began: began, now: g.from}
	if r.st, err = openStore(o, r); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.st.close()) }()
	if err := r.all(o.sessions); err != nil {
		return err
	}
	took := time.Since(began)
	if _, err := fmt.Fprintf(out, "%d sessions, %d packets in %.1f s: %.0f sessions/s, %.1f µs a packet (store: %s)\n",
		g.sessions, r.packets, took.Seconds(), float64(g.sessions)/took.Seconds(), float64(took.Microseconds())/float64(r.packets), o.store); err != nil {
		return err
	}
	wrong, err := compare(out, g.want, r.got)
	if err == nil && wrong > 0 {
		err = fmt.Errorf("%w in %d figures", errDiffers, wrong)
	}
	return err
}
