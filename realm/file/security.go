package file

import (
	"crypto/tls"
	"crypto/x509"
	"net/netip"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/roamgate/roamgate/pkg/pki"
	"github.com/roamgate/roamgate/realm"
)

// tlsEntry is what is shown to peers over TLS and DTLS, and whose word is taken.
type tlsEntry struct {
	Pos         realm.Pos          `yaml:",pos"`
	Name        at[string]         `yaml:"name,required"`
	Certificate at[string]         `yaml:"certificate"`
	Key         at[string]         `yaml:"key"`
	KeyEnv      at[string]         `yaml:"key_env"`
	Staple      at[string]         `yaml:"staple"`
	Authorities []at[string]       `yaml:"authorities,required"`
	Policies    []at[string]       `yaml:"policies"`
	Revocation  at[string]         `yaml:"revocation" words:"off|check|require"`
	CRLs        []at[string]       `yaml:"crls"`
	FetchCRLs   at[bool]           `yaml:"fetch_crls"`
	CRLHosts    []at[netip.Prefix] `yaml:"crl_hosts"`
	Versions    []at[string]       `yaml:"versions" words:"radius/1.1|radius/1.0"`
	MinVersion  at[string]         `yaml:"min_version" words:"1.2|1.3"`
}

func (tlsEntry) KeyHint(key string) (text, hint string) {
	switch key {
	case "certificate_file", "cert", "cert_file":
		return "unknown key " + quote(key), "did you mean certificate?"
	case "key_file", "private_key", "private_key_file":
		return "unknown key " + quote(key), "did you mean key?"
	case "ca", "ca_file", "cacertificatefile", "trust":
		return "unknown key " + quote(key), "did you mean authorities?"
	case "key_password", "certificate_key_password", "private_key_password":
		return "keys with a password are not read", "openssl pkey -in KEY -out KEY.plain, readable for the hub's user only"
	}
	return "", ""
}

// security is a trust base with what was said of it.
type security struct {
	*realm.Security
	entry *tlsEntry
	used  bool
	// own is set when we have a certificate to show, policies when chains must
	// hold one.
	own, policies bool
}

// The versions of RADIUS by their names in ALPN (RFC 9765 section 3.1).
const (
	radius11 = "radius/1.1"
	radius10 = "radius/1.0"
)

func (l *loader) security(e *tlsEntry) {
	if e.Pos.Line == 0 || !l.name(e.Pos, e.Name) {
		return
	}
	s := &security{Security: &realm.Security{Name: strings.Clone(e.Name.v), Pos: e.Pos}, entry: e, policies: len(e.Policies) > 0}
	if first, twice := l.securities[s.Name]; twice {
		l.twice(e.Name.pos(e.Pos.File), first.Pos, "tls", s.Name)
		return
	}
	s.own = e.Certificate.set()
	s.Credential = l.credential(e)
	s.Trust = l.trust(e)
	s.MinVersion = choose(l, e.Pos, "min_version", e.MinVersion, tls.VersionTLS12, []string{"1.2", "1.3"}, uint16(tls.VersionTLS12), tls.VersionTLS13)
	s.Versions = l.versions(e)
	l.securities[s.Name] = s
	l.set.Securities = append(l.set.Securities, s.Security)
}

func (l *loader) versions(e *tlsEntry) (list []string) {
	if len(e.Versions) == 0 {
		return []string{radius11, radius10}
	}
	for _, word := range e.Versions {
		v := choose(l, e.Pos, "versions", word, "", []string{radius11, radius10}, radius11, radius10)
		switch {
		case v == "":
		case slices.Contains(list, v):
			l.warn(word.pos(e.Pos.File), "remove it", "%s stands twice", v)
		default:
			list = append(list, v)
		}
	}
	return list
}

