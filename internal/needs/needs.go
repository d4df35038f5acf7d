// Package needs finds the programs that a test runs for real: redis-server, chromium and the like.
//
// Where Go alone is installed, a test that needs more is skipped and says what it misses. With CI=true a missing
// program fails the test, so that nothing is left out unseen.
package needs

import (
	"fmt"
	"os"
	"os/exec"
	"testing"
)

// Tool returns the path of the first of the named programs that is installed. The names are alternatives, as in
// Tool(t, "chromium", "google-chrome").
func Tool(t testing.TB, names ...string) string {
	t.Helper()
	for _, name := range names {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	Missing(t, fmt.Sprintf("none of %q is installed: 'make test' installs what the tests need", names))
	return ""
}

// Missing ends a test that cannot run here, and says why: it is skipped, with CI=true it fails.
func Missing(t testing.TB, why any) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatal("CI leaves no test out: ", why)
	}
	t.Skip(why)
}

// NoRace leaves a test out under the race detector, where it takes ten times as long, and other tests race the same code.
// .ci/run runs those tests without it.
func NoRace(t testing.TB) {
	t.Helper()
	if race {
		t.Skip("it takes too long under the race detector; .ci/run runs it without")
	}
}
