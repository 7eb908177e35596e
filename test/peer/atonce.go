package peer

import (
	"flag"
	"strconv"
)

// AtOnce has n of a package's parallel tests run at a time, unless -parallel says
// otherwise: what waits for foreign programs does not need a processor of its own.
func AtOnce(n int) {
	flag.Parse()
	given := false
	flag.Visit(func(f *flag.Flag) { given = given || f.Name == "test.parallel" })
	if !given {
		_ = flag.Set("test.parallel", strconv.Itoa(n)) // it is a number
	}
}
