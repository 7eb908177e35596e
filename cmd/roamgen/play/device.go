package play

import (
	"fmt"
	"slices"
)

// Identity is the form of the user part of a device's NAI.
type Identity uint8

const (
	IdentityUser Identity = iota // device0000042@realm
	IdentityIMSI                 // 0<15 digits>@realm (3GPP TS 23.003 section 19.3.2)
	IdentityMAC                  // 02000000002a@realm
)

var identityNames = [...]string{"user", "imsi", "mac"}

// String gives the name used in flags.
func (i Identity) String() string { return identityNames[i] }

// ParseIdentity is the reverse of String.
func ParseIdentity(s string) (Identity, error) {
	for i, n := range identityNames {
		if n == s {
			return Identity(i), nil
		}
	}
	return 0, fmt.Errorf("identity form %q: want one of %v", s, identityNames)
}

// Realm is a share of a NAS's devices.
type Realm struct {
	Name     string // "" sends the user part alone
	Weight   int    // share among the realms; 0 counts as 1
	Identity Identity
	// Prefix begins the IMSI (MCC and MNC); "" means 00101, the test network.
	Prefix string
}

// maxCycle bounds the table that spreads devices over realms; its indexes
// have 16 bits.
const maxCycle = 1 << 16

// cycle spreads indexes over choices by weight, evenly and repeatably: the
// i-th device always belongs to the same realm.
func cycle(weights []int) ([]uint16, error) {
	sum := 0
	for _, w := range weights {
		if w < 0 {
			return nil, fmt.Errorf("weight %d is below zero", w)
		}
		sum += w
	}
	if sum == 0 || sum > maxCycle {
		return nil, fmt.Errorf("sum of weights is %d: want 1..%d", sum, maxCycle)
	}
	out := make([]uint16, sum)
	if sum == len(weights) && slices.Min(weights) == 1 { // one each, in turns
		for i := range out {
			out[i] = uint16(i)
		}
		return out, nil
	}
	credit := make([]int, len(weights))
	for i := range out {
		best := 0
		for j, w := range weights {
			credit[j] += w
			if credit[j] > credit[best] {
				best = j
			}
		}
		credit[best] -= sum
		out[i] = uint16(best)
	}
	return out, nil
}

// devices names the devices of a NAS by index, without a table of them.
// Safe for concurrent use.
type devices struct {
	realms []Realm
	cycle  []uint16
	n      uint64 // number of devices
	first  uint64 // number of the first device
}

func newDevices(realms []Realm, n, first uint64) (*devices, error) {
	if len(realms) == 0 {
		realms = []Realm{{Name: "home.example"}}
	}
	weights := make([]int, len(realms))
	for i, r := range realms {
		weights[i] = max(r.Weight, 1)
	}
	c, err := cycle(weights)
	if err != nil {
		return nil, fmt.Errorf("spreading devices over realms: %w", err)
	}
	return &devices{realms: realms, cycle: c, n: max(n, 1), first: first}, nil
}

func (d *devices) realm(i uint64) *Realm {
	return &d.realms[d.cycle[i%uint64(len(d.cycle))]]
}

// appendNAI appends the User-Name of device i. hot: 0 allocs
func (d *devices) appendNAI(dst []byte, i uint64) []byte {
	r := d.realm(i)
	switch r.Identity {
	case IdentityIMSI:
		dst = appendIMSI(append(dst, '0'), r.Prefix, d.first+i)
	case IdentityMAC:
		dst = appendHex(append(dst, '0', '2'), d.first+i, 10)
	default:
		dst = appendDecimal(append(dst, "device"...), d.first+i, 7)
	}
	if r.Name == "" {
		return dst
	}
	return append(append(dst, '@'), r.Name...)
}

// appendMAC appends the Calling-Station-Id of device i in the form of
// RFC 3580 section 3.21. hot: 0 allocs
func (d *devices) appendMAC(dst []byte, i uint64) []byte {
	dst = append(dst, '0', '2')
	for shift := 32; shift >= 0; shift -= 8 {
		dst = appendUpperHex(append(dst, '-'), (d.first+i)>>shift, 2)
	}
	return dst
}

func appendIMSI(dst []byte, prefix string, n uint64) []byte {
	if prefix == "" {
		prefix = "00101"
	}
	return appendDecimal(append(dst, prefix...), n, 15-len(prefix))
}

// appendDecimal appends n with leading zeros up to width; longer numbers lose
// their leading digits, which keeps the size of packets constant.
func appendDecimal(dst []byte, n uint64, width int) []byte {
	at := len(dst)
	for range width {
		dst = append(dst, '0')
	}
	for i := at + width - 1; i >= at; i-- {
		dst[i] = byte('0' + n%10)
		n /= 10
	}
	return dst
}

func appendHex(dst []byte, n uint64, width int) []byte {
	return appendDigits(dst, n, width, "0123456789abcdef")
}

func appendUpperHex(dst []byte, n uint64, width int) []byte {
	return appendDigits(dst, n, width, "0123456789ABCDEF")
}

func appendDigits(dst []byte, n uint64, width int, digits string) []byte {
	for shift := (width - 1) * 4; shift >= 0; shift -= 4 {
		dst = append(dst, digits[n>>shift&15])
	}
	return dst
}

// Device is how a device of a NAS names itself, for the policy of a test.
type Device struct {
	Realm string
	NAI   string
	MAC   string // as in Calling-Station-Id
}

// Device names the i-th device.
func (n *NAS) Device(i uint64) Device {
	i %= n.devices.n
	return Device{
		Realm: n.devices.realm(i).Name,
		NAI:   string(n.devices.appendNAI(nil, i)),
		MAC:   string(n.devices.appendMAC(nil, i)),
	}
}

// Devices is the number of devices.
func (n *NAS) Devices() uint64 { return n.devices.n }