// credential reads our certificate chain and its key.
func (l *loader) credential(e *tlsEntry) *pki.Credential {
	file := e.Pos.File
	switch {
	case !e.Certificate.set() && (e.Key.set() || e.KeyEnv.set() || e.Staple.set()):
		l.fail(e.Pos, "name the chain with certificate:", "tls %s has no certificate", quote(e.Name.v))
		return nil
	case !e.Certificate.set():
		return nil
	case e.Key.set() && e.KeyEnv.set():
		l.fail(e.KeyEnv.pos(file), "keep one", "tls %s has both key and key_env", quote(e.Name.v))
		return nil
	case !e.Key.set() && !e.KeyEnv.set():
		l.fail(e.Certificate.pos(file), "name its file with key:, or a variable with key_env:", "tls %s has no key", quote(e.Name.v))
		return nil
	}
	said := make(places)
	chain := l.material(said, e.Certificate.pos(file), "certificate", e.Certificate.v)
	key := l.keyOf(said, e)
	var staple pki.File
	if e.Staple.set() {
		staple = l.material(said, e.Staple.pos(file), "staple", e.Staple.v)
	}
	if chain.Data == nil || key.Data == nil {
		return nil
	}
	c, wrong := pki.NewCredential(chain, key, staple, l.now())
	l.mistakes(said, e.Certificate.pos(file), wrong)
	return c
}

// keyName stands for the file of a key in messages, which never show that.
const keyName = "KEY"

func (l *loader) keyOf(said places, e *tlsEntry) (f pki.File) {
	if e.KeyEnv.set() {
		pos := e.KeyEnv.pos(e.Pos.File)
		said[keyName] = pos
		v, ok := l.secrets.env(e.KeyEnv.v)
		if !ok || v == "" {
			l.fail(pos, "key_env wants the name of a variable that has the key in PEM text", "the variable of the key is not set")
			return f
		}
		return pki.File{Name: keyName, Data: []byte(v)}
	}
	pos := e.Key.pos(e.Pos.File)
	if f = l.material(said, pos, "key", e.Key.v); f.Data != nil && l.secrets.files[resolve(pos, e.Key.v)].open {
		l.warn(pos, "chmod o-rwx", "everybody on this machine may read the file of the key")
	}
	f.Name, said[keyName] = keyName, pos
	return f
}

// trust reads whose word is taken for who a peer is.
func (l *loader) trust(e *tlsEntry) *pki.Trust {
	file := e.Pos.File
	said := make(places)
	b := pki.Base{Follow: e.FetchCRLs.v}
	b.Revocation = choose(l, e.Pos, "revocation", e.Revocation, pki.RevocationCheck, []string{"off", "check", "require"},
		pki.RevocationOff, pki.RevocationCheck, pki.RevocationRequire)
	whole := true
	for _, a := range e.Authorities {
		f := l.material(said, a.pos(file), "authorities", a.v)
		if whole = whole && f.Data != nil; f.Data != nil {
			b.Authorities = append(b.Authorities, f)
		}
	}
	for _, p := range e.Policies {
		if _, err := x509.ParseOID(p.v); err != nil {
			l.fail(p.pos(file), "such as 1.3.6.1.4.1.32473.1.1", "policies: %s is no object identifier", quote(p.v))
			whole = false
			continue
		}
		b.Policies = append(b.Policies, strings.Clone(p.v))
	}
	for _, c := range e.CRLs {
		if strings.Contains(c.v, "://") {
			said[c.v] = c.pos(file)
			b.Points = append(b.Points, strings.Clone(c.v))
			continue
		}
		f := l.material(said, c.pos(file), "crls", c.v)
		if whole = whole && f.Data != nil; f.Data != nil {
			b.CRLs = append(b.CRLs, f)
		}
	}
	for _, p := range e.CRLHosts {
		if p.v.IsValid() {
			b.Private = append(b.Private, p.v.Masked())
		}
	}
	l.judgeRevocation(e, b)
	if len(b.Authorities) == 0 {
		if e.Authorities != nil && len(e.Authorities) == 0 {
			l.fail(e.Pos, "name the file of your federation's root, or of your own authority", "tls %s trusts nobody", quote(e.Name.v))
		}
		return nil
	}
	t, wrong := pki.NewTrust(b, l.now())
	l.mistakes(said, e.Pos, wrong)
	if !whole {
		return nil
	}
	return t
}

