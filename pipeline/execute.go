package pipeline

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"time"

	"github.com/hashline/hashline/artifact"
)

// What the cache did for a stage.
const (
	CacheHit  = "hit"
	CacheMiss = "miss"
	CacheOff  = "off" // its kind is never cached
)

// Executor runs actions against a store. Its fields are set once; it is then safe for concurrent use.
type Executor struct {
	Store    *artifact.Store
	Registry *Registry
	Worker   string // who executes, for the record
	Cores    int    // goroutines that a stage may keep busy
	Log      *slog.Logger
	Emit     func(Event) // told what happens, without run and stage; may be nil
}

// Outcome is what executing a stage came to.
type Outcome struct {
	ActionKey  artifact.ActionKey
	Cache      string
	MissReason string
	Code       string
	Outputs    []artifact.Output
	Warnings   []artifact.Warning
	FetchS     float64 // seconds spent reading inputs
	ComputeS   float64 // seconds spent in the stage function, less FetchS and StoreS
	StoreS     float64 // seconds spent writing outputs
	Computed   bool    // the stage function was called
}

// Execute returns the outputs of a stage: from the store when its action is known and every blob verifies, else by
// running it. On an error the Outcome still holds what is known. Nothing is published after ctx has ended.
func (x *Executor) Execute(ctx context.Context, st Stage, seed uint64, inputs []Input) (*Outcome, error) {
	out := &Outcome{}
	kind, ok := x.Registry.Kind(st.Kind)
	if !ok {
		return out, fmt.Errorf("kind %q is not registered", st.Kind)
	}
	params, canonical, err := kind.decodeParams(st.Params)
	if err != nil {
		return out, err
	}
	if out.Code, err = x.Registry.Fingerprint(st.Kind); err != nil {
		return out, err
	}
	parts, err := components(kind, out.Code, canonical, seed, inputs)
	if err != nil {
		return out, err
	}
	out.ActionKey = actionKey(parts)
	out.Cache = CacheOff
	var earlier []*artifact.ActionResult
	if !kind.NeverCache {
		if hit, err := x.lookUp(ctx, out); hit || err != nil {
			return out, err
		}
		out.Cache = CacheMiss
		if earlier, err = x.Store.RecentActions(ctx, kind.Name); err != nil {
			return out, err
		}
		out.MissReason = missReason(parts, earlier)
		x.emit(StepCacheMiss, out.MissReason, nil)
	}
	result, err := x.run(ctx, kind, params, seed, inputs, out)
	if err != nil || kind.NeverCache {
		return out, err
	}
	result.Components = parts
	return out, x.publish(ctx, result, out, earlier)
}

// lookUp takes a stored result whose every blob verifies. Damage is a miss and an event, never an answer.
func (x *Executor) lookUp(ctx context.Context, out *Outcome) (hit bool, err error) {
	start := time.Now()
	defer func() { out.FetchS += time.Since(start).Seconds() }()
	r, err := x.Store.Action(ctx, out.ActionKey)
	if errors.Is(err, artifact.ErrNotFound) {
		return false, nil
	}
	if errors.Is(err, artifact.ErrCorrupt) {
		x.emit(BlobCorrupt, "action result "+out.ActionKey.String(), nil)
		return false, nil
	}
	if err != nil {
		return false, err
	}
	for _, o := range r.Outputs {
		err := x.Store.Verify(ctx, o.Ref)
		switch {
		case errors.Is(err, artifact.ErrCorrupt):
			x.emit(BlobCorrupt, fmt.Sprintf("output %s: its bytes no longer have their digest; it is computed again", o.Name), map[string]string{"digest": o.Digest.String()})
			return false, nil
		case errors.Is(err, artifact.ErrNotFound):
			return false, nil
		case err != nil:
			return false, err
		}
	}
	out.Cache, out.Outputs, out.Warnings = CacheHit, r.Outputs, r.Warnings
	x.emit(StepCacheHit, "computed before by "+r.Worker, nil)
	return true, nil
}

