package main

import (
	"errors"

	"github.com/spf13/cobra"

	"github.com/hashline/hashline/ml/model"
	"github.com/hashline/hashline/ml/onnx"
)

func (a *app) exportCommand() *cobra.Command {
	var file, format string
	c := &cobra.Command{
		Use:   "export RUN [MODEL]",
		Short: "Write a model of a run as ONNX or JSON, for use elsewhere",
		Long: `Export writes a model with its preprocessing. Without MODEL it is the one with the largest ROC AUC, or the
least RMSE.

onnx: raw columns in, label and probabilities out, or the prediction of a regression, for ONNX Runtime 1.20 or newer. Each input is a column of the training
data (rows x 1): numbers and truth values (0 or 1) are doubles, NaN where missing; texts are strings, empty where missing;
dates are strings such as 2016-11-08, empty where missing. "label" is a list of strings, "probabilities" has a column for
each class, in the order of the file's property "classes", calibrated where the model is, and "label" goes by its threshold
where it has one; of a regression there is "prediction", a list of doubles.

json: the file as the run has it, which ` + "`producer predict`" + ` and Go programs read (package ml/model); ml/model/FORMAT.md explains
its fields, and how to compute predictions from them.`,
		Example: "  producer export k3f9 random_forest --format onnx -o forest.onnx\n  producer export k3f9 logistic_regression --format json",
		Args:    cobra.RangeArgs(1, 2), ValidArgsFunction: a.completeRuns(1),
		RunE: func(c *cobra.Command, args []string) error {
			if format != "onnx" && format != "json" {
				return usage("--format %.40q is none", format).WithHint("want onnx or json")
			}
			r, err := a.resolve(c.Context(), args[0])
			if err != nil {
				return err
			}
			name := ""
			if len(args) == 2 {
				name = args[1]
			}
			b, _, err := modelOf(c.Context(), r, name)
			if err != nil {
				return err
			}
			if b, err = exported(b, format); err != nil {
				return foreign(r, err)
			}
			return a.deliver(b, file)
		},
	}
	outputFlag(c, &file)
	c.Flags().StringVar(&format, "format", "onnx", "`format`: onnx, or json")
	return c
}

func exported(b []byte, format string) ([]byte, error) {
	m, err := model.Parse(b)
	switch {
	case format == "json" && errors.Is(err, model.ErrUnknownKind): // the file is what is wanted
		return b, nil
	case err != nil || format == "json":
		return b, err
	}
	return onnx.Export(m)
}
