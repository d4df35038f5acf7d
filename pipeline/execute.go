package pipeline

import (
	"context"
	"fmt"
	"log/slog"
	"runtime/debug"
	"slices"
	"strconv"
	"time"

	"github.com/hashline/hashline/artifact"
)

// What the cache did for a stage.
const (
	CacheHit  = "hit"
	CacheMiss = "miss"
	CacheOff  = "off" // its kind is never cached, or there is no store
)

// Executor runs actions against a store. Its fields are set once; it is then safe for concurrent use.
type Executor struct {
	Store      *artifact.Store // nil: nothing is cached, and only Inline kinds can give anything
	Registry   *Registry
	Run        string // the run and the attempt that it executes for, which Call tells
	Attempt    int
	Worker     string       // who executes, for the record
	Cores      int          // goroutines that a stage may keep busy
	Log        *slog.Logger // nil: none
	Emit       func(Event)  // told what happens, without run and stage; may be nil
	Middleware []Middleware // around every stage function, the first outermost
	Flight     Flight       // nil: what others compute at the same time is computed here too
}

// Outcome is what executing a stage came to.
type Outcome struct {
	ActionKey  artifact.ActionKey // zero when the stage was skipped by its condition
	Cache      string
	MissReason string
	Code       string
	Outputs    []artifact.Output
	Warnings   []artifact.Warning
	Logs       *artifact.Ref // what the stage said by Call.Log, as text; nil: nothing
	FetchS     float64       // seconds spent reading inputs
	ComputeS   float64       // seconds spent in the stage function, less FetchS and StoreS
	StoreS     float64       // seconds spent writing outputs
	Computed   bool          // the stage function was called
}

// Execute returns the outputs of a stage: from the store when its action is known and every blob verifies, else by
// running it. The error is a *SkippedError when the stage's condition does not hold or its function said Skip. On any error
// the Outcome still holds what is known. No output is published after ctx has ended.
func (x *Executor) Execute(ctx context.Context, st Stage, seed uint64, inputs []Input) (*Outcome, error) {
	a, err := x.prepare(ctx, st, seed, inputs)
	if err != nil {
		return a.out, err
	}
	if a.cached() {
		if hit, err := x.lookUp(ctx, a.out); hit || err != nil {
			return a.out, x.done(a, err)
		}
		if x.Flight != nil {
			leave, waited, err := x.Flight.Enter(ctx, a.out.ActionKey)
			if err != nil {
				return a.out, err
			}
			defer leave()
			if waited {
				if hit, err := x.lookUp(ctx, a.out); hit || err != nil {
					return a.out, x.done(a, err)
				}
			}
		}
		if err := x.miss(ctx, a); err != nil {
			return a.out, err
		}
	}
	if err := x.run(ctx, a); err != nil {
		return a.out, err
	}
	if a.cached() {
		err = x.publish(ctx, a)
	}
	return a.out, x.done(a, err)
}

// action is an execution under way.
type action struct {
	stage   Stage
	kind    Kind
	params  any
	seed    uint64
	inputs  []Input
	parts   []artifact.Component
	earlier []*artifact.ActionResult // the newest of its kind
	store   *artifact.Store
	out     *Outcome
}

func (a *action) cached() bool { return a.store != nil && !a.kind.NeverCache }

// prepare evaluates the condition and computes the key.
func (x *Executor) prepare(ctx context.Context, st Stage, seed uint64, inputs []Input) (*action, error) {
	a := &action{stage: st, seed: seed, store: x.Store, out: &Outcome{}}
	kind, ok := x.Registry.Kind(st.Kind)
	if !ok {
		return a, fmt.Errorf("kind %q is not registered", st.Kind)
	}
	a.kind = kind
	var of *Input
	a.inputs, of = splitCondition(inputs)
	if st.If != nil {
		if err := x.condition(ctx, st.If, of, a.out); err != nil {
			return a, err
		}
	}
	params, canonical, err := kind.decodeParams(st.Params)
	if err != nil {
		return a, err
	}
	a.params = params
	if a.out.Code, err = x.Registry.Fingerprint(st.Kind); err != nil {
		return a, err
	}
	if a.parts, err = components(kind, st.Name, a.out.Code, canonical, seed, a.inputs); err != nil {
		return a, err
	}
	a.out.ActionKey = actionKey(a.parts)
	a.out.Cache = CacheOff
	x.emitInputs(a)
	return a, nil
}

