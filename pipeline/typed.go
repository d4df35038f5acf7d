package pipeline

import (
	"context"
	"encoding"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"
	"strings"
	"unicode"

	"github.com/hashline/hashline/artifact"
)

// Typed makes a Kind of a function. It is Inline unless an option says otherwise; options may set whatever a Kind has, and
// NeverCache and Expands are two of them.
//
// P is the struct of the parameters, with JSON tags as usual. A pointer to it may have a method Defaults(), which fills in
// what a plan may leave out, and a method Validate() error.
//
// I is a struct. Each exported field is an input role, and holds its decoded JSON: a pointer is an input that may be absent,
// nil then, and a slice takes several artifacts, one or more in the plan, in its order. O is a struct, too. Each exported
// field is an output of class Result. Roles and outputs are named by the field's json tag, else by its name in lower case
// with underscores: TrainRows is train_rows; the tag "-" leaves a field out. A field of type []byte is the artifact's own
// bytes, not JSON. struct{} is for a function without any of them.
//
// NewRegistry refuses the kind, saying which field, when a field can be no JSON. An input that does not decode, and an
// output that JSON cannot hold, are Permanent errors.
func Typed[P, I, O any](name string, fn func(ctx context.Context, c *Call, params P, in I) (O, error), opts ...func(*Kind)) Kind {
	k := Kind{Name: name, Inline: true}
	in, errIn := fieldsOf(reflect.TypeFor[I](), true)
	out, errOut := fieldsOf(reflect.TypeFor[O](), false)
	errParams := checkParams(reflect.TypeFor[P]())
	for _, f := range in {
		k.Inputs = append(k.Inputs, InputSpec{Role: f.name, Many: f.many, Optional: f.optional})
	}
	for _, f := range out {
		k.Outputs = append(k.Outputs, OutputSpec{Name: f.name, Class: Result, MediaType: f.mediaType()})
	}
	if t := reflect.TypeFor[P](); errParams == nil && t.NumField() > 0 {
		k.Params = newParams[P]
	}
	k.Run = func(ctx context.Context, c *Call) error {
		var params P
		if p, ok := c.Params.(*P); ok {
			params = *p
		}
		var i I
		if err := c.readFields(in, reflect.ValueOf(&i).Elem()); err != nil {
			return err
		}
		o, err := fn(ctx, c, params, i)
		if err != nil {
			return err
		}
		return c.writeFields(out, reflect.ValueOf(&o).Elem())
	}
	for _, opt := range opts {
		opt(&k)
	}
	k.invalid = errors.Join(wrapField("parameters", errParams), wrapField("inputs", errIn), wrapField("outputs", errOut), checkNewParams[P](k))
	if fn == nil {
		k.Run = nil
	}
	return k
}

// NeverCache is an option of Typed for a function with side effects, or whose result its parameters and inputs do not decide.
func NeverCache(k *Kind) { k.NeverCache = true }

// Expands is an option of Typed for a function that returns stages by Call.Expand.
func Expands(k *Kind) { k.Expands = true }

// newParams returns a pointer to parameters that hold their defaults.
func newParams[P any]() any {
	p := new(P)
	if d, ok := any(p).(interface{ Defaults() }); ok {
		d.Defaults()
	}
	return p
}

// checkNewParams refuses an option that gives parameters which the function does not take.
func checkNewParams[P any](k Kind) error {
	if k.Params == nil {
		return nil
	}
	if p, ok := k.Params().(*P); !ok || p == nil {
		return fmt.Errorf("parameters: Params returns %T, and the function takes %s", k.Params(), reflect.TypeFor[P]())
	}
	return nil
}

func wrapField(what string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", what, err)
}

// checkParams refuses parameters that are no struct of what JSON can hold.
func checkParams(t reflect.Type) error {
	if t.Kind() != reflect.Struct {
		return fmt.Errorf("%s is no struct", t)
	}
	return jsonable(t, true, nil)
}

// field is one input or output of a Typed kind.
type field struct {
	index          int
	name           string
	many, optional bool
	raw            bool // its bytes, not JSON
}

func (f field) mediaType() string {
	if f.raw {
		return "application/octet-stream"
	}
	return "application/json"
}

// fieldsOf returns the exported fields of a struct, in their order.
func fieldsOf(t reflect.Type, input bool) ([]field, error) {
	if t.Kind() != reflect.Struct {
		return nil, fmt.Errorf("%s is no struct", t)
	}
	var fields []field
	for i := range t.NumField() {
		sf := t.Field(i)
		if sf.Anonymous {
			return nil, fmt.Errorf("field %s is embedded; name it", sf.Name)
		}
		if !sf.IsExported() || sf.Tag.Get("json") == "-" {
			continue
		}
		f := field{index: i, name: fieldName(sf)}
		element := sf.Type
		switch {
		case isBytes(element):
			f.raw = true
		case input && element.Kind() == reflect.Pointer:
			f.optional, element = true, element.Elem()
			f.raw = isBytes(element)
		case input && element.Kind() == reflect.Slice && !decodesItself(element):
			f.many, element = true, element.Elem()
			f.raw = isBytes(element)
		}
		if err := jsonable(element, input, nil); err != nil {
			return nil, fmt.Errorf("field %s: %w", sf.Name, err)
		}
		fields = append(fields, f)
	}
	return fields, nil
}

