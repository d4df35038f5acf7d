package boost

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hashline/hashline/internal/needs"
)

// The golden digests of trees, forests and boosting hold on other processors: arm64, which fuses what the compiler lets it,
// amd64 with and without fused multiply-add.
func TestGoldenElsewhere(t *testing.T) {
	if testing.Short() {
		t.Skip("it compiles the tests for other processors")
	}
	qemu := needs.Tool(t, "qemu-aarch64-static", "qemu-aarch64")
	for _, p := range []string{"tree", "boost"} {
		for name, c := range map[string]struct {
			build, run []string
			under      []string
		}{
			"arm64":       {build: []string{"GOARCH=arm64"}, under: []string{qemu}},
			"amd64 v3":    {build: []string{"GOARCH=amd64", "GOAMD64=v3"}},
			"without FMA": {build: []string{"GOARCH=amd64"}, run: []string{"GODEBUG=cpu.fma=off"}},
		} {
			t.Run(p+" "+name, func(t *testing.T) {
				t.Parallel()
				binary := filepath.Join(t.TempDir(), "golden.test")
				build := exec.Command("go", "test", "-c", "-o", binary, "../"+p)
				build.Env = append(os.Environ(), append(c.build, "CGO_ENABLED=0")...)
				if out, err := build.CombinedOutput(); err != nil {
					t.Fatalf("%v\n%s", err, out)
				}
				args := append(c.under, binary, "-test.run", "^TestGoldenDigests$", "-test.v")
				run := exec.Command(args[0], args[1:]...)
				run.Dir = "../" + p
				run.Env = append(os.Environ(), c.run...)
				out, err := run.CombinedOutput()
				if err != nil || !strings.Contains(string(out), "--- PASS: TestGoldenDigests") {
					t.Errorf("%v\n%s", err, out)
				}
			})
		}
	}
}
