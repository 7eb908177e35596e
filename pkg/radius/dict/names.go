package dict

import (
	"errors"
	"slices"
	"strings"
)

// Names returns the names of all attributes, sorted.
func Names() []string {
	t := facts()
	names := make([]string, 0, len(t.byName))
	for _, a := range t.byName {
		names = append(names, a.Name)
	}
	slices.Sort(names)
	return names
}

// LookupVendor finds a vendor by name, in any case.
func LookupVendor(name string) (vendor uint32, ok bool) {
	for v, n := range facts().vendors {
		if strings.EqualFold(n, name) {
			return v, true
		}
	}
	return 0, false
}

// EncodeValue makes the value of an attribute from text, as Encode does, without
// its headers. tag, unless it is 0, becomes a part of it.
func EncodeValue(a Attr, tag uint8, text string) ([]byte, error) {
	if a.Hidden != Clear {
		return nil, ErrHidden
	}
	if tag > maxTag {
		return nil, errors.New("a tag is 0 to 31")
	}
	value, err := a.encode(text)
	if err != nil {
		return nil, err
	}
	return a.addTag(value, tag)
}
