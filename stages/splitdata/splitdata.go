// Package splitdata is the stage that divides a dataset into a training and a test part, and says what a model has to
// beat: the majority and the best stump. It also warns of features that tell the target all alone.
package splitdata

import (
	"context"
	"fmt"

	"github.com/hashline/hashline/artifact"
	"github.com/hashline/hashline/ml/csv"
	"github.com/hashline/hashline/ml/dataset"
	"github.com/hashline/hashline/ml/frame"
	"github.com/hashline/hashline/ml/leak"
	"github.com/hashline/hashline/ml/num"
	"github.com/hashline/hashline/ml/split"
	"github.com/hashline/hashline/pipeline"
	"github.com/hashline/hashline/stages/tables"
)

// Methods of splitting.
const (
	Stratified = "stratified" // every class has its share of the test part
	Group      = "group"      // rows with the same value of a column stay together
	Time       = "time"       // the latest rows are the test part
)

// Params of the stage.
type Params struct {
	Method   string  `json:"method"`
	TestSize float64 `json:"test_size"` // share of the rows
}

// Validate implements pipeline's check of parameters.
func (p *Params) Validate() error {
	if p.Method != Stratified && p.Method != Group && p.Method != Time {
		return fmt.Errorf("method %.40q is none of stratified, group and time", p.Method)
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
	Classes   []Class         `json:"classes"`
	Baseline  Baseline        `json:"baseline"`
	Leaks     []leak.Leak     `json:"leaks"`
}

// Class is a class and its rows in both parts.
type Class struct {
	Class string `json:"class"`
	Train int    `json:"train"`
	Test  int    `json:"test"`
}

// Baseline is what a model has to beat on the test part.
type Baseline struct {
	Majority Majority    `json:"majority"`
	Stump    *leak.Stump `json:"stump"`
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
	if err := enoughClasses(train); err != nil {
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
	if p.Method != Stratified {
		info.Column = d.Split.Name
	}
	for _, l := range info.Leaks {
		c.Warn("POSSIBLE_LEAK", fmt.Sprintf("%s alone tells the target (ROC AUC %.4f on the training part): was it known before?", csv.Quote(l.Feature), float64(l.ROCAUC)), l.Feature)
	}
	return c.WriteJSON("info", info)
}

// enoughRows wants two classes of two rows, and warns of classes of one.
func enoughRows(c *pipeline.Call, d *dataset.Dataset) error {
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

// enoughClasses wants two classes in the training part, which a split by group or time may not give.
func enoughClasses(train *dataset.Dataset) error {
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

func divide(d *dataset.Dataset, p *Params, seed uint64) (split.Parts, error) {
	keyed := append(d.Features[:len(d.Features):len(d.Features)], &frame.Column{Name: "class", Type: frame.Category, Codes: d.Y, Levels: d.Classes})
	keys := split.Keys(keyed, len(d.Y), seed)
	if p.Method != Stratified && d.Split == nil {
		return split.Parts{}, fmt.Errorf("a split by %s needs a column to go by", p.Method)
	}
	switch p.Method {
	case Group:
		return split.Group(d.Split, keys, p.TestSize, seed)
	case Time:
		return split.Time(d.Split, p.TestSize)
	}
	return split.Stratified(d.Y, len(d.Classes), keys, p.TestSize)
}

func describe(train, test *dataset.Dataset, cores int) (*Info, error) {
	info := &Info{TrainRows: len(train.Y), TestRows: len(test.Y)}
	inTrain, inTest := train.Counts(), test.Counts()
	for i, class := range train.Classes {
		info.Classes = append(info.Classes, Class{class, inTrain[i], inTest[i]})
	}
	majority := train.Majority()
	info.Baseline.Majority = Majority{train.Classes[majority], num.Float(float64(inTest[majority]) / float64(len(test.Y)))}
	var err error
	info.Baseline.Stump, info.Leaks, err = leak.Look(train.Features, test.Features, train.Y, test.Y, len(train.Classes), cores)
	return info, err
}
