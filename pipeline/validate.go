package pipeline

import (
	"cmp"
	"errors"
	"fmt"
	"strings"
)

var errName = errors.New("a name is 1 to 64 lower-case letters, digits and _ . : -, the first a letter or digit")

// ValidStageName reports whether a stage may have that name: 1 to 64 lower-case letters, digits and _ . : -, the first a
// letter or digit. Pools and signals are named in the same way.
func ValidStageName(name string) bool {
	if name == "" || len(name) > 64 {
		return false
	}
	for i := range len(name) {
		c := name[i]
		letter := 'a' <= c && c <= 'z' || '0' <= c && c <= '9'
		if !letter && (i == 0 || c != '_' && c != '.' && c != ':' && c != '-') {
			return false
		}
	}
	return true
}

// Validate checks the plan against the kinds of r: names, order, roles, outputs, parameters and conditions. It also
// writes in full, or in the one way, what can be written in several, so that plans that mean the same have the same
// digest. The schema becomes PlanSchema2 where a worker of before could not run the plan: some stage uses a field that
// came with it, or is of a kind that is Inline or Expands, and PlanSchema otherwise.
func (p *Plan) Validate(r *Registry) error {
	p.Schema = cmp.Or(p.Schema, PlanSchema2) // a plan that a program made
	if err := p.checkSchema(); err != nil {
		return err
	}
	if len(p.Stages) == 0 || len(p.Stages) > MaxStages {
		return fmt.Errorf("plan: %d stages, want 1 to %d", len(p.Stages), MaxStages)
	}
	v := &validator{registry: r, earlier: make(map[string]Kind, len(p.Stages)), expanding: map[string]bool{}}
	p.Schema = PlanSchema
	for i := range p.Stages {
		s := &p.Stages[i]
		k, err := v.stage(s)
		if err != nil {
			return fmt.Errorf("plan: %w", err)
		}
		if s.newer() || k.Inline || k.Expands {
			p.Schema = PlanSchema2
		}
	}
	if err := v.returnedNames(p.Stages); err != nil {
		return fmt.Errorf("plan: %w", err)
	}
	return nil
}

// validator checks stages one after the other.
type validator struct {
	registry  *Registry
	earlier   map[string]Kind
	expanding map[string]bool
	other     func(name string) (Kind, bool) // finds the kind of a stage outside the list; nil: there is none
	trust     func(name string) bool         // a stage that nobody finds is taken to exist with every output; nil: none
}

// stage checks one stage against those before it, and writes it in the one way.
func (v *validator) stage(s *Stage) (Kind, error) {
	if !ValidStageName(s.Name) {
		return Kind{}, fmt.Errorf("stage %.80q: %w", s.Name, errName)
	}
	if _, taken := v.earlier[s.Name]; taken {
		return Kind{}, fmt.Errorf("two stages are named %s", s.Name)
	}
	k, ok := v.registry.Kind(s.Kind)
	if !ok {
		return k, fmt.Errorf("stage %s is of unknown kind %.80q", s.Name, s.Kind)
	}
	if err := v.needs(s, k); err != nil {
		return k, fmt.Errorf("stage %s: %w", s.Name, err)
	}
	if err := v.condition(s); err != nil {
		return k, fmt.Errorf("stage %s: if: %w", s.Name, err)
	}
	if err := checkTerms(s); err != nil {
		return k, fmt.Errorf("stage %s: %w", s.Name, err)
	}
	_, canonical, err := k.decodeParams(s.Params)
	if err != nil {
		return k, fmt.Errorf("stage %s: %w", s.Name, err)
	}
	s.Params, s.Retry = canonical, s.Retry.canonical()
	v.earlier[s.Name] = k
	if k.Expands {
		v.expanding[s.Name] = true
	}
	return k, nil
}

// find returns the kind of a stage that may be needed; known is false when it is taken on trust.
func (v *validator) find(name string) (k Kind, known bool, err error) {
	k, known = v.earlier[name]
	if !known && v.other != nil {
		k, known = v.other(name)
	}
	if !known && (v.trust == nil || !v.trust(name)) {
		return k, false, fmt.Errorf("it needs %.80q, which is no earlier stage", name)
	}
	return k, known, nil
}

