package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hashline/hashline/bench/internal/program"
	"github.com/hashline/hashline/internal/needs"
)

// The figures in the document are those that the program computes, and are the same every time; time and memory are of a
// machine.
func TestTableIsTrue(t *testing.T) {
	needs.NoRace(t)
	b, err := os.ReadFile(filepath.Join("..", "..", document))
	if err != nil {
		t.Fatal(err)
	}
	_, tables, _, err := marked(string(b))
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(tables, head) {
		t.Errorf("the table begins otherwise than the program's:\n%s", tables)
	}
	all, parts, err := program.Superstore("Profit > 0")
	if err != nil {
		t.Fatal(err)
	}
	train, test := all.Take(parts.Train), all.Take(parts.Test)
	for i := range contenders {
		c := &contenders[i]
		t.Run(c.model+" "+c.engine+" "+c.settings, func(t *testing.T) {
			t.Parallel()
			o, err := c.fitOnce(train, test)
			if err != nil {
				t.Fatal(err)
			}
			if want := c.figures([]outcome{o}); !strings.Contains(tables, want) {
				t.Errorf("%s has no line that begins with %q: go run ./bench/golearn -write", document, want)
			}
		})
	}
}
