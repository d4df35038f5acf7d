package feature

import (
	"fmt"
	"slices"

	"github.com/hashline/hashline/ml/frame"
)

// Op is an operation of a program's own.
type Op struct {
	// Inputs are the types of its columns: Float stands for every number, Category for every text, Date for dates.
	Inputs []frame.Type
	// Make returns the values: a column of numbers or of texts, with a row for each row of the inputs, which it must not
	// change. A row's value must come from that row alone, since prediction sees other rows beside it, or none, and must be
	// the same every time.
	Make func(inputs []*frame.Column) *frame.Column
}

// own are the registered operations.
var own = map[string]Op{}

// Register makes an operation known to recipes, under a name that is not taken, for pipelines to name it (Choice.Own). It is for
// init functions, or the begin of main: not while anything runs. A program that scores rows with the model needs it too.
func Register(name string, op Op) {
	_, taken := own[name]
	switch {
	case name == "" || taken || name == OpColumn || name == OpDaysBetween || name == OpRatio || slices.Contains(DateParts, name):
		panic(fmt.Sprintf("feature: the operation %q has no name, or one that is taken", name))
	case len(op.Inputs) == 0 || op.Make == nil:
		panic(fmt.Sprintf("feature: the operation %q has no inputs, or makes nothing", name))
	}
	own[name] = op
}

// HasOwn reports whether any operation was registered.
func HasOwn() bool { return len(own) > 0 }

// check holds the inputs of f to those of the operation.
func (op Op) check(f *Feature, types map[string]frame.Type) error {
	if len(f.Inputs) != len(op.Inputs) {
		return fmt.Errorf("%s of %d columns, want %d", f.Op, len(f.Inputs), len(op.Inputs))
	}
	for i, in := range f.Inputs {
		t, ok := types[in]
		if !ok {
			return fmt.Errorf("there is no column %.80q", in)
		}
		if want := op.Inputs[i]; t.Numeric() != want.Numeric() || t.Textual() != want.Textual() {
			return fmt.Errorf("%s of the column %.80q, which is of type %v, want %v", f.Op, in, t, want)
		}
	}
	return nil
}

func (op Op) apply(f *Feature, columns map[string]*frame.Column) (*frame.Column, error) {
	inputs := make([]*frame.Column, len(f.Inputs))
	for i, in := range f.Inputs {
		inputs[i] = columns[in]
	}
	made := op.Make(inputs)
	if made == nil || made.Type == frame.Date || made.Len() != inputs[0].Len() {
		return nil, fmt.Errorf("feature %.80q: the operation %s makes no column of %d numbers or texts", f.Name, f.Op, inputs[0].Len())
	}
	c := *made
	c.Name = f.Name
	if c.Type.Textual() {
		c.Type = frame.Category
	}
	return &c, nil
}
