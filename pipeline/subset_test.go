package pipeline

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// chain is a plan of stages given as NAME or NAME>UP,UP.
func chain(stages ...string) *Plan {
	p := &Plan{Schema: PlanSchema, Seed: 7}
	for _, text := range stages {
		name, ups, _ := strings.Cut(text, ">")
		s := Stage{Name: name, Kind: "text"}
		for _, up := range strings.FieldsFunc(ups, func(r rune) bool { return r == ',' }) {
			s.Needs = append(s.Needs, Need{Role: "in", Stage: up, Output: "out"})
		}
		p.Stages = append(p.Stages, s)
	}
	return p
}

func names(p *Plan) string {
	var list []string
	for _, s := range p.Stages {
		list = append(list, s.Name)
	}
	return strings.Join(list, " ")
}

func TestSubset(t *testing.T) {
	p := chain("load", "clean>load", "eda>clean", "split>clean", "train:a>split", "train:b>split", "judge:a>train:a,split", "judge:b>train:b,split", "all>judge:a,judge:b")
	for _, c := range []struct {
		name string
		make func(...string) (*Plan, error)
		of   []string
		want string
	}{
		{"only a root", p.Only, []string{"load"}, "load"},
		{"only a leaf", p.Only, []string{"eda"}, "load clean eda"},
		{"only a diamond", p.Only, []string{"judge:a"}, "load clean split train:a judge:a"},
		{"only two", p.Only, []string{"train:b", "eda", "eda"}, "load clean eda split train:b"},
		{"only everything", p.Only, []string{"all", "eda"}, names(p)},
		{"from a root", p.From, []string{"load"}, names(p)},
		{"from a leaf", p.From, []string{"eda"}, "load clean eda"},
		{"from the middle", p.From, []string{"train:a"}, "load clean split train:a train:b judge:a judge:b all"},
		{"from two", p.From, []string{"judge:b", "eda"}, "load clean eda split train:a train:b judge:a judge:b all"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := c.make(c.of...)
			if err != nil || names(got) != c.want || got.Seed != 7 || got.Schema != PlanSchema {
				t.Fatalf("got %v, %v; want %s", got, err, c.want)
			}
		})
	}
	if len(p.Stages) != 9 {
		t.Error("the plan itself has changed")
	}
	for _, of := range [][]string{{"nope"}, {"load", "Load"}, {}, {""}} {
		for _, f := range []func(...string) (*Plan, error){p.Only, p.From} {
			e, ok := errors.AsType[*Error](second(f(of...)))
			if !ok || e.Class != ClassUsage || !strings.Contains(e.Hint, "load, clean, eda") {
				t.Errorf("%q: got %+v", of, e)
			}
		}
	}
}

func second(_ *Plan, err error) error { return err }

// Of random graphs, a subset is closed under needs, keeps the order, and holds nothing that was not asked for.
func TestSubsetOfRandomPlans(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 300 {
		var stages []string
		n := 1 + r.IntN(30)
		for i := range n {
			var ups []string
			for u := range i {
				if r.IntN(4) == 0 {
					ups = append(ups, fmt.Sprint("s", u))
				}
			}
			stages = append(stages, fmt.Sprintf("s%d>%s", i, strings.Join(ups, ",")))
		}
		p := chain(stages...)
		of := fmt.Sprint("s", r.IntN(n))
		only, err := p.Only(of)
		if err != nil {
			t.Fatal(err)
		}
		from, err := p.From(of)
		if err != nil {
			t.Fatal(err)
		}
		reach := reachable(p)
		for _, s := range p.Stages {
			_, got := only.Stage(s.Name)
			if want := s.Name == of || reach[s.Name+" "+of]; got != want {
				t.Fatalf("%v: only %s: has %s is %v", stages, of, s.Name, got)
			}
			_, got = from.Stage(s.Name)
			want := s.Name == of || reach[of+" "+s.Name] || slices.ContainsFunc(p.Stages, func(d Stage) bool {
				return (d.Name == of || reach[of+" "+d.Name]) && reach[s.Name+" "+d.Name]
			})
			if got != want {
				t.Fatalf("%v: from %s: has %s is %v", stages, of, s.Name, got)
			}
		}
	}
}

// reachable holds "A B" for every stage B that needs A, directly or not.
func reachable(p *Plan) map[string]bool {
	reach := map[string]bool{}
	for _, s := range p.Stages {
		for _, up := range s.Upstream() {
			reach[up+" "+s.Name] = true
			for _, a := range p.Stages {
				if reach[a.Name+" "+up] {
					reach[a.Name+" "+s.Name] = true
				}
			}
		}
	}
	return reach
}
