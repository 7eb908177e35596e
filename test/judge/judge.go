// Package judge has Wireshark's dissector look at the Diameter messages that tests make
// the hub emit: it knows the dictionaries and the lengths of every type, and shares no
// code with us.
//
// A rig calls Collect with each message that the hub sends, and the TestMain of its
// package runs the tests in a Main, which judges all of them by one run of tshark and
// fails the package where one is malformed. Judge judges some at once, in one test;
// Dissect gives what the dissector reads, as an oracle for our own walk.
//
// What is at fault is an AVP whose length or value its type cannot have, and a message
// that is no message. What is not: an AVP, a command or a vendor that Wireshark does not know, a
// Failed-AVP without a value, a repetition, and what a peer put into an opaque value
// (EAP, an SMS, an IMSI), into reserved bits, or into an AVP that it gets
// back in a Failed-AVP. A rig that has the hub relay broken messages must not collect
// those.
//
// Messages that differ in their identifiers only are judged once. Collect may be called
// by all goroutines and copies what it is given.
package judge

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/roamgate/roamgate/pkg/diameter"
	"github.com/roamgate/roamgate/pkg/diameter/dict"
)

const (
	most    = 200_000 // messages of a package that are judged
	patient = 5 * time.Minute
	warning = 0x600000 // severities are warnings and errors from here
)

var collected struct {
	sync.Mutex
	seen     map[string]bool
	messages [][]byte
	over     int
}

// Collect keeps a message of the hub for Main to judge.
func Collect(message []byte) {
	if len(message) < 20 {
		message = append(bytes.Clone(message), make([]byte, 20-len(message))...)
	}
	key := string(message[:12]) + string(message[20:])
	collected.Lock()
	defer collected.Unlock()
	switch {
	case collected.seen[key]:
	case len(collected.messages) >= most:
		collected.over++
	default:
		if collected.seen == nil {
			collected.seen = map[string]bool{}
		}
		collected.seen[key] = true
		collected.messages = append(collected.messages, bytes.Clone(message))
	}
}

// Main runs the tests of a package and then judges what was collected:
//
//	func TestMain(m *testing.M) { goleak.VerifyTestMain(judge.Main{M: m}) }
type Main struct{ *testing.M }

// Run is that of testing.M.
func (m Main) Run() int {
	if code := m.M.Run(); code != 0 {
		return code
	}
	return verdict()
}

func verdict() int {
	collected.Lock()
	messages, over := collected.messages, collected.over
	collected.Unlock()
	if len(messages) == 0 {
		return 0
	}
	if _, err := exec.LookPath("tshark"); err != nil && os.Getenv("CI") == "" {
		fmt.Printf("judge: tshark is not installed (test/setup.sh): %d messages are not judged\n", len(messages))
		return 0
	}
	faults, err := Faults(messages...)
	if err == nil && len(faults) == 0 && over == 0 {
		fmt.Printf("judge: tshark finds no fault with %d messages\n", len(messages))
		return 0
	}
	if err != nil {
		faults = append(faults, err.Error())
	}
	if over > 0 {
		faults = append(faults, fmt.Sprintf("%d messages are more than the %d that are judged", over, most))
	}
	fmt.Printf("judge: FAIL\n%s\n", strings.Join(faults, "\n"))
	return 1
}

// Judge fails a test where a message is malformed.
func Judge(t testing.TB, messages ...[]byte) {
	t.Helper()
	faults, err := Faults(messages...)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range faults {
		t.Error(f)
	}
}

// Faults gives what is wrong with messages, with the text of each that has a fault.
func Faults(messages ...[]byte) (faults []string, err error) {
	all, err := each(messages)
	if err != nil {
		return nil, err
	}
	for i, bad := range all {
		if len(bad) > 0 {
			faults = append(faults, fmt.Sprintf("%s in\n%s", strings.Join(bad, ", "), dict.Format(messages[i])))
		}
	}
	return faults, nil
}

// each gives the faults of each message.
func each(messages [][]byte) (all [][]string, err error) {
	if all, err = look(messages, plain); err != nil {
		return nil, err
	}
	var again [][]byte
	var which []int
	for i, bad := range all {
		if len(bad) > 0 {
			again, which = append(again, messages[i]), append(which, i)
		}
	}
	if again == nil {
		return all, nil
	}
	less, err := look(again, withoutFailed)
	for i, bad := range less {
		all[which[i]] = bad
	}
	return all, err
}

// look gives the faults of each message as prepare makes it.
func look(messages [][]byte, prepare func([]byte) []byte) (all [][]string, err error) {
	prepared := make([][]byte, len(messages))
	for i, m := range messages {
		prepared[i] = prepare(m)
	}
	found, err := Dissect(prepared, "_ws.malformed", "_ws.expert.severity", "_ws.expert.message", "diameter.cmd.code")
	if err != nil {
		return nil, err
	}
	for _, fields := range found {
		bad := atFault(fields[0], fields[1], fields[2])
		if fields[3] == "" { // it looks at the header and the first AVP before it takes anything
			bad = append(bad, "no message of Diameter")
		}
		all = append(all, bad)
	}
	return all, nil
}

