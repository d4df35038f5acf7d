package needs

import (
	"fmt"
	"os"
	"testing"
)

// Life stands for a test where a server outlives one: all tests of a package share it, and TestMain ends it.
type Life struct {
	testing.TB // nil: what is not below is of no use here
	over       []func()
}

func (l *Life) Helper()                      {}
func (l *Life) Cleanup(f func())             { l.over = append(l.over, f) }
func (l *Life) Fatal(args ...any)            { panic(fmt.Sprint(args...)) }
func (l *Life) Fatalf(f string, args ...any) { panic(fmt.Sprintf(f, args...)) }
func (l *Life) Skip(args ...any)             { panic(fmt.Sprint(args...)) }

// TempDir makes a folder that End removes.
func (l *Life) TempDir() string {
	dir, err := os.MkdirTemp("", "needs")
	if err != nil {
		l.Fatal(err)
	}
	l.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

// End ends what the tests shared.
func (l *Life) End() {
	for i := len(l.over) - 1; i >= 0; i-- {
		l.over[i]()
	}
	l.over = nil
}
