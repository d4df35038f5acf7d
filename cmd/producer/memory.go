package main

import (
	"os"
	"runtime/debug"
)

// Sizes of input files, in bytes, and how much garbage, in per cent of what is in use, runs on them may leave lying.
const (
	smallInput   = 32 << 20
	smallPercent = 400 // a run takes a fifth less time, and some ten megabytes more
	largeInput   = 256 << 20
	largePercent = 40 // the tables fill the memory, and numbers cost the garbage collector little
)

// tuneMemory tells the garbage collector what kind of run is ahead, unless the user did with GOGC.
func tuneMemory(input int64) {
	switch {
	case os.Getenv("GOGC") != "":
	case input < smallInput:
		debug.SetGCPercent(smallPercent)
	case input >= largeInput:
		debug.SetGCPercent(largePercent)
	}
}
