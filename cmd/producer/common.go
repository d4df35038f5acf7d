package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"
	"unicode"

	"github.com/hashline/hashline"
	"github.com/hashline/hashline/artifact"
	"github.com/hashline/hashline/artifact/s3"
	"github.com/hashline/hashline/pipeline"
	"github.com/hashline/hashline/stages"
	"github.com/hashline/hashline/summary"
	"github.com/hashline/hashline/tasks"
)

const defaultStoreText = "$XDG_DATA_HOME/hashline, else ~/.local/share/hashline"

// storeLocation is where the store lies.
func (a *app) storeLocation() string {
	if a.store != "" {
		return a.store
	}
	if d := os.Getenv("XDG_DATA_HOME"); filepath.IsAbs(d) {
		return filepath.Join(d, "hashline")
	}
	if h, err := os.UserHomeDir(); err == nil {
		return filepath.Join(h, ".local", "share", "hashline")
	}
	return ".hashline"
}

func (a *app) openStore(ctx context.Context) (*artifact.Store, error) {
	return artifact.Open(ctx, a.storeLocation(), s3.Scheme)
}

// readStore opens the store of a command that makes none: a name that is mistyped must not become a folder.
func (a *app) readStore(ctx context.Context) (*artifact.Store, error) {
	store, err := artifact.OpenExisting(ctx, a.storeLocation(), s3.Scheme)
	if errors.Is(err, artifact.ErrNoStore) {
		return nil, fmt.Errorf("%w: %w", artifact.ErrNoStore, usage("%v", err).WithHint("`producer submit` makes one; --store names another"))
	}
	return store, err
}

// knownStore is readStore for commands that do without a store: nil where there is none.
func (a *app) knownStore(ctx context.Context) (*artifact.Store, error) {
	store, err := a.readStore(ctx)
	if errors.Is(err, artifact.ErrNoStore) {
		return nil, nil
	}
	return store, err
}

func newRegistry() (*pipeline.Registry, error) {
	return pipeline.NewRegistry(pipeline.NewCode(hashline.Module, hashline.Sources, hashline.Modules), stages.Kinds()...)
}

// plain makes text fit for one line of a terminal: what is not printable, line ends, escapes and marks that turn the
// direction of text among it, becomes visible and harmless.
func plain(s string) string {
	s = strings.ToValidUTF8(s, "\ufffd") // a lone byte may be an escape too
	if !strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) }) {
		return s
	}
	var b strings.Builder
	for _, r := range s {
		switch {
		case unicode.IsPrint(r):
			b.WriteRune(r)
		case r == '\t':
			b.WriteByte(' ')
		case r == '\n':
			b.WriteString(`\n`)
		default:
			fmt.Fprintf(&b, "\\u%04x", r)
		}
	}
	return b.String()
}

// counted is a number of things in words.
func counted(n int, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return fmt.Sprintf("%d %ss", n, thing)
}

// safeName makes a file name of a name: what a file system or a shell might take for something else becomes _.
func safeName(s string) string {
	return strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '_' || r == '-' || r == '.' {
			return r
		}
		return '_'
	}, strings.TrimLeft(s, "."))
}

// resolved is a run of the store.
type resolved struct {
	store  *artifact.Store
	record *pipeline.RunRecord
	live   bool // it is not over
}

// resolve finds a run by a unique prefix of its id.
func (a *app) resolve(ctx context.Context, prefix string) (*resolved, error) {
	store, err := a.readStore(ctx)
	if err != nil {
		return nil, err
	}
	id, err := store.ResolveRun(ctx, prefix)
	if err != nil {
		return nil, err
	}
	r, live, err := a.record(ctx, store, id)
	return &resolved{store, r, live}, err
}

