package file

import (
	"bytes"
	"os"

	"github.com/roamgate/roamgate/realm"
)

const maxSecret = 4096

// secrets fetches the shared secrets. A message about one never shows the
// secret, nor the path or variable: people put the secret itself there.
type secrets struct {
	report *report
	env    func(string) (string, bool)
	files  map[string]secretFile // by path; federations share one for many peers. Also those of keys and certificates
	owners map[string]owner      // by secret
}

type secretFile struct {
	secret realm.Secret
	open   bool // the world may read it
	err    error
	limit  int64 // of octets
}

type owner struct {
	name string
	pos  realm.Pos
}

// of returns the secret of the peer called name, nil after an error. entry is
// where the peer stands.
func (s *secrets) of(entry realm.Pos, kind, name string, file, env at[string]) realm.Secret {
	var secret realm.Secret
	var pos realm.Pos
	switch {
	case file.set() && env.set():
		s.report.add(env.pos(entry.File), Error, "keep one", "%s %s has both secret_file and secret_env", kind, quote(name))
		return nil
	case file.set():
		pos = file.pos(entry.File)
		secret = s.fromFile(pos, file.v)
	case env.set():
		pos = env.pos(entry.File)
		secret = s.fromEnv(pos, env.v)
	default:
		s.report.add(entry, Error, "name a file with secret_file, or a variable with secret_env",
			"%s %s has no secret", kind, quote(name))
		return nil
	}
	if secret != nil {
		s.judge(pos, kind, name, secret)
	}
	return secret
}

func (s *secrets) fromFile(pos realm.Pos, path string) realm.Secret {
	if path == "" {
		s.report.add(pos, Error, "", "secret_file is empty")
		return nil
	}
	path = resolve(pos, path)
	f, known := s.files[path]
	if !known || f.limit != maxSecret {
		f = readSecret(path)
		s.files[path] = f
		if f.open {
			s.report.add(pos, Warning, "chmod o-rwx", "everybody on this machine may read the secret file")
		}
	}
	switch {
	case f.err != nil:
		s.report.add(pos, Error, "a path is relative to the file it stands in; the secret itself does not belong here",
			"reading the secret file: %s", cause(f.err))
		return nil
	case len(f.secret) == 0:
		s.report.add(pos, Error, "", "the secret file is empty")
		return nil
	}
	return f.secret
}

func readSecret(path string) secretFile { return readWhole(path, maxSecret) }

// readWhole reads a file with a secret or with certificates.
func readWhole(path string, limit int64) (f secretFile) {
	f.limit = limit
	data, err := readRegular(path, limit)
	if err != nil {
		f.err = err
		return f
	}
	if info, err := os.Stat(path); err == nil {
		f.open = info.Mode().Perm()&0o007 != 0
	}
	if f.secret = data; limit == maxSecret {
		f.secret = trimNewline(data)
	}
	return f
}

// trimNewline takes away the one line end that editors add.
func trimNewline(b []byte) []byte {
	b = bytes.TrimSuffix(b, []byte("\n"))
	return bytes.TrimSuffix(b, []byte("\r"))
}

func (s *secrets) fromEnv(pos realm.Pos, name string) realm.Secret {
	v, ok := s.env(name)
	switch {
	case !ok:
		s.report.add(pos, Error, "secret_env wants the name of a variable, not the secret",
			"the variable of the secret is not set")
		return nil
	case v == "":
		s.report.add(pos, Error, "", "the variable of the secret is empty")
		return nil
	}
	return realm.Secret(v)
}

// judge warns of secrets that protect badly. Whoever records one packet can
// try secrets offline, some hundred million in a second.
func (s *secrets) judge(pos realm.Pos, kind, name string, secret realm.Secret) {
	switch n := len(secret); {
	case n <= 12:
		s.report.add(pos, Warning, "agree on at least 16 random octets",
			"the secret of %s %s has at most 12 octets and can be guessed from one recorded packet", kind, quote(name))
	case n < 16:
		s.report.add(pos, Warning, "agree on at least 16 random octets",
			"the secret of %s %s has fewer than 16 octets (RFC 2865 section 3)", kind, quote(name))
	}
	if trimmed := bytes.TrimSpace(secret); len(trimmed) != len(secret) {
		s.report.add(pos, Warning, "blanks count", "the secret of %s %s begins or ends with a blank", kind, quote(name))
	}
	first, shared := s.owners[string(secret)]
	if !shared {
		s.owners[string(secret)] = owner{name: name, pos: pos}
		return
	}
	// A partner's client and home of one name are one peer.
	if first.name != name {
		s.report.add(pos, Warning, "whoever knows one can play the other; first at "+first.pos.String(),
			"%s %s has the same secret as %s", kind, quote(name), quote(first.name))
	}
}