// plain leaves out the reserved bits of the header, with which nothing is a message of
// Diameter to Wireshark.
func plain(m []byte) []byte {
	m = bytes.Clone(m)
	if len(m) > 4 {
		m[4] &= 0xf0
	}
	return m
}

// withoutFailed leaves out Failed-AVP, too, if it is a group of AVPs: one in it may have
// a size or a value that its type cannot have, for that is what it says.
func withoutFailed(m []byte) []byte {
	var a diameter.AVP
	var w diameter.Writer
	c := diameter.Walk(m[diameter.HeaderLen:])
	w.Copy(make([]byte, len(m)), m)
	for cut := 0; c.Next(&a); {
		if a.Code == diameter.FailedAVP && a.Vendor == 0 && whole(a.Group()) {
			at := diameter.HeaderLen + c.Offset() - cut
			w.Cut(at, at+len(a.Raw))
			cut += len(a.Raw)
		}
	}
	return plain(w.Finish())
}

func whole(c diameter.Cursor) bool {
	for a := (diameter.AVP{}); c.Next(&a); {
	}
	return c.Bad() == nil
}

// separator is one that stands in no text of tshark's.
const separator = "\x1f"

func atFault(malformed, severities, texts string) (bad []string) {
	if texts == "" {
		if strings.Contains(malformed, "Malformed Packet: Diameter") {
			return []string{malformed}
		}
		return nil
	}
	levels := strings.Split(severities, separator)
	for i, text := range strings.Split(texts, separator) {
		if i < len(levels) {
			if level, err := strconv.Atoi(levels[i]); err == nil && level < warning {
				continue
			}
		}
		switch {
		case strings.HasPrefix(text, "Unknown "), text == "Data is empty":
		case strings.HasPrefix(text, "Malformed Packet") && !strings.Contains(malformed, "Malformed Packet: Diameter"):
		case text == "Bad length (too small or too large)": // of EAP's own
		case text == "Malformed IMSI", text == "Trailing stray characters", text == "Reserved bit set":
		default:
			bad = append(bad, text)
		}
	}
	return bad
}

// Dissect gives for each message the values of fields of Wireshark; those of one field
// are separated by the octet 0x1f.
func Dissect(messages [][]byte, fields ...string) (values [][]string, err error) {
	dir, err := os.MkdirTemp("", "judge")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	name := filepath.Join(dir, "messages.pcap")
	if err := os.WriteFile(name, capture(messages), 0o600); err != nil {
		return nil, err
	}
	args := []string{"-n", "-r", name, "-o", `uat:user_dlts:"User 0 (DLT=147)","diameter","0","","0",""`, "-T", "fields", "-E", "aggregator=" + separator}
	for _, f := range append([]string{"frame.number"}, fields...) {
		args = append(args, "-e", f)
	}
	ctx, cancel := context.WithTimeout(context.Background(), patient)
	defer cancel()
	cmd := exec.CommandContext(ctx, "tshark", args...)
	cmd.Env = append(os.Environ(), "HOME="+dir, "XDG_CONFIG_HOME="+dir)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("tshark: %w: %s", err, stderr.String())
	}
	lines := strings.Split(strings.TrimSuffix(string(out), "\n"), "\n")
	if len(lines) != len(messages) {
		return nil, fmt.Errorf("tshark: %d lines for %d messages: %s", len(lines), len(messages), stderr.String())
	}
	for i, l := range lines {
		f := strings.Split(l, "\t")
		if len(f) != len(fields)+1 || f[0] != strconv.Itoa(i+1) {
			return nil, fmt.Errorf("tshark: what is %q", l)
		}
		values = append(values, f[1:])
	}
	return values, nil
}

// capture is a file of pcap in which each frame is a message.
func capture(messages [][]byte) []byte {
	const userLink = 147
	b := binary.LittleEndian.AppendUint32(nil, 0xa1b2c3d4)
	b = append(b, 2, 0, 4, 0)
	b = append(b, make([]byte, 8)...)
	b = binary.LittleEndian.AppendUint32(b, 1<<18)
	b = binary.LittleEndian.AppendUint32(b, userLink)
	for i, m := range messages {
		b = binary.LittleEndian.AppendUint32(b, uint32(i))
		b = append(b, 0, 0, 0, 0)
		b = binary.LittleEndian.AppendUint32(b, uint32(len(m)))
		b = binary.LittleEndian.AppendUint32(b, uint32(len(m)))
		b = append(b, m...)
	}
	return b
}
