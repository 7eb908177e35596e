//go:build !race

package lanes

const raced = false
