//go:build race

package lanes

// raced: instrumentation moves to the heap what is on the stack otherwise.
const raced = true
