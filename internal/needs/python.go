package needs

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// Python returns a Python that has a module: that of the folder into which install.sh puts such modules, or the system's.
func Python(t testing.TB, module string) string {
	t.Helper()
	cache := os.Getenv("XDG_CACHE_HOME")
	if home, err := os.UserHomeDir(); cache == "" && err == nil {
		cache = filepath.Join(home, ".cache")
	}
	for _, python := range []string{filepath.Join(cache, "hashline-needs", "python", "bin", "python"), "python3"} {
		if exec.Command(python, "-c", "import "+module).Run() == nil {
			return python
		}
	}
	Missing(t, "no Python has the module "+module+": 'make test' installs what the tests need")
	return ""
}
