package main

import "syscall"

// childAttributes gives the hub a process group of its own, so that an
// interrupt of the terminal reaches it through us, in order, and its end when
// we are killed.
func childAttributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
}
