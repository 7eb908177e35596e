//go:build !linux

package main

import (
	"errors"
	"syscall"
	"time"
)

func terminalWidth(any) int { return 80 }

func childAttributes() *syscall.SysProcAttr { return &syscall.SysProcAttr{} }

func pin(cpu int) error {
	if cpu < 0 {
		return nil
	}
	return errors.New("pinning to a processor is only done on Linux")
}

func cpuTime() time.Duration { return 0 }
