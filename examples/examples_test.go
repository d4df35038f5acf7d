// Package examples holds programs that use the engine, or the whole pipeline, as a library. It is a module of its own, as theirs would be.
package examples

import (
	"bytes"
	"go/format"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hashline/hashline/internal/needs"
)

// command runs a program and returns what it prints.
func command(t *testing.T, name string, args ...string) string {
	t.Helper()
	var stderr bytes.Buffer
	cmd := exec.CommandContext(t.Context(), name, args...)
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s%s", name, strings.Join(args, " "), err, out, &stderr)
	}
	if stderr.Len() > 0 && name != "go" {
		t.Errorf("%s says on standard error:\n%s", name, &stderr)
	}
	return string(out)
}

func TestExamples(t *testing.T) {
	for program, want := range map[string]string{
		"order": "bought for 1099 cents\nreleased what was reserved\norder SUCCEEDED\n",
		"mount": "the plan says hello, Ann and Bob\nmail took a letter\n",
		"own": "logistic_regression  accuracy 0.9355  ROC AUC 0.9762\nnaive_bayes          accuracy 0.9375  ROC AUC 0.9448\n" +
			"order 1, by naive_bayes: Profit > 0 with probability 0.9948\norder 2, by naive_bayes: Profit > 0 with probability 0.5730\n" +
			"order 3, by naive_bayes: Profit > 0 with probability 0.0001\n",
	} {
		t.Run(program, func(t *testing.T) {
			t.Parallel()
			binary := filepath.Join(t.TempDir(), program)
			command(t, "go", "build", "-o", binary, "./"+program)
			t.Run("embedded", func(t *testing.T) {
				if got := command(t, binary); got != want {
					t.Errorf("it printed %q, want %q", got, want)
				}
			})
			t.Run("redis", func(t *testing.T) {
				server := needs.Redis(t)
				for range 2 { // the second finds what the first left
					if got := command(t, binary, "-redis", server.URL()); got != want {
						t.Errorf("it printed %q, want %q", got, want)
					}
				}
			})
		})
	}
}

// A model of a program's own is in the report as others are: with its figures and its curves.
func TestOwnIsInTheReport(t *testing.T) {
	file := filepath.Join(t.TempDir(), "report.html")
	command(t, "go", "run", "./own", "-report", file)
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"train:naive_bayes", "plot:naive_bayes", "log_sales", "choose", "0.9448"} {
		if !bytes.Contains(b, []byte(want)) {
			t.Errorf("the report does not hold %s", want)
		}
	}
}

// A program that is to be read at a glance stays one.
func TestOrderIsShort(t *testing.T) {
	b, err := os.ReadFile("order/main.go")
	if err != nil {
		t.Fatal(err)
	}
	if n := bytes.Count(b, []byte("\n")); n >= 60 {
		t.Errorf("order/main.go has %d lines", n)
	}
	if formatted, err := format.Source(b); err != nil || !bytes.Equal(b, formatted) {
		t.Errorf("order/main.go is not as gofmt writes it: %v", err)
	}
}

func TestNoLearningIsImported(t *testing.T) {
	deps := command(t, "go", "list", "-deps", "./order", "./mount")
	if !strings.Contains(deps, "github.com/hashline/hashline/tasks\n") {
		t.Fatalf("the examples do not use the engine:\n%s", deps)
	}
	for _, of := range []string{"hashline/ml", "hashline/stages", "gonum.org", "golearn", "parquet"} {
		if strings.Contains(deps, of) {
			t.Errorf("the examples reach %s:\n%s", of, deps)
		}
	}
}
