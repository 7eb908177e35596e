package main

import (
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/roamgate/roamgate/aaa/device"
	annotated "github.com/roamgate/roamgate/configs"
	"github.com/roamgate/roamgate/realm/file"
)

// commentedOut are keys of the reference that are not in use: # key: value.
var commentedOut = regexp.MustCompile(`(?m)^(\s+)# (\w+: )`)

// schemas are the kinds of files, each with its schema.
var schemas = map[string]func() []byte{
	"routing": func() []byte {
		return file.RoutingSchema("Routing file of roamgate", routingComments())
	},
	"hub": func() []byte {
		text := commentedOut.ReplaceAll(annotated.Hub, []byte("$1$2"))
		return file.Schema("Main configuration of roamgate", config{}, file.Comments(text))
	},
	"policy": func() []byte {
		return file.Schema("Device policy of roamgate", device.File{}, file.Comments(annotated.Policy))
	},
	"tests": func() []byte { return file.Schema("Tests of routes", routeTests{}, nil) },
}

// routingComments are what the two files say that explain the keys together.
func routingComments() map[string]string {
	said := file.Comments(annotated.Diameter)
	maps.Copy(said, file.Comments(annotated.Routing))
	return said
}

func schemaCommand() *cobra.Command {
	kinds := slices.Sorted(maps.Keys(schemas))
	return &cobra.Command{
		Use:   "schema [routing|hub|policy|tests]",
		Short: "Print the JSON Schema of a kind of file, for editors",
		Long: `Print the JSON Schema (2020-12) of the routing files (the default), of the
main configuration, of the device policy or of tests of routes. Editors
complete keys with it and mark what is wrong while you type; what depends on
other files only check knows. In Visual Studio Code and others with the YAML
language server, put this in the first line of a file:

  # yaml-language-server: $schema=routing.schema.json`,
		Example:   "  roamgate schema > routing.schema.json\n  roamgate schema hub > roamgate.schema.json",
		Args:      atMost("kind"),
		ValidArgs: kinds,
		RunE: func(cmd *cobra.Command, args []string) error {
			kind := "routing"
			if len(args) == 1 {
				kind = args[0]
			}
			of := schemas[kind]
			if of == nil {
				return misuse(cmd, "there is no schema %q: %s", kind, strings.Join(kinds, ", "))
			}
			_, err := cmd.OutOrStdout().Write(of())
			return err
		},
	}
}