// run calls the stage function, and publishes what it wrote when it returned without an error in time.
func (x *Executor) run(ctx context.Context, a *action) error {
	logs := newLogCapture(x.Log)
	call := &Call{
		Params: a.params, Cores: max(1, x.Cores), Log: logs.logger(), Run: x.Run, Stage: a.stage.Name, Attempt: x.Attempt, Worker: x.Worker,
		ctx: ctx, store: x.Store, kind: a.kind, inputs: a.inputs,
	}
	if a.kind.Seeded {
		call.Seed = a.seed
	}
	defer call.release()
	start := time.Now()
	a.out.Computed = true
	err := protect(ctx, x.handler(a.kind), call)
	a.out.ComputeS = (time.Since(start) - call.fetch - call.put).Seconds()
	a.out.Warnings = call.warnings
	if err == nil {
		err = ctx.Err()
	}
	if err == nil {
		err = call.returnStages(a.stage, x.Registry)
	}
	if err == nil {
		a.out.Outputs, err = call.publish()
	}
	a.out.FetchS += call.fetch.Seconds()
	a.out.StoreS = call.put.Seconds()
	x.keepLogs(ctx, logs, a.out)
	return x.explain(err)
}

// protect turns a panic of the stage function, or of what is around it, into an error of this attempt.
func protect(ctx context.Context, run Handler, call *Call) (err error) {
	defer func() {
		if p := recover(); p != nil {
			call.Log.Error("panic in a stage", "kind", call.kind.Name, "panic", p, "stack", string(debug.Stack()))
			err = &Error{Class: ClassInternal, Message: fmt.Sprintf("kind %s panicked: %v", call.kind.Name, p)}
		}
	}()
	return run(ctx, call)
}

// done tells what a stage gave.
func (x *Executor) done(a *action, err error) error {
	if err == nil && x.Emit != nil && len(a.out.Outputs) > 0 {
		data := make(map[string]string, len(a.out.Outputs))
		for _, o := range a.out.Outputs {
			data[o.Name] = o.Digest.String()
		}
		x.emit(StepOutput, counted(len(a.out.Outputs), "output"), data)
	}
	return err
}

// shownInputs bounds what STEP_INPUT lists.
const shownInputs = 16

// emitInputs tells what a stage works on.
func (x *Executor) emitInputs(a *action) {
	if x.Emit == nil || len(a.inputs) == 0 {
		return
	}
	data := make(map[string]string, min(len(a.inputs), shownInputs))
	for i, label := range a.kind.inputLabels(a.inputs[:min(len(a.inputs), shownInputs)]) {
		data[label] = a.inputs[i].Ref.Digest.String()
	}
	message := counted(len(a.inputs), "input")
	if len(a.inputs) > shownInputs {
		message += ", the first " + strconv.Itoa(shownInputs) + " of which are listed"
	}
	x.emit(StepInput, message, data)
}

// counted is a number with its noun.
func counted(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return strconv.Itoa(n) + " " + noun + "s"
}

func (x *Executor) emit(kind, message string, data map[string]string) {
	if x.Emit != nil {
		x.Emit(Event{Time: time.Now().UTC(), Type: kind, Message: message, Worker: x.Worker, Data: data})
	}
}

// handler is the stage function of a kind with the middleware around it.
func (x *Executor) handler(k Kind) Handler {
	h := Handler(k.Run)
	for _, m := range slices.Backward(x.Middleware) {
		h = m(h)
	}
	return h
}
