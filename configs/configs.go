// Package configs holds the annotated reference files, so that what operators
// read in them is also what the schemas of the files say (roamgate schema).
//
// It is read while a schema is made and never in the packet walk. The files are
// constants of the program: everybody may read them at once. It imports nothing
// of ours and judges nothing: realm/file and cmd read files, and their tests
// hold these against what is read.
package configs

import _ "embed"

// Hub is the main configuration, Policy the device policy, Routing the routing
// files that explain every key, Diameter those of its keys.
var (
	//go:embed roamgate.yaml
	Hub []byte
	//go:embed devices.yaml
	Policy []byte
	//go:embed realms/00-hub.yaml
	Routing []byte
	//go:embed realms/90-diameter.yaml
	Diameter []byte
)
