// Package splitdata is the stage that divides a dataset into a training and a test part, and says what a model has to
// beat: the majority and the best stump, or of numbers the mean and the best cut. It also warns of features that tell the
// target all alone.
package splitdata

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/hashline/hashline/artifact"
	"github.com/hashline/hashline/ml/csv"
	"github.com/hashline/hashline/ml/dataset"
	"github.com/hashline/hashline/ml/frame"
	"github.com/hashline/hashline/ml/leak"
	"github.com/hashline/hashline/ml/metrics"
	"github.com/hashline/hashline/ml/num"
	"github.com/hashline/hashline/ml/split"
	"github.com/hashline/hashline/pipeline"
	"github.com/hashline/hashline/stages/tables"
)

// Methods of splitting.
const (
	Stratified = "stratified" // every class has its share of the test part
	Random     = "random"     // any row may go to it
	Group      = "group"      // rows with the same value of a column stay together
	Time       = "time"       // the latest rows are the test part
)

// Methods are all of them.
var Methods = []string{Stratified, Random, Group, Time}

// ByColumn reports whether a column says which rows stay together, or which come last.
func ByColumn(method string) bool { return method == Group || method == Time }

// Params of the stage.
type Params struct {
	Method   string  `json:"method"`
	TestSize float64 `json:"test_size"` // share of the rows
}

// Validate implements pipeline's check of parameters.
func (p *Params) Validate() error {
	if !slices.Contains(Methods, p.Method) {
		return fmt.Errorf("method %.40q is none of %s", p.Method, strings.Join(Methods, ", "))
	}
	if !(p.TestSize > 0 && p.TestSize < 1) {
		return fmt.Errorf("test_size is %v, want a share between 0 and 1", p.TestSize)
	}
	return nil
}

// Info is the output of that name.
type Info struct {
	Table     artifact.Digest `json:"table"` // what was divided
	Seed      uint64          `json:"seed"`
	Method    string          `json:"method"`
	Column    string          `json:"column"`
	TestSize  float64         `json:"test_size"`
	TrainRows int             `json:"train_rows"`
	TestRows  int             `json:"test_rows"`
	Classes   []Class         `json:"classes"` // null of numbers
	Baseline  Baseline        `json:"baseline"`
	Leaks     []leak.Leak     `json:"leaks"` // null of numbers

	NumberLeaks []leak.NumberLeak `json:"number_leaks,omitempty"` // of numbers
}

// Class is a class and its rows in both parts.
type Class struct {
	Class string `json:"class"`
	Train int    `json:"train"`
	Test  int    `json:"test"`
}

// Baseline is what a model has to beat on the test part: Majority and Stump of classes, Mean and Cut of numbers. There is
// no Stump or Cut without features.
type Baseline struct {
	Majority *Majority   `json:"majority"`
	Stump    *leak.Stump `json:"stump"`
	Mean     *Mean       `json:"mean,omitempty"`
	Cut      *leak.Cut   `json:"cut,omitempty"`
}

// Mean always answers the mean of the training part.
type Mean struct {
	Value num.Float `json:"value"`
	metrics.Regression
}

// Majority always answers the most frequent class of the training part.
type Majority struct {
	Class    string    `json:"class"`
	Accuracy num.Float `json:"accuracy"`
}

// Kind describes the stage. Outputs train and test are datasets, output info is an Info.
func Kind() pipeline.Kind {
	return pipeline.Kind{
		Name: "split_data", Doc: "divides the rows, finds the baselines and possible leaks", Package: "stages/splitdata", Seeded: true,
		Inputs: []pipeline.InputSpec{{Role: "table"}},
		Outputs: []pipeline.OutputSpec{{Name: "train", Class: pipeline.Result, MediaType: tables.MediaType},
			{Name: "test", Class: pipeline.Result, MediaType: tables.MediaType},
			{Name: "info", Class: pipeline.Result, MediaType: "application/json"}},
		Params: func() any { return &Params{Method: Stratified, TestSize: 0.2} },
		Run:    run,
	}
}

func run(_ context.Context, c *pipeline.Call) error {
	p := c.Params.(*Params)
	d, err := tables.ReadDataset(c, "table")
	if err != nil {
		return err
	}
	if err := enoughRows(c, d); err != nil {
		return err
	}
	parts, err := divide(d, p, c.Seed)
	if err != nil {
		return pipeline.BadInput("%v", err).WithHint("change the test size or the split")
	}
	train, test := d.Take(parts.Train), d.Take(parts.Test)
	if err := enoughToLearn(train); err != nil {
		return err
	}
	warnAbsent(c, "training", train, d.Counts())
	warnAbsent(c, "test", test, d.Counts())
	if err := tables.WriteDataset(c, "train", train); err != nil {
		return err
	}
	if err := tables.WriteDataset(c, "test", test); err != nil {
		return err
	}
	info, err := describe(train, test, c.Cores)
	if err != nil {
		return err
	}
	info.Method, info.TestSize, info.Seed = p.Method, p.TestSize, c.Seed
	table, _ := c.Ref("table")
	info.Table = table.Digest
	if ByColumn(p.Method) {
		info.Column = d.Split.Name
	}
	for _, l := range info.Leaks {
		c.Warn("POSSIBLE_LEAK", fmt.Sprintf("%s alone tells the target (ROC AUC %.4f on the training part): was it known before?", csv.Quote(l.Feature), float64(l.ROCAUC)), l.Feature)
	}
	for _, l := range info.NumberLeaks {
		c.Warn("POSSIBLE_LEAK", fmt.Sprintf("%s alone tells the order of the target (R2 of the ranks %.4f within the training part): was it known before?", csv.Quote(l.Feature), float64(l.R2)), l.Feature)
	}
	return c.WriteJSON("info", info)
}

