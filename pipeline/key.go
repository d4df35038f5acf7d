package pipeline

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"

	"github.com/hashline/hashline/artifact"
)

// keySchema is part of every key: raising it makes every earlier result unreachable.
const keySchema = "hashline.key/1"

// Input is one resolved input of an action. Its role is ConditionRole when it is what the stage's condition looks at.
type Input struct {
	Role   string       `json:"role"`
	Ref    artifact.Ref `json:"ref"`
	Inline []byte       `json:"inline,omitempty"` // its bytes, which need no store then
}

// ConditionRole is the role under which Execute finds what the condition of a stage looks at. No kind can have it.
const ConditionRole = "if?"

// components lists everything that can change an action's result, one labelled value each. Nothing else may. The name of
// the stage is among them where the result holds names that are made of it.
func components(k Kind, stage, code string, params json.RawMessage, seed uint64, inputs []Input) ([]artifact.Component, error) {
	c := []artifact.Component{
		{Label: "schema", Value: keySchema},
		{Label: "kind", Value: k.Name},
		{Label: "code", Value: code},
		{Label: "go", Value: runtime.Version()},
	}
	if k.Native {
		c = append(c, artifact.Component{Label: "numeric", Value: "native/" + runtime.GOARCH})
	} else {
		c = append(c, artifact.Component{Label: "numeric", Value: "portable"})
	}
	if k.Expands {
		c = append(c, artifact.Component{Label: "stage", Value: stage})
	}
	if string(params) == "{}" { // as flatten has it
		c = append(c, artifact.Component{Label: "params", Value: "{}"})
	} else {
		flat := map[string]string{}
		if err := flatten(flat, "params", params); err != nil {
			return nil, err
		}
		for _, label := range slices.Sorted(maps.Keys(flat)) {
			c = append(c, artifact.Component{Label: label, Value: flat[label]})
		}
	}
	if k.Seeded {
		c = append(c, artifact.Component{Label: "seed", Value: strconv.FormatUint(seed, 10)})
	}
	for i, label := range k.inputLabels(inputs) {
		ref := inputs[i].Ref
		c = append(c, artifact.Component{Label: "input." + label, Value: ref.Digest.String() + " " + strconv.FormatInt(ref.Size, 10)})
	}
	return c, nil
}

// inputLabels returns a label for each input: its role, and its number where there may be several.
func (k Kind) inputLabels(inputs []Input) []string {
	labels := make([]string, len(inputs))
	var counts map[string]int
	for i, in := range inputs {
		labels[i] = in.Role
		if spec, _ := k.input(in.Role); spec.Many {
			if counts == nil {
				counts = map[string]int{}
			}
			labels[i] += "." + strconv.Itoa(counts[in.Role])
			counts[in.Role]++
		}
	}
	return labels
}

// flatten splits parameters into one component a field, so that a miss names the field that changed.
func flatten(into map[string]string, label string, raw json.RawMessage) error {
	if trimmed := bytes.TrimSpace(raw); len(trimmed) > 0 && trimmed[0] == '{' {
		var fields map[string]json.RawMessage
		if err := json.Unmarshal(raw, &fields); err != nil {
			return err
		}
		for name, value := range fields {
			if err := flatten(into, label+"."+fieldLabel(name), value); err != nil {
				return err
			}
		}
		if len(fields) > 0 {
			return nil
		}
	}
	into[label] = string(raw)
	return nil
}

// fieldLabel quotes a name that could be taken for several, one in the other.
func fieldLabel(name string) string {
	if name == "" || strings.ContainsAny(name, ".\"") {
		return strconv.Quote(name)
	}
	return name
}

// actionKey hashes the components, each on a line of its own with both parts quoted, so that no two can run together.
// HASHLINE_DEBUG_KEYS=1 prints the lines.
func actionKey(cs []artifact.Component) artifact.ActionKey {
	b := make([]byte, 0, 1024)
	for _, c := range cs {
		b = append(strconv.AppendQuote(b, c.Label), ' ')
		b = append(strconv.AppendQuote(b, c.Value), '\n')
	}
	key := artifact.ActionKey(artifact.DigestOf(b))
	if os.Getenv("HASHLINE_DEBUG_KEYS") == "1" {
		fmt.Fprintf(os.Stderr, "key %s\n%s", key, b)
	}
	return key
}

// missReason says what keeps an action from being a hit: how it differs from the most similar earlier one of its kind.
func missReason(now []artifact.Component, earlier []*artifact.ActionResult) string {
	var best []string
	for i, r := range earlier {
		if d := differences(r.Components, now); i == 0 || len(d) < len(best) {
			best = d
		}
	}
	switch {
	case len(earlier) == 0:
		return "first of its kind"
	case len(best) == 0:
		return "its stored outputs were gone or damaged"
	case len(best) > 3:
		return fmt.Sprintf("%s; %s; %s; and %d more", best[0], best[1], best[2], len(best)-3)
	}
	text := best[0]
	for _, d := range best[1:] {
		text += "; " + d
	}
	return text
}

// shown is a value for people: the escapes by which JSON keeps clear of HTML are the characters they stand for.
func shown(value string) string {
	var text string
	if err := json.Unmarshal([]byte(value), &text); err != nil || value == "null" {
		return value
	}
	return strconv.QuoteToGraphic(text)
}

// differences names the components that differ, shortest text that tells a reader what changed.
func differences(old, now []artifact.Component) []string {
	before := make(map[string]string, len(old))
	for _, c := range old {
		before[c.Label] = c.Value
	}
	var d []string
	for _, c := range now {
		was, ok := before[c.Label]
		delete(before, c.Label)
		switch {
		case ok && was == c.Value:
		case len(was) <= 40 && len(c.Value) <= 40 && ok:
			d = append(d, fmt.Sprintf("%s %s -> %s", c.Label, shown(was), shown(c.Value)))
		case !ok:
			d = append(d, c.Label+" is new")
		default:
			d = append(d, c.Label+" changed")
		}
	}
	for _, c := range old {
		if _, gone := before[c.Label]; gone {
			d = append(d, c.Label+" is gone")
		}
	}
	return d
}