// record reads a run that may not be over: its final record, else what Redis says, else how it started.
func (a *app) record(ctx context.Context, store *artifact.Store, id string) (*pipeline.RunRecord, bool, error) {
	b, err := store.Run(ctx, id, pipeline.RecordDocument)
	if err == nil {
		r, err := pipeline.ParseRecord(b)
		return r, false, err
	}
	if !errors.Is(err, artifact.ErrNotFound) {
		return nil, false, err
	}
	b, err = store.Run(ctx, id, pipeline.StartedDocument)
	if err != nil {
		return nil, false, err
	}
	r, err := pipeline.ParseRecord(b)
	if err != nil {
		return nil, false, err
	}
	if r.Mode == embeddedMode {
		alive, err := store.Locked(ctx, lockName(id))
		if err == nil && !alive {
			r.Status = pipeline.Interrupted
		}
		return r, alive, err
	}
	if a.redis == "" {
		return r, true, nil
	}
	client, err := a.client(ctx, store)
	if err != nil {
		return nil, false, err
	}
	now, err := client.Record(ctx, id)
	if errors.Is(err, tasks.ErrNoRun) {
		r.Status, err = lost(ctx, client, store)
		return r, false, err
	}
	return now, true, err
}

// lost is the status of a run that is not over as far as the store knows, and of which Redis has no trace. Where workers of the
// store are alive, it is the Redis of the run, which has lost it; else it may be another one, or another prefix.
func lost(ctx context.Context, client *tasks.Client, store *artifact.Store) (string, error) {
	workers, err := client.Workers(ctx)
	if slices.ContainsFunc(workers, func(w tasks.WorkerInfo) bool { return w.Store == store.ID() }) {
		return pipeline.Interrupted, err
	}
	return summary.Unknown, err
}

// unknown says why the status of a run is UNKNOWN, and what to do.
func unknown(run string) *pipeline.Error {
	return usage("Redis has no trace of run %s, which is not over as far as the store knows", run).
		WithHint("give the --redis and --redis-prefix that it was submitted with; if Redis has lost it, `producer retry %s` runs it again", run)
}

const (
	embeddedMode = "embedded"
	redisMode    = "redis"
)

func lockName(id string) string { return "run-" + id }

// dial connects to the Redis of the flags.
func (a *app) dial(ctx context.Context) (*tasks.Conn, error) {
	return tasks.Dial(ctx, a.redis, tasks.WithCA(a.redisCA), tasks.WithPrefix(a.prefix), tasks.WithCredentials(os.Getenv("HASHLINE_REDIS_USERNAME"), os.Getenv("HASHLINE_REDIS_PASSWORD")))
}

// client connects to the Redis of the flags, once; the connection ends with the process.
func (a *app) client(ctx context.Context, store *artifact.Store) (*tasks.Client, error) {
	a.connecting.Lock()
	defer a.connecting.Unlock()
	if a.connected != nil {
		return a.connected, nil
	}
	var err error
	a.connected, err = a.clientOf(ctx, store, "", nil)
	return a.connected, err
}

// clientOf connects to a queue, "" for the default one. The connection ends with the process.
func (a *app) clientOf(ctx context.Context, store *artifact.Store, queue string, log *slog.Logger) (*tasks.Client, error) {
	conn, err := a.dial(ctx)
	if err != nil {
		return nil, err
	}
	return tasks.NewClient(tasks.Config{Conn: conn, Store: store, Queue: queue, Log: log})
}

// writeJSON prints one document.
func writeJSON(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	return e.Encode(v)
}

// versions are those of the libraries that decide about bits, and of Go.
func versions() map[string]string {
	v := map[string]string{}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return v
	}
	v["go"] = info.GoVersion
	v["hashline"] = info.Main.Version
	keep := []string{"github.com/hibiken/asynq", "github.com/redis/go-redis/v9", "gonum.org/v1/gonum", "gonum.org/v1/plot", "github.com/parquet-go/parquet-go", "github.com/sjwhitworth/golearn"}
	for _, d := range info.Deps {
		if slices.Contains(keep, d.Path) {
			v[d.Path] = d.Version
		}
	}
	return v
}
