package usage

import _ "embed"

//go:embed schema.json
var schema []byte

// Schema returns the JSON schema (draft 2020-12) of a Record, which says of
// every field what it is, in which unit and where it comes from. The caller
// must not change it.
func Schema() []byte { return schema }
