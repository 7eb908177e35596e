package main

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// facts says how the figures came about and how to get them again.
func (b *bench) facts(w *page) {
	w.line("Command: `%s`\n", b.command)
	w.head("what", "version")
	seen := map[string]bool{}
	for _, s := range scenarios {
		r := b.done[s.name]
		if r == nil {
			continue
		}
		for _, p := range r.proxies {
			if !seen[p.kind] {
				seen[p.kind] = true
				w.row(p.kind, p.version)
			}
		}
		if s.setting.redis && !seen["redis"] {
			seen["redis"] = true
			w.row("redis-server", firstLine("redis-server", "--version"))
		}
	}
	w.row("Go", fmt.Sprintf("%s %s/%s", runtime.Version(), runtime.GOOS, runtime.GOARCH))
	w.row("kernel", firstLine("uname", "-sr"))
	w.row("processor", fmt.Sprintf("%s, %d in all", processor(), runtime.NumCPU()))
	w.row("file system of the spool", fileSystem(b.dir))
	w.row("load average at the end", loadAverage())
	w.row("length of the cases", b.lengths())
	w.row("date and length", fmt.Sprintf("%s, %s", b.begun.UTC().Format(time.DateOnly), time.Since(b.begun).Round(time.Second)))
}

// lengths says where the time went.
func (b *bench) lengths() string {
	var all []string
	for _, s := range scenarios {
		if r := b.done[s.name]; r != nil {
			all = append(all, fmt.Sprintf("%s %s", s.name, r.took.Round(time.Second)))
		}
	}
	return strings.Join(all, ", ")
}

// firstLine is what a program prints first, "unknown" where it does not.
func firstLine(name string, args ...string) string {
	out, _ := exec.Command(name, args...).CombinedOutput()
	line, _, _ := strings.Cut(strings.TrimSpace(string(out)), "\n")
	if line == "" {
		return "unknown"
	}
	return line
}

func processor() string {
	b, _ := os.ReadFile("/proc/cpuinfo")
	for line := range strings.Lines(string(b)) {
		if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return "unknown"
}

func loadAverage() string {
	b, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return "unknown"
	}
	return strings.Join(strings.Fields(string(b))[:3], " ")
}

// fileSystem matters because a sync costs nothing where nothing is kept.
func fileSystem(dir string) string {
	var s unix.Statfs_t
	if err := unix.Statfs(dir, &s); err != nil {
		return "unknown"
	}
	switch uint32(s.Type) {
	case unix.EXT4_SUPER_MAGIC:
		return "ext4"
	case unix.XFS_SUPER_MAGIC:
		return "xfs"
	case unix.BTRFS_SUPER_MAGIC:
		return "btrfs"
	case unix.OVERLAYFS_SUPER_MAGIC:
		return "overlayfs"
	case unix.TMPFS_MAGIC:
		return "tmpfs: a sync costs nothing here"
	}
	return fmt.Sprintf("type %#x", s.Type)
}
