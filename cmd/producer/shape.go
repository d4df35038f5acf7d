package main

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/hashline/hashline/summary"
)

// maxPipeline bounds a pipeline file that is kept with a run.
const maxPipeline = 1 << 20

// shapeOf keeps the flags that shape the plan, and the pipeline and search files, which are read now and not again.
func shapeOf(flags *pflag.FlagSet, o *pipelineOptions) (summary.Shape, error) {
	s := summary.Shape{Flags: []string{}}
	var shaping pipelineOptions
	own := &cobra.Command{}
	shaping.flags(own)
	flags.Visit(func(f *pflag.Flag) {
		if own.Flags().Lookup(f.Name) == nil || f.Name == "pipeline" || f.Name == "search" {
			return
		}
		values := []string{f.Value.String()}
		if list, ok := f.Value.(pflag.SliceValue); ok {
			values = list.GetSlice()
			if f.Value.Type() == "stringSlice" {
				values = []string{strings.Join(values, ",")}
			}
		}
		for _, v := range values {
			s.Flags = append(s.Flags, "--"+f.Name+"="+v)
		}
	})
	if err := o.loadSearch(); err != nil {
		return s, err
	}
	if o.search != "" && len(o.searchText) <= maxPipeline { // a larger one is refused
		s.SearchName, s.Search = filepath.Base(o.search), string(o.searchText)
	}
	if o.file == "" {
		return s, nil
	}
	if o.text == nil {
		b, err := os.ReadFile(o.file)
		if err != nil {
			return s, badFile(o.file, "the pipeline file cannot be read: %v", errors.Unwrap(err)).WithHint("`producer init` writes one")
		}
		o.text = b
	}
	if len(o.text) <= maxPipeline { // a larger one is refused
		s.PipelineName, s.Pipeline = filepath.Base(o.file), string(o.text)
	}
	return s, nil
}

// over puts flags over those of a shape. What a flag says of the same thing goes before; lists grow, but for --models.
func (o *pipelineOptions) over(old, new summary.Shape) summary.Shape {
	merged := old
	merged.Flags = slices.Clone(old.Flags)
	if o.changed("models") {
		merged.Flags = slices.DeleteFunc(merged.Flags, func(f string) bool { return strings.HasPrefix(f, "--models=") })
	}
	merged.Flags = append(merged.Flags, new.Flags...)
	if new.PipelineName != "" {
		merged.PipelineName, merged.Pipeline = new.PipelineName, new.Pipeline
	}
	if new.SearchName != "" {
		merged.SearchName, merged.Search = new.SearchName, new.Search
	}
	return merged
}

// submissionOf is the call of submit that a shape was kept of.
func (a *app) submissionOf(shape summary.Shape) (*submission, error) {
	s := &submission{app: a, shape: shape}
	c := &cobra.Command{}
	s.flags(c)
	if err := c.ParseFlags(shape.Flags); err != nil {
		return nil, flagError("--", err, "it was kept by another version of the program; submit the file again")
	}
	if shape.PipelineName != "" {
		s.file, s.text = shape.PipelineName, []byte(shape.Pipeline)
	}
	if shape.SearchName != "" {
		s.search, s.searchText = shape.SearchName, []byte(shape.Search)
	}
	return s, nil
}
