//go:build race

package main

// raced says that the test runs with the race detector.
const raced = true