// run calls the stage function; a panic in it is an error of this attempt.
func (x *Executor) run(ctx context.Context, kind Kind, params any, seed uint64, inputs []Input, out *Outcome) (*artifact.ActionResult, error) {
	call := &Call{
		Params: params, Cores: max(1, x.Cores), Log: x.Log,
		ctx: ctx, store: x.Store, kind: kind, inputs: inputs, writers: map[string]*outputWriter{},
	}
	if call.Log == nil {
		call.Log = slog.New(slog.DiscardHandler)
	}
	if kind.Seeded {
		call.Seed = seed
	}
	defer call.release()
	start := time.Now()
	out.Computed = true
	err := protect(ctx, kind, call)
	out.ComputeS = (time.Since(start) - call.fetch - call.put).Seconds()
	out.Warnings = call.warnings
	if err == nil {
		err = ctx.Err()
	}
	if err == nil {
		out.Outputs, err = call.publish()
	}
	out.FetchS += call.fetch.Seconds()
	out.StoreS = call.put.Seconds()
	if err != nil {
		return nil, x.explain(err)
	}
	return &artifact.ActionResult{
		Schema: artifact.ActionSchema, Kind: kind.Name, Outputs: out.Outputs, Warnings: out.Warnings,
		Code: out.Code, Worker: x.Worker, CreatedAt: time.Now().UTC(), ComputeS: out.ComputeS,
	}, nil
}

// explain turns a damaged or missing input into an error that names it.
func (x *Executor) explain(err error) error {
	in, ok := errors.AsType[*inputError](err)
	if !ok {
		return err
	}
	switch {
	case errors.Is(err, artifact.ErrCorrupt):
		x.emit(BlobCorrupt, "input "+in.role+": its bytes no longer have their digest", map[string]string{"digest": in.ref.Digest.String()})
	case !errors.Is(err, artifact.ErrNotFound):
		return err
	}
	reason := (&Error{Class: ClassStageFailed, Message: fmt.Sprintf("the input %s (%s) is damaged or gone", in.role, in.ref.Digest)}).
		WithHint("submit the same file again: it is stored anew, and finished stages are reused")
	return &DamagedInput{Role: in.role, Ref: in.ref, reason: reason}
}

// DamagedInput says that an input is not in the store any more, or not with its bytes. It unwraps to an *Error. Whoever
// made the input can make it again.
type DamagedInput struct {
	Role   string
	Ref    artifact.Ref
	reason *Error
}

func (e *DamagedInput) Error() string { return e.reason.Message }

// Unwrap returns the error for the user.
func (e *DamagedInput) Unwrap() error { return e.reason }

func protect(ctx context.Context, kind Kind, call *Call) (err error) {
	defer func() {
		if p := recover(); p != nil {
			call.Log.Error("panic in a stage", "kind", kind.Name, "panic", p, "stack", string(debug.Stack()))
			err = &Error{Class: ClassInternal, Message: fmt.Sprintf("kind %s panicked: %v", kind.Name, p)}
		}
	}()
	return kind.Run(ctx, call)
}

// publish stores the action result and says what is notable about it.
func (x *Executor) publish(ctx context.Context, r *artifact.ActionResult, out *Outcome, earlier []*artifact.ActionResult) error {
	start := time.Now()
	defer func() { out.StoreS += time.Since(start).Seconds() }()
	won, err := x.Store.PutAction(ctx, out.ActionKey, r)
	if err != nil {
		return err
	}
	if !won.SameOutputs(r) {
		message := "this action gave other outputs before; both results are kept, and the first counts while its outputs are there"
		x.emit(NonDeterminism, message, map[string]string{"action_key": out.ActionKey.String()})
		out.Warnings = append(out.Warnings, artifact.Warning{Code: NonDeterminism, Message: message})
		if x.present(ctx, won.Outputs) {
			out.Outputs = won.Outputs
			return nil
		}
		return x.Store.ReplaceAction(ctx, out.ActionKey, r)
	}
	for _, e := range earlier {
		if e.SameOutputs(r) {
			x.emit(StepEarlyCutoff, "it made what it had made before", nil)
			break
		}
	}
	if data, err := json.Marshal(r.Outputs); err == nil {
		x.emit(BlobStored, fmt.Sprintf("%d outputs", len(r.Outputs)), map[string]string{"outputs": string(data)})
	}
	return nil
}

func (x *Executor) present(ctx context.Context, outputs []artifact.Output) bool {
	for _, o := range outputs {
		if x.Store.Verify(ctx, o.Ref) != nil {
			return false
		}
	}
	return true
}

func (x *Executor) emit(kind, message string, data map[string]string) {
	if x.Emit != nil {
		x.Emit(Event{Time: time.Now().UTC(), Type: kind, Message: message, Worker: x.Worker, Data: data})
	}
}
