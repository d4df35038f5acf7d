package tasks

import (
	"math"
	"os"
	"runtime/debug"
	"strconv"
	"strings"
)

// DefaultMemory returns the bytes that this process may have: the least of GOMEMLIMIT, the limit of its control group
// (cgroup v2), and the machine's memory; math.MaxInt64 where none is known.
func DefaultMemory() int64 {
	least := debug.SetMemoryLimit(-1) // math.MaxInt64 unless it is set
	if b, err := os.ReadFile("/sys/fs/cgroup/memory.max"); err == nil {
		if n, err := strconv.ParseInt(strings.TrimSpace(string(b)), 10, 64); err == nil {
			least = min(least, n)
		}
	}
	if b, err := os.ReadFile("/proc/meminfo"); err == nil {
		least = min(least, total(string(b)))
	}
	return least
}

// total reads the first line of /proc/meminfo, as in "MemTotal:  24580284 kB".
func total(text string) int64 {
	line, _, _ := strings.Cut(text, "\n")
	fields := strings.Fields(line)
	if len(fields) < 2 || fields[0] != "MemTotal:" {
		return math.MaxInt64
	}
	n, err := strconv.ParseInt(fields[1], 10, 64)
	if err != nil {
		return math.MaxInt64
	}
	return n << 10
}
