package main

import (
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"

	"github.com/spf13/cobra"

	"github.com/roamgate/roamgate/realm"
	"github.com/roamgate/roamgate/realm/file"
	"github.com/roamgate/roamgate/realm/history"
)

// theFiles names the routing files as they are, among versions.
const theFiles = "files"

// differences is what GET /diff says.
type differences struct {
	comparison
	Text string `json:"text,omitempty"` // where it was asked for
}

// version is one side of a diff.
type versionOf struct {
	files file.Texts
	hash  history.Hash
}

// side finds what a name stands for.
func (c *config) side(l *history.Log, name string) (v versionOf, err error) {
	if name == theFiles {
		files, ps := file.ReadTexts(c.path(c.Routing.Directory))
		if ps.Failed() {
			return v, problem("%v", ps)
		}
		return versionOf{files, files.Hash()}, nil
	}
	if v.hash, err = l.Find(name); err != nil {
		return v, problem("%v", err)
	}
	if v.files, err = history.Version(c.path(c.Routing.History), v.hash); err != nil {
		return v, problem("%v", err)
	}
	return v, nil
}

func (c *config) load(v versionOf) (*realm.Set, error) {
	set, ps := v.files.Load(c.path(c.Routing.Directory), os.LookupEnv)
	if set == nil {
		return nil, problem("version %s has mistakes, --text shows it all the same:\n%v", v.hash, ps)
	}
	return set, nil
}

// differ compares two versions, as text or object by object.
func (c *config) differ(l *history.Log, from, to string, text bool) (*differences, error) {
	a, err := c.side(l, from)
	if err != nil {
		return nil, err
	}
	b, err := c.side(l, to)
	if err != nil {
		return nil, err
	}
	if text {
		d := &differences{Text: unifiedTexts(a, b)}
		d.From, d.To, d.Kinds, d.Details = a.hash, b.hash, []kindChange{}, []detailRow{}
		return d, nil
	}
	old, err := c.load(a)
	if err != nil {
		return nil, err
	}
	set, err := c.load(b)
	if err != nil {
		return nil, err
	}
	return &differences{comparison: compare(old, set)}, nil
}

func (s *server) diffJSON(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	l := s.control.Log()
	d, err := s.conf.differ(&l, q.Get("from"), q.Get("to"), q.Has("text"))
	if err != nil {
		http.Error(w, err.Error(), http.StatusConflict)
		return
	}
	writeJSON(w, d)
}

func diffCommand() *cobra.Command {
	var at hubAddress
	var path string
	var asJSON, text bool
	c := &cobra.Command{
		Use:   "diff [FROM [TO]]",
		Short: "Say how two versions of the routing files differ",
		Long: `Say how two versions of the routing files differ, object by object, or with
--text line by line. A version is a number of steps back as "roamgate history"
counts them, 0 for what is in use, or the beginning of a hash, or "files" for
the files as they are. Without any, what is in use is held against the files;
FROM alone is held against what is in use.`,
		Example: "  roamgate diff\n  roamgate diff 1 0 --text\n  roamgate diff 3f2a9c1d22aa files --config roamgate.yaml",
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) > 2 {
				return misuse(cmd, "two versions are wanted, not %d", len(args))
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			from, to := "0", theFiles
			if len(args) > 0 {
				from, to = args[0], "0"
			}
			if len(args) > 1 {
				to = args[1]
			}
			d, err := fetchDiff(cmd, &at, path, from, to, text)
			switch {
			case err != nil:
				return err
			case asJSON:
				return indented(cmd.OutOrStdout(), d)
			case text:
				_, err = io.WriteString(cmd.OutOrStdout(), d.Text)
				return err
			case d.From == d.To && len(d.Kinds) == 0:
				fmt.Fprintf(cmd.OutOrStdout(), "nothing differs: both are %s\n", d.To)
				return nil
			}
			d.comparison.write(cmd.OutOrStdout())
			return nil
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	c.Flags().BoolVar(&text, "text", false, "compare the lines of the files")
	c.Flags().StringVarP(&path, "config", "c", "", "read the history of this configuration `file` instead of asking the hub")
	at.flag(c)
	return c
}

func fetchDiff(cmd *cobra.Command, at *hubAddress, path, from, to string, text bool) (*differences, error) {
	if path != "" {
		l, conf, err := historyAt(path)
		if err != nil {
			return nil, err
		}
		return conf.differ(&l, from, to, text)
	}
	at.patience = changeTime
	q := url.Values{"from": {from}, "to": {to}}
	if text {
		q.Set("text", "")
	}
	d := &differences{}
	return d, at.get(cmd.Context(), "/diff?"+q.Encode(), d)
}
