// Package endtoend holds tests alone: they build the real commands and run them, with real Redis servers, on real data.
//
// The flag -repeats says how often the result digest is asked for anew; -v tells how long a takeover took.
package endtoend