// needs checks what a stage of kind k needs.
func (v *validator) needs(s *Stage, k Kind) error {
	given := map[string]int{}
	for i := range s.Needs {
		n := &s.Needs[i]
		if err := v.source(*n); err != nil {
			return err
		}
		if err := checkOnFailure(n, k, s.Always); err != nil {
			return err
		}
		if n.orderOnly() {
			continue
		}
		spec, ok := k.input(n.Role)
		if !ok {
			return fmt.Errorf("kind %s has no input %.80q", k.Name, n.Role)
		}
		if n.Each && !spec.Many {
			return fmt.Errorf("input %s takes one artifact, not each of several", n.Role)
		}
		given[n.Role]++
	}
	for _, i := range k.Inputs {
		if given[i.Role] == 0 && !i.Optional {
			return fmt.Errorf("input %s is missing", i.Role)
		}
		if given[i.Role] > 1 && !i.Many {
			return fmt.Errorf("input %s is given %d times", i.Role, given[i.Role])
		}
	}
	return nil
}

// source checks that what a need names exists.
func (v *validator) source(n Need) error {
	if (n.Artifact == nil) == (n.Stage == "") {
		return fmt.Errorf("input %.80s: want either a stage or an artifact", n.Role)
	}
	if n.Artifact != nil {
		if n.Artifact.IsZero() || n.Artifact.Size < 0 {
			return fmt.Errorf("input %.80s: the artifact has no digest, or no size", n.Role)
		}
		if n.Role == "" || n.Output != "" || n.Each || n.OnFailure != "" {
			return fmt.Errorf("input %.80q: an artifact has a role, and neither output, each nor on_failure", n.Role)
		}
		return nil
	}
	from, known, err := v.find(n.Stage)
	if err != nil {
		return err
	}
	if n.Each {
		if known && !from.Expands {
			return fmt.Errorf("it needs each stage that %s returns, but kind %s returns none", n.Stage, from.Name)
		}
		if !n.orderOnly() && !kindName().MatchString(n.Output) {
			return fmt.Errorf("%.80q is no name of an output", n.Output)
		}
		return nil
	}
	if n.orderOnly() || !known {
		return nil
	}
	if _, ok := from.output(n.Output); !ok {
		return fmt.Errorf("stage %s has no output %.80q", n.Stage, n.Output)
	}
	return nil
}

// checkOnFailure checks that a stage that runs without an input can do so.
func checkOnFailure(n *Need, k Kind, always bool) error {
	switch n.OnFailure {
	case SkipOnFailure:
		n.OnFailure = ""
	case "", FailRun, GoOn:
	default:
		return fmt.Errorf("on_failure %.40q, want %s, %s or %s", n.OnFailure, SkipOnFailure, FailRun, GoOn)
	}
	if n.Artifact != nil || n.orderOnly() || !always && n.OnFailure != GoOn {
		return nil
	}
	if spec, ok := k.input(n.Role); ok && !spec.Optional && !spec.Many {
		return fmt.Errorf("it may run without its input %s, which kind %s cannot do without; need %s without a role", n.Role, k.Name, n.Stage)
	}
	return nil
}

// condition checks that what the stage's condition looks at exists and is JSON.
func (v *validator) condition(s *Stage) error {
	if s.If == nil {
		return nil
	}
	c := *s.If // the caller's may be shared
	from, known, err := v.find(c.Stage)
	if err != nil {
		return err
	}
	if spec, ok := from.output(c.Output); known && !ok {
		return fmt.Errorf("stage %s has no output %.80q", c.Stage, c.Output)
	} else if known && !isJSON(spec.MediaType) {
		return fmt.Errorf("output %s of stage %s is %s, not JSON", c.Output, c.Stage, spec.MediaType)
	}
	if err := c.check(); err != nil {
		return err
	}
	s.If = &c
	return nil
}

// isJSON reports whether a media type says that the bytes are one JSON value.
func isJSON(mediaType string) bool {
	base, _, _ := strings.Cut(mediaType, ";")
	base = strings.TrimSpace(base)
	return base == "application/json" || strings.HasSuffix(base, "+json")
}

// checkTerms checks how and when a stage is tried.
func checkTerms(s *Stage) error {
	if s.Timeout < 0 {
		return errors.New("its timeout is negative")
	}
	if s.Memory < 0 {
		return errors.New("its memory is negative")
	}
	if s.Pool != "" && !ValidStageName(s.Pool) {
		return fmt.Errorf("pool %.80q: %w", s.Pool, errName)
	}
	if s.Retry != nil {
		if err := s.Retry.check(); err != nil {
			return err
		}
	}
	if s.Wait != nil {
		return s.Wait.check()
	}
	return nil
}

// returnedNames refuses a stage that has a name of those that a stage of the list may return.
func (v *validator) returnedNames(stages []Stage) error {
	if len(v.expanding) == 0 {
		return nil
	}
	for _, s := range stages {
		for i := range len(s.Name) {
			if s.Name[i] == ':' && v.expanding[s.Name[:i]] {
				return fmt.Errorf("stage %s: names that start with %s: are for the stages that %s returns", s.Name, s.Name[:i], s.Name[:i])
			}
		}
	}
	return nil
}
