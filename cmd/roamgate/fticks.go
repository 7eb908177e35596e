package main

import (
	"fmt"
	"strings"

	"github.com/roamgate/roamgate/aaa/fticks"
)

// The words of fticks.reporting and fticks.mac.
var (
	fticksReporting = map[string]fticks.Reporting{"none": fticks.None, "basic": fticks.Basic, "full": fticks.Full}
	fticksMAC       = map[string]fticks.MAC{
		"static": fticks.Static, "original": fticks.Original, "vendor_hashed": fticks.VendorHashed,
		"vendor_key_hashed": fticks.VendorKeyHashed, "fully_hashed": fticks.FullyHashed, "fully_key_hashed": fticks.FullyKeyHashed,
	}
)

func (c *config) checkFTicks(f *findings) {
	t := &c.FTicks
	f.oneOf("fticks.reporting", t.Reporting, "none", "basic", "full")
	f.oneOf("fticks.mac", t.MAC, "static", "original", "vendor_hashed", "vendor_key_hashed", "fully_hashed", "fully_key_hashed")
	if _, err := fticks.ParseTarget(t.To, t.Facility); err != nil {
		f.bad("fticks.to", "fticks.to, fticks.facility: "+err.Error(), "")
	}
	if strings.ContainsFunc(t.Prefix, func(r rune) bool { return r < ' ' || r > '~' }) {
		f.bad("fticks.prefix", "fticks.prefix has a character that is not printable ASCII", "such as "+fticks.DefaultPrefix)
	}
	if fticksReporting[t.Reporting] != fticks.None && fticksMAC[t.MAC].Keyed() && t.KeyFile == "" {
		f.bad("fticks.mac", "fticks.mac "+t.MAC+" wants a key", "name its file with fticks.key_file, or write mac: static")
	}
}

// ticker makes what writes F-Ticks, nil where they are off.
func (s *server) ticker() (*fticks.Ticker, error) {
	c := s.conf
	spec := fticks.Spec{Reporting: fticksReporting[c.FTicks.Reporting], MAC: fticksMAC[c.FTicks.MAC], Prefix: c.FTicks.Prefix, Log: s.log}
	if spec.Reporting == fticks.None {
		return nil, nil
	}
	var err error
	if spec.To, err = fticks.ParseTarget(c.FTicks.To, c.FTicks.Facility); err != nil {
		return nil, fmt.Errorf("fticks.to: %w", err)
	}
	if spec.To.Kind == fticks.File {
		spec.To.Address = c.path(spec.To.Address)
	}
	if spec.MAC.Keyed() {
		key, err := c.secretText(c.FTicks.KeyFile, "the key of F-Ticks")
		if err != nil {
			return nil, err
		}
		spec.Key = []byte(key)
	}
	return fticks.New(spec), nil
}