// enoughRows wants two classes of two rows, and warns of classes of one. What numbers want, divide finds out.
func enoughRows(c *pipeline.Call, d *dataset.Dataset) error {
	if d.Numeric() {
		return nil
	}
	usable := 0
	for class, n := range d.Counts() {
		if n >= 2 {
			usable++
		}
		if n == 1 {
			c.Warn("SINGLE_ROW_CLASS", fmt.Sprintf("the class %s has one row, which goes to the training part", csv.Quote(d.Classes[class])), "")
		}
	}
	if usable < 2 {
		return pipeline.BadInput("the target %s has %s with two rows or more; learning needs two", csv.Quote(d.Expression), []string{"no class", "one class"}[usable]).
			WithHint("choose another target or threshold")
	}
	return nil
}

// warnAbsent tells of classes of two rows or more that a part does not have, as may be after a split by group or time.
func warnAbsent(c *pipeline.Call, name string, part *dataset.Dataset, all []int) {
	for class, n := range part.Counts() {
		if n == 0 && all[class] >= 2 {
			c.Warn("CLASS_ABSENT", fmt.Sprintf("the %s part has no row of the class %s", name, csv.Quote(part.Classes[class])), "")
		}
	}
}

// enoughToLearn wants two classes, or numbers, in the training part, which a split may not give.
func enoughToLearn(train *dataset.Dataset) error {
	if train.Numeric() {
		if slices.Min(train.Target) == slices.Max(train.Target) {
			return pipeline.BadInput("the training part has only one value of %s", csv.Quote(train.Expression)).WithHint("change the test size or the split")
		}
		return nil
	}
	present := 0
	for _, n := range train.Counts() {
		if n > 0 {
			present++
		}
	}
	if present < 2 {
		return pipeline.BadInput("the training part has only one class of %s", csv.Quote(train.Expression)).WithHint("change the test size or the split")
	}
	return nil
}

// Keys ranks the rows by their content, features and target; see split.Keys.
func Keys(d *dataset.Dataset, seed uint64) []uint64 {
	target := &frame.Column{Name: "class", Type: frame.Category, Codes: d.Y, Levels: d.Classes}
	if d.Numeric() {
		target = &frame.Column{Name: "number", Type: frame.Float, Num: d.Target}
	}
	return split.Keys(append(d.Features[:len(d.Features):len(d.Features)], target), d.Rows(), seed)
}

func divide(d *dataset.Dataset, p *Params, seed uint64) (split.Parts, error) {
	keys := Keys(d, seed)
	if ByColumn(p.Method) && d.Split == nil {
		return split.Parts{}, fmt.Errorf("a split by %s needs a column to go by", p.Method)
	}
	switch p.Method {
	case Random: // as if all rows were of one class
		return split.Stratified(make([]int32, d.Rows()), 1, keys, p.TestSize)
	case Group:
		return split.Group(d.Split, keys, p.TestSize, seed)
	case Time:
		return split.Time(d.Split, p.TestSize)
	}
	if d.Numeric() {
		return split.Parts{}, errors.New("a stratified split needs classes, and the target is a number")
	}
	return split.Stratified(d.Y, len(d.Classes), keys, p.TestSize)
}

func describe(train, test *dataset.Dataset, cores int) (*Info, error) {
	info := &Info{TrainRows: train.Rows(), TestRows: test.Rows()}
	if train.Numeric() {
		return info, info.numbers(train, test, cores)
	}
	inTrain, inTest := train.Counts(), test.Counts()
	for i, class := range train.Classes {
		info.Classes = append(info.Classes, Class{class, inTrain[i], inTest[i]})
	}
	majority := train.Majority()
	info.Baseline.Majority = &Majority{train.Classes[majority], num.Float(float64(inTest[majority]) / float64(len(test.Y)))}
	var err error
	info.Baseline.Stump, info.Leaks, err = leak.Look(train.Features, test.Features, train.Y, test.Y, len(train.Classes), cores)
	return info, err
}

// numbers finds the baselines and possible leaks of a numeric target.
func (i *Info) numbers(train, test *dataset.Dataset, cores int) error {
	mean := num.Mean(train.Target)
	constant := make([]float64, test.Rows())
	for r := range constant {
		constant[r] = mean
	}
	figures, _, err := metrics.EvaluateRegression(constant, test.Target)
	if err != nil {
		return err
	}
	i.Baseline.Mean = &Mean{num.Float(mean), *figures}
	i.Baseline.Cut, i.NumberLeaks, err = leak.LookNumbers(train.Features, test.Features, train.Target, test.Target, cores)
	return err
}
