//go:build race

package load

// raced says that the hub and the load run with the race detector, which
// costs about ten times the work and the memory.
const raced = true
