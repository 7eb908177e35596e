//go:build !amd64

package lanes

var kernels []kernel
