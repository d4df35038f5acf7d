package report_test

import (
	"os"
	"testing"
)

// shared is the folder of the store that the tests share.
var shared string

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "report")
	if err != nil {
		panic(err)
	}
	shared = dir
	code := m.Run()
	_ = os.RemoveAll(dir)
	os.Exit(code)
}