// fieldName is the name in the json tag, else the field's name as kinds name things.
func fieldName(sf reflect.StructField) string {
	if tag, _, _ := strings.Cut(sf.Tag.Get("json"), ","); tag != "" {
		return tag
	}
	var b strings.Builder
	letters := []rune(sf.Name)
	for i, r := range letters {
		startsWord := i > 0 && unicode.IsUpper(r) && (!unicode.IsUpper(letters[i-1]) || i+1 < len(letters) && unicode.IsLower(letters[i+1]))
		if startsWord && letters[i-1] != '_' {
			b.WriteByte('_')
		}
		b.WriteRune(unicode.ToLower(r))
	}
	return b.String()
}

// isBytes tells []byte from json.RawMessage, which is JSON.
func isBytes(t reflect.Type) bool { return t == reflect.TypeFor[[]byte]() }

var (
	marshaler       = reflect.TypeFor[json.Marshaler]()
	unmarshaler     = reflect.TypeFor[json.Unmarshaler]()
	textMarshaler   = reflect.TypeFor[encoding.TextMarshaler]()
	textUnmarshaler = reflect.TypeFor[encoding.TextUnmarshaler]()
)

// decodesItself reports whether a type has its own way of reading JSON.
func decodesItself(t reflect.Type) bool {
	p := reflect.PointerTo(t)
	return p.Implements(unmarshaler) || p.Implements(textUnmarshaler)
}

// jsonable says why values of a type cannot be written as JSON, or read where that is asked for. within are the types
// that it is part of.
func jsonable(t reflect.Type, read bool, within []reflect.Type) error {
	for _, w := range within {
		if w == t {
			return nil // it is being looked at
		}
	}
	within = append(within, t)
	if read && decodesItself(t) || !read && (t.Implements(marshaler) || t.Implements(textMarshaler)) {
		return nil
	}
	switch t.Kind() {
	case reflect.Chan, reflect.Func, reflect.Complex64, reflect.Complex128, reflect.UnsafePointer:
		return fmt.Errorf("%s cannot be JSON", t)
	case reflect.Interface:
		if read && t.NumMethod() > 0 {
			return fmt.Errorf("%s cannot be read from JSON: it is an interface", t)
		}
	case reflect.Pointer, reflect.Slice, reflect.Array:
		return jsonable(t.Elem(), read, within)
	case reflect.Map:
		if err := jsonableKey(t.Key(), read); err != nil {
			return err
		}
		return jsonable(t.Elem(), read, within)
	case reflect.Struct:
		for i := range t.NumField() {
			sf := t.Field(i)
			if sf.Tag.Get("json") == "-" || !sf.IsExported() && !sf.Anonymous {
				continue
			}
			if err := jsonable(sf.Type, read, within); err != nil {
				return fmt.Errorf("%s.%s: %w", t, sf.Name, err)
			}
		}
	}
	return nil
}

// jsonableKey says why a type cannot be the key of an object.
func jsonableKey(t reflect.Type, read bool) error {
	switch t.Kind() {
	case reflect.String, reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64, reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64, reflect.Uintptr:
		return nil
	}
	if read && reflect.PointerTo(t).Implements(textUnmarshaler) || !read && t.Implements(textMarshaler) {
		return nil
	}
	return fmt.Errorf("a map with keys of type %s cannot be JSON", t)
}

// readFields decodes the inputs into the fields of v.
func (c *Call) readFields(fields []field, v reflect.Value) error {
	for _, f := range fields {
		blobs, err := c.Inputs(f.name)
		if err != nil {
			return err
		}
		to := v.Field(f.index)
		switch {
		case f.many:
			to.Set(reflect.MakeSlice(to.Type(), len(blobs), len(blobs)))
			for i, b := range blobs {
				if err := f.read(b, to.Index(i)); err != nil {
					return err
				}
			}
		case len(blobs) == 0 && f.optional:
		case len(blobs) == 0:
			return Permanent(fmt.Errorf("input %s is absent", f.name))
		case f.optional:
			to.Set(reflect.New(to.Type().Elem()))
			err = f.read(blobs[0], to.Elem())
		default:
			err = f.read(blobs[0], to)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// read decodes one artifact.
func (f field) read(blob *artifact.Blob, to reflect.Value) error {
	b := make([]byte, blob.Size())
	if _, err := io.ReadFull(blob, b); err != nil {
		return fmt.Errorf("input %s: %w", f.name, err)
	}
	if f.raw {
		to.SetBytes(b)
		return nil
	}
	if err := json.Unmarshal(b, to.Addr().Interface()); err != nil {
		return Permanent(fmt.Errorf("input %s: %w", f.name, err))
	}
	return nil
}

// writeFields writes the fields of v as outputs.
func (c *Call) writeFields(fields []field, v reflect.Value) error {
	for _, f := range fields {
		value := v.Field(f.index).Interface()
		b, raw := value.([]byte)
		if !raw {
			var err error
			if b, err = json.Marshal(value); err != nil { // such as a NaN
				return Permanent(fmt.Errorf("output %s: %w", f.name, err))
			}
			b = append(b, '\n')
		}
		w, err := c.Create(f.name)
		if err != nil {
			return err
		}
		if _, err := w.Write(b); err != nil {
			return err
		}
	}
	return nil
}