// judgeRevocation looks at keys about revocation that do not go together.
func (l *loader) judgeRevocation(e *tlsEntry, b pki.Base) {
	file := e.Pos.File
	none := len(e.CRLs) == 0 && !e.FetchCRLs.v
	switch {
	case b.Revocation == pki.RevocationRequire && none:
		l.fail(e.Revocation.pos(file), "name lists with crls:, or write fetch_crls: true", "revocation: require without a list to look into refuses everybody")
	case b.Revocation == pki.RevocationOff && !none:
		l.warn(e.Revocation.pos(file), "write check, or remove the lists", "revocation: off looks into no list")
	}
	if len(e.CRLHosts) > 0 && !b.Follow && len(b.Points) == 0 {
		l.warn(e.CRLHosts[0].pos(file), "remove it", "crl_hosts: nothing is fetched")
	}
}

// places are where files of an entry are named, by their names in messages.
type places map[string]realm.Pos

// mistakes says what is wrong with files where they are named.
func (l *loader) mistakes(said places, entry realm.Pos, wrong []pki.Mistake) {
	for _, m := range wrong {
		pos, known := said[m.File]
		if !known {
			pos = entry
			for name, at := range said {
				if strings.HasPrefix(m.Text, strconv.Quote(name)+" ") {
					pos = at
				}
			}
		}
		text := m.Text
		if m.File != "" && m.File != keyName {
			text = quote(m.File) + ": " + text
		}
		if m.Warning {
			l.warn(pos, m.Hint, "%s", text)
		} else {
			l.fail(pos, m.Hint, "%s", text)
		}
	}
}

// maxMaterial bounds a file with certificates or revoked numbers.
const maxMaterial = pki.MaxFile

// material reads a file that a tls entry names; it has no Data after a problem.
// It is watched as files of secrets are.
func (l *loader) material(said places, pos realm.Pos, key, path string) pki.File {
	switch {
	case path == "":
		l.fail(pos, "", "%s: the name of the file is empty", key)
		return pki.File{}
	case strings.Contains(path, "-----BEGIN"):
		l.fail(pos, "write it into a file of its own and name that", "%s: PEM text is not read here", key)
		return pki.File{}
	}
	name := resolve(pos, path)
	f, known := l.secrets.files[name]
	if !known || f.limit != maxMaterial {
		f = readWhole(name, maxMaterial)
		l.secrets.files[name] = f
	}
	switch {
	case f.err != nil:
		l.fail(pos, "a path is relative to the file it stands in", "%s: reading the file: %s", key, cause(f.err))
		return pki.File{}
	case len(f.secret) == 0:
		l.fail(pos, "", "%s: the file is empty", key)
		return pki.File{}
	}
	said[path] = pos
	return pki.File{Name: strings.Clone(path), Data: f.secret}
}

// resolve is the path of a file that another one names.
func resolve(pos realm.Pos, path string) string {
	if filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(filepath.Dir(pos.File), path)
}

// securityOf finds the entry that a key names. Where there is only one, it need
// not be named.
func (l *loader) securityOf(entry realm.Pos, kind, peer string, name at[string]) *security {
	if !name.set() {
		if len(l.set.Securities) == 1 {
			s := l.securities[l.set.Securities[0].Name]
			s.used = true
			return s
		}
		if !l.partial {
			hint := "name one with tls:"
			if len(l.set.Securities) == 0 {
				hint = "add an entry under tls: with a certificate, its key and authorities"
			}
			l.fail(entry, hint, "%s %s has no tls", kind, quote(peer))
		}
		return nil
	}
	s, known := l.securities[name.v]
	if !known {
		if !l.partial {
			l.fail(name.pos(entry.File), meant(name.v, l.securities, "add it under tls:"), "tls %s does not exist", quote(name.v))
		}
		return nil
	}
	s.used = true
	return s
}
