package artifact_test

import (
	"testing"

	"github.com/hashline/hashline/artifact"
	"github.com/hashline/hashline/artifact/artifacttest"
)

func TestDirConforms(t *testing.T) {
	artifacttest.Conformance(t, func(t *testing.T) artifact.Backend {
		b, err := artifact.Dir(t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		return b
	})
}
