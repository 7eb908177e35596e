package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/roamgate/roamgate/realm"
	"github.com/roamgate/roamgate/realm/catalogue"
)

// catalogueAsk is what a catalogue is asked for.
type catalogueAsk struct {
	client, group string
	eap           []string
}

func (q *catalogueAsk) values() url.Values {
	v := url.Values{}
	for key, value := range map[string]string{"client": q.client, "group": q.group, "eap": strings.Join(q.eap, ",")} {
		if value != "" {
			v.Set(key, value)
		}
	}
	return v
}

func catalogueCommand() *cobra.Command {
	var at hubAddress
	var q catalogueAsk
	var path, format, to string
	c := &cobra.Command{
		Use:   "catalogue",
		Short: "Write what access points offer to devices (Passpoint)",
		Long: `Write the Passpoint catalogue of a visited network: the NAI realms, roaming
consortia, mobile networks and domain names that its access points may offer,
since the hub forwards requests for them. Groups, contracts, lists of realms and
the conditions of routes decide what a client may offer; what depends on the
single request counts as possible. Without --client and --group it is what any
client may offer.

The format hostapd is a part of its configuration, for one BSS. What ANQP cannot
say, as wildcards, is left out and named on standard error, or in the JSON.

The text is the same as long as the offer is, so two of them can be compared. A
file named by --to is replaced as a whole, and only where its text has changed.

With --config the files are taken as they are; without it the running hub is
asked.`,
		Example: "  roamgate catalogue --client airport-wifi --to /etc/hostapd/passpoint.conf\n  roamgate catalogue --group airports --format json --config roamgate.yaml",
		Args:    none,
		RunE: func(cmd *cobra.Command, _ []string) error {
			switch {
			case format != "hostapd" && format != "json":
				return misuse(cmd, "--format is %q: write hostapd or json", format)
			case q.client != "" && q.group != "":
				return misuse(cmd, "--client and --group: name one of them")
			}
			if _, err := q.methods(); err != nil {
				return misuse(cmd, "--eap: %v", err)
			}
			made, err := catalogued(cmd, &at, path, &q)
			if err != nil {
				return err
			}
			var text bytes.Buffer
			if format == "json" {
				err = indented(&text, made)
			} else if err = made.WriteHostapd(&text); err != nil {
				err = problem("%v", err)
			}
			if err != nil {
				return err
			}
			if format == "hostapd" {
				writeLeftOut(cmd.ErrOrStderr(), made)
			}
			if to == "" {
				_, err = cmd.OutOrStdout().Write(text.Bytes())
				return err
			}
			return writeChanged(cmd.OutOrStdout(), to, text.Bytes())
		},
	}
	f := c.Flags()
	f.StringVar(&q.client, "client", "", "what this `client` may offer")
	f.StringVar(&q.group, "group", "", "what any client of this `group` may offer")
	f.StringVar(&format, "format", "hostapd", "hostapd or json")
	f.StringVar(&to, "to", "", "write to this `file`")
	f.StringSliceVar(&q.eap, "eap", nil, "EAP `methods` of realms that are not those of mobile networks: "+strings.Join(catalogue.MethodNames(), ", ")+"; default tls,ttls")
	f.StringVarP(&path, "config", "c", "", "take this configuration `file` instead of the running hub")
	at.flag(c)
	return c
}

func catalogued(cmd *cobra.Command, at *hubAddress, path string, q *catalogueAsk) (*catalogue.Catalogue, error) {
	if path == "" {
		made := new(catalogue.Catalogue)
		return made, at.get(cmd.Context(), "/catalogue?"+q.values().Encode(), made)
	}
	l, ps := loadAll(path)
	if l == nil {
		return nil, refused(ps)
	}
	made, err := q.of(l.set)
	if err != nil {
		return nil, problem("%v", err)
	}
	return made, nil
}

// of makes the catalogue that was asked for.
func (q *catalogueAsk) of(set *realm.Set) (*catalogue.Catalogue, error) {
	methods, err := q.methods()
	if err != nil {
		return nil, err
	}
	var clients []*realm.Client
	for i := range set.Clients {
		c := &set.Clients[i]
		if (q.client == "" || c.Name == q.client) && (q.group == "" || c.Group != nil && c.Group.Name == q.group) {
			clients = append(clients, c)
		}
	}
	switch {
	case len(clients) > 0:
	case q.client != "":
		return nil, fmt.Errorf("there is no client %s", q.client)
	case q.group != "":
		return nil, fmt.Errorf("there is no client of a group %s", q.group)
	}
	return catalogue.Of(set, clients, methods), nil
}

func (q *catalogueAsk) methods() (methods []catalogue.Method, err error) {
	for _, name := range q.eap {
		m, ok := catalogue.MethodOf(name)
		switch {
		case !ok:
			return nil, fmt.Errorf("there is no method %q: %s", name, strings.Join(catalogue.MethodNames(), ", "))
		case !slices.Contains(methods, m):
			methods = append(methods, m)
		}
	}
	return methods, nil
}

func (s *server) catalogueJSON(w http.ResponseWriter, r *http.Request) {
	v := r.URL.Query()
	q := catalogueAsk{client: v.Get("client"), group: v.Get("group")}
	if eap := v.Get("eap"); eap != "" {
		q.eap = strings.Split(eap, ",")
	}
	snap := s.hub.Snapshot()
	made, err := q.of(snap.Set)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	made.Generation = snap.Generation
	writeJSON(w, made)
}

func writeLeftOut(w io.Writer, c *catalogue.Catalogue) {
	for _, l := range c.LeftOut {
		fmt.Fprintf(w, "left out: %s: %s (%s)\n", l.Route, l.Why, l.At)
	}
}

// writeChanged writes a file as a whole where its text has changed, and says
// which.
func writeChanged(out io.Writer, name string, text []byte) error {
	was, err := os.ReadFile(name)
	word := "written"
	switch {
	case errors.Is(err, fs.ErrNotExist):
		err = os.WriteFile(name, text, 0o644)
	case err != nil:
	case bytes.Equal(was, text):
		word = "unchanged"
	default:
		err = replaceFile(name, text)
	}
	if err != nil {
		return problem("writing %s: %s", name, reason(err))
	}
	_, err = fmt.Fprintf(out, "%s: %s\n", name, word)
	return err
}
