package pipeline

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/hashline/hashline/artifact"
)

// lookUp takes a stored result whose every output verifies. Damage is a miss and an event, never an answer.
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
		err := x.Store.VerifyOutput(ctx, o)
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

// miss says what keeps an action from being a hit.
func (x *Executor) miss(ctx context.Context, a *action) (err error) {
	a.out.Cache = CacheMiss
	if a.earlier, err = x.Store.RecentActions(ctx, a.kind.Name); err != nil {
		return err
	}
	a.out.MissReason = missReason(a.parts, a.earlier)
	x.emit(StepCacheMiss, a.out.MissReason, nil)
	return nil
}

// publish stores the action result and says what is notable about it.
func (x *Executor) publish(ctx context.Context, a *action) error {
	start := time.Now()
	out := a.out
	defer func() { out.StoreS += time.Since(start).Seconds() }()
	r := &artifact.ActionResult{
		Schema: artifact.ActionSchema, Kind: a.kind.Name, Components: a.parts, Outputs: out.Outputs, Warnings: out.Warnings,
		Code: out.Code, Worker: x.Worker, CreatedAt: time.Now().UTC(), ComputeS: out.ComputeS,
	}
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
	for _, e := range a.earlier {
		if e.SameOutputs(r) {
			x.emit(StepEarlyCutoff, "it made what it had made before", nil)
			break
		}
	}
	x.emitStored(a.kind, r.Outputs)
	return nil
}

// emitStored tells which blobs a stage stored.
func (x *Executor) emitStored(k Kind, outputs []artifact.Output) {
	var blobs []artifact.Output
	for _, o := range outputs {
		if !k.Inline || o.Size > InlineLimit {
			blobs = append(blobs, o)
		}
	}
	if len(blobs) == 0 || x.Emit == nil {
		return
	}
	if data, err := json.Marshal(blobs); err == nil {
		x.emit(BlobStored, fmt.Sprintf("%d outputs", len(blobs)), map[string]string{"outputs": string(data)})
	}
}

func (x *Executor) present(ctx context.Context, outputs []artifact.Output) bool {
	for _, o := range outputs {
		if x.Store.VerifyOutput(ctx, o) != nil {
			return false
		}
	}
	return true
}
