//go:build !race

package aaa

const raced = false
