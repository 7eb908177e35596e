//go:build race

package aaa

// raced: instrumentation moves to the heap what is on the stack otherwise.
const raced = true
