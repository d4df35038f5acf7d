package main

import (
	"os"
	"runtime/debug"
)

// Sizes of inputs and of what the garbage collector is told about them.
const (
	ballastBytes = 64 << 20  // counted by the collector, never touched, so not in memory
	largeInput   = 256 << 20 // bytes of a file whose tables are what fills the memory
	largePercent = 40        // garbage beside what is in use that is then allowed; numbers are cheap to go through
)

// tuneMemory tells the garbage collector what kind of run is ahead, unless the user did with GOGC. With a ballast it
// hardly runs for tables of ordinary size, which take a fifth less time; large tables would be doubled by its patience.
// The ballast must be kept alive.
func tuneMemory(input int64) (ballast []byte) {
	switch {
	case os.Getenv("GOGC") != "":
		return nil
	case input >= largeInput:
		debug.SetGCPercent(largePercent)
		return nil
	}
	return make([]byte, ballastBytes)
}
