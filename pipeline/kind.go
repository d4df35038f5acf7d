package pipeline

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"sync"
)

// Classes of outputs. A Result counts in the result digest; a View (a plot) is derived from results and does not.
const (
	Result = "result"
	View   = "view"
)

// OutputSpec declares one output of a kind.
type OutputSpec struct {
	Name      string
	Class     string // Result or View
	MediaType string
}

// InputSpec declares one input role of a kind.
type InputSpec struct {
	Role     string
	Many     bool // any number of artifacts, in the plan's order
	Optional bool
}

// Kind is what a stage does. It is immutable once registered.
type Kind struct {
	Name    string   // [a-z0-9_]
	Doc     string   // one sentence
	Package string   // path below the module of the package that it is built from; empty: code unknown, see Code
	Uses    []string // further packages that it is built from, which Package does not import
	Inputs  []InputSpec
	Outputs []OutputSpec

	Seeded     bool // its result depends on the seed
	NeverCache bool // it has side effects, or its result is not decided by its key
	Native     bool // its bits hold for one architecture only
	// Inline outputs, each of at most InlineLimit bytes, travel with the state of the run and need no store. A larger one
	// is a blob all the same. When the kind is cached, its action result holds the bytes.
	Inline bool
	// Expands says that Run may return stages by Call.Expand. They are one more output, named StagesOutput, of class Result,
	// so they are cached and recorded as any output is. As they bear names, the name of the stage is part of the action key.
	Expands bool
	Pool    string // the pool of its stages that name none; empty: none

	// Params returns a pointer to a new parameter struct that holds the defaults, or is nil for a kind without any.
	// The struct may have a method Validate() error.
	Params func() any
	// Run does the work. It must honour ctx and give the same outputs for the same Params, Seed and inputs, whatever
	// Call.Cores is.
	Run func(ctx context.Context, c *Call) error

	invalid error // what Typed found wrong
}

// InlineLimit bounds an output that travels with the state of a run, in bytes.
const InlineLimit = 16 << 10

func (k Kind) output(name string) (OutputSpec, bool) {
	for _, o := range k.Outputs {
		if o.Name == name {
			return o, true
		}
	}
	return OutputSpec{}, false
}

func (k Kind) input(role string) (InputSpec, bool) {
	for _, i := range k.Inputs {
		if i.Role == role {
			return i, true
		}
	}
	return InputSpec{}, false
}

// decodeParams fills the kind's parameter struct and returns it with its canonical text, in which every default is
// spelled out, so that a parameter left out and one set to its default are the same.
func (k Kind) decodeParams(raw json.RawMessage) (any, json.RawMessage, error) {
	if k.Params == nil {
		if len(raw) > 0 && !bytes.Equal(raw, []byte("{}")) && !bytes.Equal(raw, []byte("null")) {
			return nil, nil, fmt.Errorf("kind %s takes no parameters", k.Name)
		}
		return nil, json.RawMessage("{}"), nil
	}
	params := k.Params()
	if len(raw) > 0 {
		d := json.NewDecoder(bytes.NewReader(raw))
		d.DisallowUnknownFields()
		if err := d.Decode(params); err != nil {
			return nil, nil, fmt.Errorf("parameters of kind %s: %w", k.Name, err)
		}
	}
	if v, ok := params.(interface{ Validate() error }); ok {
		if err := v.Validate(); err != nil {
			return nil, nil, fmt.Errorf("parameters of kind %s: %w", k.Name, err)
		}
	}
	canonical, err := json.Marshal(params)
	if err != nil {
		return nil, nil, fmt.Errorf("parameters of kind %s: %w", k.Name, err)
	}
	return params, canonical, nil
}

// Registry holds the kinds that a process can run. It is safe for concurrent use.
type Registry struct {
	kinds map[string]Kind
	code  *Code
}

var kindName = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[a-z][a-z0-9_]{0,63}$`) })

// NewRegistry registers kinds whose fingerprints code computes. A nil code makes every kind one without sources.
func NewRegistry(code *Code, kinds ...Kind) (*Registry, error) {
	r := &Registry{kinds: make(map[string]Kind, len(kinds)), code: code}
	for _, k := range kinds {
		if err := checkKind(k); err != nil {
			return nil, fmt.Errorf("kind %q: %w", k.Name, err)
		}
		if _, taken := r.kinds[k.Name]; taken {
			return nil, fmt.Errorf("kind %q is registered twice", k.Name)
		}
		if k.Expands {
			k.Outputs = append(slices.Clone(k.Outputs), OutputSpec{Name: StagesOutput, Class: Result, MediaType: StagesMediaType})
		}
		r.kinds[k.Name] = k
	}
	return r, nil
}

func checkKind(k Kind) error {
	if !kindName().MatchString(k.Name) {
		return errors.New("a name is lower-case letters, digits and _")
	}
	if k.invalid != nil {
		return k.invalid
	}
	if k.Run == nil {
		return errors.New("it has no Run")
	}
	if k.Pool != "" && !ValidStageName(k.Pool) {
		return fmt.Errorf("pool %.80q: %w", k.Pool, errName)
	}
	names := map[string]bool{}
	for _, o := range k.Outputs {
		if !kindName().MatchString(o.Name) || names[o.Name] {
			return fmt.Errorf("output %q: no name, or one used twice", o.Name)
		}
		if k.Expands && o.Name == StagesOutput {
			return fmt.Errorf("output %s: every kind that expands has it without declaring it", o.Name)
		}
		if o.Class != Result && o.Class != View {
			return fmt.Errorf("output %s: class %q is neither result nor view", o.Name, o.Class)
		}
		names[o.Name] = true
	}
	roles := map[string]bool{}
	for _, i := range k.Inputs {
		if !kindName().MatchString(i.Role) || roles[i.Role] {
			return fmt.Errorf("input %q: no name, or one used twice", i.Role)
		}
		roles[i.Role] = true
	}
	return nil
}

// Kind returns the kind of that name.
func (r *Registry) Kind(name string) (Kind, bool) {
	k, ok := r.kinds[name]
	return k, ok
}

// Pool returns the pool that bounds a stage, or nothing.
func (r *Registry) Pool(s Stage) string {
	if s.Pool != "" {
		return s.Pool
	}
	return r.kinds[s.Kind].Pool
}

// Names returns the registered kinds' names, sorted.
func (r *Registry) Names() []string {
	return slices.Sorted(maps.Keys(r.kinds))
}

// Fingerprint returns the code fingerprint of a kind.
func (r *Registry) Fingerprint(kind string) (string, error) {
	k, ok := r.kinds[kind]
	if !ok {
		return "", fmt.Errorf("kind %q is not registered", kind)
	}
	return r.code.Fingerprint(k.Package, k.Uses...)
}
