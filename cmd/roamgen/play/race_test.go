//go:build race

package play

const raced = true
