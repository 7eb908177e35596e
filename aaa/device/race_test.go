//go:build race

package device

const raced = true
