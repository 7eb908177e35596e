package main

import (
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"github.com/roamgate/roamgate/aaa/client"
	"github.com/roamgate/roamgate/aaa/device"
	"github.com/roamgate/roamgate/aaa/home"
	"github.com/roamgate/roamgate/aaa/listen"
	"github.com/roamgate/roamgate/realm"
	"github.com/roamgate/roamgate/realm/file"
	"github.com/roamgate/roamgate/realm/history"
)

func checkCommand() *cobra.Command {
	var path, format string
	c := &cobra.Command{
		Use:   "check [FILE]",
		Short: "Say everything that is wrong with the configuration",
		Long: `Read the main configuration and every file it names, say all mistakes at once
as file:line:column, and change nothing. Exit code 0: serve would take it, and
nothing is printed but warnings.`,
		Example: "  roamgate check --config roamgate.yaml\n  roamgate check --format json\n  roamgate check --format github",
		Args:    atMost("FILE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 1 {
				path = args[0]
			}
			_, ps := loadAll(path)
			if err := writeProblems(cmd.OutOrStdout(), format, ps); err != nil {
				return err
			}
			if n := ps.Count(file.Error); n > 0 {
				return problem("%s found: serve would not start", count(n, "error"))
			}
			return nil
		},
	}
	configFlag(c, &path)
	c.Flags().StringVar(&format, "format", "text", "text, json, github or sarif")
	return c
}

func count(n int, what string) string {
	if n != 1 {
		what += "s"
	}
	return fmt.Sprintf("%d %s", n, what)
}

// loaded is what the files say.
type loaded struct {
	conf   *config
	set    *realm.Set
	begin  *history.Beginning // where the routes are not the files as they are
	policy *device.File       // nil where the policy is in Redis or there is none
}

// loadAll reads what serve reads, and goes on after mistakes so that all of
// them are named. loaded is nil when any is an error.
func loadAll(path string) (*loaded, file.Problems) {
	return loadWith(path, func(c *config) (*realm.Set, file.Problems) {
		return file.Load(c.path(c.Routing.Directory), os.LookupEnv)
	})
}

// loadWith is loadAll with routes from somewhere.
func loadWith(path string, routes func(*config) (*realm.Set, file.Problems)) (*loaded, file.Problems) {
	conf, ps := loadConfig(path)
	if conf == nil {
		return nil, ps
	}
	l := &loaded{conf: conf}
	set, more := routes(conf)
	ps = append(ps, more...)
	if set != nil {
		l.set = set
		ps = append(ps, compiles(set)...)
		if !ps.Failed() {
			ps = append(ps, conf.unheard(set)...)
			ps = append(ps, conf.inside(set)...)
			ps = append(ps, conf.unspoken(set)...)
		}
	}
	if conf.Policy.File != "" {
		l.policy, more = device.LoadFile(conf.path(conf.Policy.File))
		ps = append(ps, more...)
	}
	ps = append(ps, conf.checkFiles()...)
	if ps.Failed() {
		return nil, ps
	}
	return l, ps
}

// refused is the error of a command that needs files without mistakes.
func refused(ps file.Problems) error {
	return problem("%s in the configuration\n%v", count(ps.Count(file.Error), "error"), ps)
}

// compiles finds what only the running hub would refuse.
func compiles(set *realm.Set) (ps file.Problems) {
	if _, err := client.New(set.Clients); err != nil {
		ps = append(ps, file.Problem{Severity: file.Error, Text: err.Error()})
	}
	if _, err := home.NewRegistry(0).Compile(set); err != nil {
		ps = append(ps, file.Problem{Severity: file.Error, Text: err.Error()})
	}
	return ps
}

// unheard finds clients that nothing listens for, and doors that nobody may
// come by.
func (c *config) unheard(set *realm.Set) (ps file.Problems) {
	open, come := map[realm.Transport]bool{}, map[realm.Transport]bool{}
	for _, a := range c.listens() {
		open[a.Transport] = open[a.Transport] || a.Service != listen.DynAuth
	}
	for i := range set.Clients {
		client := &set.Clients[i]
		if by := client.Transport; by != realm.Diameter && !come[by] && !open[by] {
			key := map[realm.Transport]string{realm.UDP: "auth", realm.TCP: "tcp", realm.TLS: "radsec", realm.DTLS: "dtls"}[by]
			ps = append(ps, file.Problem{Pos: client.Pos, Severity: file.Warning, Text: fmt.Sprintf("client %q comes by %s, and nothing listens for it", client.Name, by),
				Hint: "add listen." + key + " to the main file"})
		}
		come[client.Transport] = true
	}
	for _, a := range c.listens() {
		if a.Transport != realm.UDP && !come[a.Transport] {
			come[a.Transport] = true
			ps = append(ps, file.Problem{Pos: c.doc.Pos("listen." + doorOf(a)), Severity: file.Warning, Text: fmt.Sprintf("no client comes by %s: nobody may connect", a.Transport),
				Hint: "add one with transport: " + a.Transport.String()})
		}
	}
	return ps
}

// inside finds peers that count on CoA inside connections where the hub carries
// none.
func (c *config) inside(set *realm.Set) (ps file.Problems) {
	if c.DynAuth.Connections {
		return nil
	}
	warn := func(pos realm.Pos, text, name string) {
		ps = append(ps, file.Problem{Pos: pos, Severity: file.Warning, Text: fmt.Sprintf(text, name),
			Hint: "add dynauth: {connections: true} to the main file"})
	}
	for i := range set.Clients {
		if client := &set.Clients[i]; client.ReverseCoA && client.Transport != realm.Diameter {
			warn(client.Pos, "client %q is to get CoA by its connection, and the hub carries none there", client.Name)
		}
	}
	for i := range set.Homes {
		if h := &set.Homes[i]; h.ReverseCoA {
			warn(h.Pos, "home %q is to send CoA by a connection, and the hub carries none there", h.Name)
		}
	}
	return ps
}

func filePos(path string) realm.Pos { return realm.Pos{File: path} }

// writers print problems, by the word of --format.
var writers = map[string]func(io.Writer, file.Problems) error{
	"text": writeText, "json": writeLines, "github": writeGitHub, "sarif": writeSARIF,
}

func writeProblems(w io.Writer, format string, ps file.Problems) error {
	write := writers[format]
	if write == nil {
		return fmt.Errorf("--format %q is not known: text, json, github or sarif", format)
	}
	return write(w, ps)
}
