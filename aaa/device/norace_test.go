//go:build !race

package device

const raced = false
