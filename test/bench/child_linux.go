package main

import "syscall"

// childAttributes keeps interrupts of the terminal from the children, which
// are stopped in order, and ends them when this process is killed.
func childAttributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
}
