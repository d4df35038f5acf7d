package tasks

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"
	"pgregory.net/rapid"

	"github.com/hashline/hashline/artifact"
	"github.com/hashline/hashline/pipeline"
)

// witness notes what a worker opens, writes and runs.
type witness struct {
	artifact.Backend
	mu    sync.Mutex
	names map[string]bool
	texts map[string]bool // parameters of stages that ran
}

func (w *witness) note(name string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.names[name] = true
}

func (w *witness) Open(ctx context.Context, name string) (artifact.Object, error) {
	w.note(name)
	return w.Backend.Open(ctx, name)
}

func (w *witness) Begin(ctx context.Context) (artifact.Upload, error) {
	u, err := w.Backend.Begin(ctx)
	return witnessedUpload{u, w}, err
}

type witnessedUpload struct {
	artifact.Upload
	w *witness
}

func (u witnessedUpload) Commit(ctx context.Context, name string, o artifact.CommitOptions) (bool, error) {
	u.w.note(name)
	return u.Upload.Commit(ctx, name, o)
}

// vandal is a worker whose Redis somebody spoils.
type vandal struct {
	server  *miniredis.Miniredis
	redis   *redis.Client
	client  *Client
	worker  *Worker
	witness *witness
}

func newVandal(t *testing.T) *vandal {
	ctx := context.Background()
	v := &vandal{server: miniredis.RunT(t)}
	conn, err := Dial(ctx, "redis://"+v.server.Addr())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	v.redis = redis.NewClient(&redis.Options{Addr: v.server.Addr(), Protocol: 2})
	t.Cleanup(func() { _ = v.redis.Close() })
	backend, err := artifact.Dir(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	v.witness = &witness{Backend: backend}
	v.forget()
	store, err := artifact.New(ctx, v.witness)
	if err != nil {
		t.Fatal(err)
	}
	registry, err := pipeline.NewRegistry(nil, v.kinds()...)
	if err != nil {
		t.Fatal(err)
	}
	config := Config{Conn: conn, Store: store, Registry: registry}
	if v.client, err = NewClient(config); err != nil {
		t.Fatal(err)
	}
	if v.worker, err = NewWorker(config, WorkerOptions{Concurrency: 2, ID: "w"}); err != nil {
		t.Fatal(err)
	}
	return v
}

func (v *vandal) forget() {
	v.witness.mu.Lock()
	defer v.witness.mu.Unlock()
	v.witness.names, v.witness.texts = map[string]bool{}, map[string]bool{}
}

// kinds are text, which says what it ran with, and trap, which no plan has.
func (v *vandal) kinds() []pipeline.Kind {
	all := toyKinds()
	text := all[slices.IndexFunc(all, func(k pipeline.Kind) bool { return k.Name == "text" })]
	run := text.Run
	text.NeverCache = true
	text.Run = func(ctx context.Context, c *pipeline.Call) error {
		v.witness.mu.Lock()
		v.witness.texts[c.Params.(*textParams).Text] = true
		v.witness.mu.Unlock()
		return run(ctx, c)
	}
	trap := text
	trap.Name = "trap"
	trap.Run = func(context.Context, *pipeline.Call) error {
		v.witness.mu.Lock()
		defer v.witness.mu.Unlock()
		v.witness.texts["trap"] = true
		return nil
	}
	return []pipeline.Kind{text, trap}
}

// deliver gives the worker some of the tasks that asynq has, as asynq would.
func (v *vandal) deliver(n int) {
	inspector := asynq.NewInspectorFromRedisClient(v.redis)
	for range n {
		list, err := inspector.ListPendingTasks(DefaultQueue, asynq.PageSize(1))
		if err != nil || len(list) == 0 {
			return
		}
		_ = inspector.DeleteTask(DefaultQueue, list[0].ID)
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		_ = v.worker.ProcessTask(ctx, asynq.NewTask(TaskType, list[0].Payload)) // an error is an answer
		cancel()
	}
}

// names of the objects that a run may lead to.
func objects(run string) *regexp.Regexp {
	return regexp.MustCompile(`^(store-id|cas/v1/sha256/[0-9a-f]{2}/[0-9a-f]{64}|actions/[a-z0-9/._-]*|runs/` + regexp.QuoteMeta(run) + `/(started|record|events|events-[0-9]+-[0-9]+)\.jsonl?)$`)
}

// Whatever stands in Redis, a worker answers without a panic, runs no stage but those of the plan, with their parameters,
// and opens and writes nothing but blobs, action results and the documents of the run.
func TestSpoiledRedis(t *testing.T) {
	t.Parallel()
	v := newVandal(t)
	rapid.Check(t, func(t *rapid.T) {
		v.server.FlushAll()
		v.forget()
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		p := diamond()
		if err := p.Validate(v.client.registry); err != nil {
			t.Fatal(err)
		}
		id, err := v.client.Submit(ctx, Request{Plan: p, Attempts: 2})
		if err != nil {
			t.Fatal(err)
		}
		if err := v.worker.beat(ctx); err != nil {
			t.Fatal(err)
		}
		for range rapid.IntRange(1, 3).Draw(t, "rounds") {
			v.deliver(rapid.IntRange(0, 3).Draw(t, "tasks"))
			for range rapid.IntRange(1, 3).Draw(t, "spoiled") {
				v.spoil(t)
			}
			v.everything(ctx, id)
		}
		v.judge(t, id)
	})
}

// everything asks the worker and the client for all that they do with a run.
func (v *vandal) everything(ctx context.Context, id string) {
	v.deliver(3)
	v.worker.heartbeat(ctx)
	_ = v.worker.reconcileRuns(ctx)
	v.deliver(2)
	_, _ = v.client.Record(ctx, id)
	_, _ = v.client.Workers(ctx)
	_ = v.client.Pause(ctx, id)
	_ = v.client.Resume(ctx, id)
	_ = v.client.Signal(ctx, id, "x")
	short, cancel := context.WithTimeout(ctx, 5*time.Millisecond)
	defer cancel()
	_ = v.client.Watch(short, id, "", func(pipeline.Event) error { return nil })
	_ = v.client.Cancel(ctx, id, "enough")
	_ = v.worker.reconcileRuns(ctx)
	_ = v.client.settleRun(ctx, id)
}

func (v *vandal) judge(t *rapid.T, id string) {
	v.witness.mu.Lock()
	defer v.witness.mu.Unlock()
	for name := range v.witness.names {
		if !objects(id).MatchString(name) {
			t.Errorf("the object %q was opened or written", name)
		}
	}
	for text := range v.witness.texts {
		if !slices.Contains([]string{"a", "b", "c", "d"}, text) {
			t.Errorf("a stage ran with %q", text)
		}
	}
}

// values are what a field may hold of the worst: other types, numbers out of range, paths, and words with a meaning.
var values = []string{"", "0", "-1", "1", "2", "99999999999999999999", "1e309", "nan", "null", "[]", "{}", `"x"`, `["a"]`, `[1,2]`, `{"outputs":null}`, `{"outputs":[{}]}`,
	`{"outputs":[{"name":"out","digest":"sha256:../../../../etc/passwd","size":1}]}`, `{"outputs":[{"name":"out","digest":"sha256:` + strings.Repeat("0", 64) + `","size":-1}]}`,
	`{"outputs":[{"name":"out","digest":"sha256:` + strings.Repeat("a", 64) + `","size":9223372036854775807}]}`, "../../../../etc/passwd", "a\n1", "\n", "a\n-1", "trap", "RUNNING", "READY", "PENDING", "WAITING", "SUCCEEDED",
	"FAILED", "SKIPPED", "CANCELED", "sha256:" + strings.Repeat("f", 64), `{"schema":"hashline.task/2"}`, "w", "a", "b", strings.Repeat("[", 2000), "\xff\x00"}

func drawValue(t *rapid.T) string {
	if one(t, 4) {
		return string(rapid.SliceOfN(rapid.Byte(), 0, 40).Draw(t, "bytes"))
	}
	return rapid.SampledFrom(values).Draw(t, "value")
}

// spoil changes something in Redis: a key, or a part of it.
func (v *vandal) spoil(t *rapid.T) {
	ctx := context.Background()
	keys := v.server.Keys()
	if len(keys) == 0 {
		return
	}
	key := rapid.SampledFrom(keys).Draw(t, "key")
	value := drawValue(t)
	if one(t, 5) {
		v.replace(t, key, value)
		return
	}
	switch kind := v.redis.Type(ctx, key).Val(); kind {
	case "hash":
		field := rapid.SampledFrom(append(v.redis.HKeys(ctx, key).Val(), "made|a", "def|b", "alone|a", "pool|a", "signal|b", "cancel", "paused", "deadline", "chunks", drawValue(t))).Draw(t, "field")
		if one(t, 4) {
			v.redis.HDel(ctx, key, field)
		} else {
			v.redis.HSet(ctx, key, field, value)
		}
	case "zset":
		v.redis.ZAdd(ctx, key, redis.Z{Score: rapid.Float64().Draw(t, "score"), Member: value})
	case "set":
		v.redis.SAdd(ctx, key, value)
	case "list":
		v.redis.LPush(ctx, key, value)
	case "stream":
		v.redis.XAdd(ctx, &redis.XAddArgs{Stream: key, Values: []any{"type", value, drawValue(t), drawValue(t)}})
	default:
		v.redis.Set(ctx, key, value, 0)
	}
}

// replace puts another type, or nothing, in the place of a key.
func (v *vandal) replace(t *rapid.T, key, value string) {
	ctx := context.Background()
	v.redis.Del(ctx, key)
	switch rapid.SampledFrom([]string{"nothing", "string", "list", "hash", "zset", "set", "stream"}).Draw(t, "type") {
	case "string":
		v.redis.Set(ctx, key, value, 0)
	case "list":
		v.redis.LPush(ctx, key, value)
	case "hash":
		v.redis.HSet(ctx, key, value, value)
	case "zset":
		v.redis.ZAdd(ctx, key, redis.Z{Score: 1, Member: value})
	case "set":
		v.redis.SAdd(ctx, key, value)
	case "stream":
		v.redis.XAdd(ctx, &redis.XAddArgs{Stream: key, Values: []any{"x", value}})
	}
}

// FuzzTask gives a worker tasks of any kind. The state of a run that they may name is there.
func FuzzTask(f *testing.F) {
	run := "20260101-000000-abcdef"
	f.Add([]byte(fmt.Sprintf(`{"schema":%q,"run":%q,"stage":"a","kind":"text","attempt":1,"store":"","plan":{"digest":"sha256:%s","size":1}}`, payloadSchema, run, strings.Repeat("0", 64))))
	f.Add([]byte(fmt.Sprintf(`{"schema":%q,"run":%q,"stage":"b","kind":"trap","attempt":1}`, payloadSchema, run)))
	f.Add([]byte(`{"schema":"hashline.task/9"}`))
	f.Add([]byte("{"))
	f.Fuzz(func(t *testing.T, b []byte) {
		v := newVandal(t)
		ctx := context.Background()
		p := diamond()
		if err := p.Validate(v.client.registry); err != nil {
			t.Fatal(err)
		}
		if _, err := v.client.Submit(ctx, Request{RunID: run, Plan: p}); err != nil {
			t.Fatal(err)
		}
		_ = v.worker.ProcessTask(ctx, asynq.NewTask(TaskType, b))
		v.witness.mu.Lock()
		defer v.witness.mu.Unlock()
		if v.witness.texts["trap"] {
			t.Error("a stage ran that no plan has")
		}
	})
}
