package tasks

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"

	"github.com/hashline/hashline/internal/needs"
	"github.com/hashline/hashline/pipeline"
)

// withUser gives a server the user of deploy/redis-user.conf under another name, and takes all rights from those without a
// password.
func withUser(t *testing.T, s *needs.Server, name, password string) {
	t.Helper()
	text, err := os.ReadFile("../deploy/redis-user.conf")
	if err != nil {
		t.Fatal(err)
	}
	_, rights, found := strings.Cut(string(text), "\nuser hashline on >PASSWORD ")
	if !found {
		t.Fatalf("no user in %s", text)
	}
	for _, args := range [][]string{append([]string{"ACL", "SETUSER", name, "on", ">" + password}, strings.Fields(rights)...), {"ACL", "SETUSER", "default", "off"}} {
		if answer, err := s.CLI(args...); err != nil {
			t.Fatal(answer, err)
		}
	}
}

// Runs end right on every kind of Redis that people have.
func TestRunsOnEveryKindOfRedis(t *testing.T) {
	t.Parallel()
	for name, start := range map[string]func(t *testing.T) string{
		"prefix": func(t *testing.T) string { return needs.Redis(t).URL() + "?prefix=team.a:hashline" },
		"unix socket": func(t *testing.T) string {
			socket := needs.Socket(t)
			needs.Redis(t, "--unixsocket", socket)
			return "unix://" + socket
		},
		"user with rights": func(t *testing.T) string {
			s := needs.Redis(t)
			withUser(t, s, "app", "p/a")
			return "redis://app:p%2Fa@" + s.Addr
		},
		"TLS": func(t *testing.T) string {
			c := needs.NewCertificates(t)
			s := needs.RedisTLS(t, c, "--tls-auth-clients", "no")
			return "rediss://" + s.Addr + "?ca=" + c.CA
		},
		"TLS with a certificate of ours": func(t *testing.T) string {
			c := needs.NewCertificates(t)
			s := needs.RedisTLS(t, c)
			return "rediss://" + s.Addr + "?ca=" + c.CA + "&cert=" + c.ClientCert + "&key=" + c.ClientKey + "&server_name=redis.example"
		},
		"Sentinel": func(t *testing.T) string { return needs.RedisSentinel(t).URL() },
		"Sentinel with passwords": func(t *testing.T) string {
			hosts, ok := strings.CutPrefix(needs.RedisSentinel(t, "pw", "sentinels-pw").URL(), "redis-sentinel://")
			if !ok {
				t.Fatal(hosts)
			}
			return "redis-sentinel://:pw@" + hosts + "&sentinel_password=sentinels-pw"
		},
		"Cluster over TLS": func(t *testing.T) string {
			c := needs.NewCertificates(t)
			s := needs.RedisTLS(t, c, "--tls-auth-clients", "no", "--cluster-enabled", "yes", "--tls-cluster", "yes", "--cluster-announce-ip", "127.0.0.1")
			hasAllSlots(t, "rediss://"+s.Addr+"?ca="+c.CA)
			return "rediss-cluster://" + s.Addr + "?ca=" + c.CA
		},
		"Cluster": sharedCluster,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t, start(t))
			b.worker(WorkerOptions{Concurrency: 2})
			w, _ := b.worker(WorkerOptions{Concurrency: 2})
			if r, events := b.wait(b.submit(diamond())); r.Status != pipeline.Succeeded || count(events, pipeline.StepSuccess) != 4 {
				t.Errorf("status %s, events %+v", r.Status, events)
			}
			r, _ := b.wait(b.submit(plan(stage("a", "boom", textParams{"bad"}), stage("b", "text", textParams{"b"}, "a"))))
			if r.Status != pipeline.Failed || r.Error == nil || r.Error.Class != pipeline.ClassBadInput {
				t.Errorf("status %s, error %+v", r.Status, r.Error)
			}
			b.cancelsWhileRunning()
			b.isInspected(w)
		})
	}
}

// hasAllSlots makes a server a Cluster by itself.
func hasAllSlots(t *testing.T, url string) {
	t.Helper()
	l, err := parseLocation(url, access{})
	if err != nil {
		t.Fatal(err)
	}
	server := l.client()
	defer server.Close()
	if err := server.ClusterAddSlotsRange(t.Context(), 0, 16383).Err(); err != nil {
		t.Fatal(err)
	}
	until(t, func() bool { return strings.Contains(server.ClusterInfo(t.Context()).Val(), "cluster_state:ok") })
}

// cancelsWhileRunning cancels a run whose stage would wait for ever.
func (b *bench) cancelsWhileRunning() {
	b.t.Helper()
	dir := b.t.TempDir()
	id := b.submit(plan(stage("a", "gate", gateParams{Started: dir + "/started", Open: dir + "/never"})))
	waitForPrefix(b.t, dir+"/started", 1)
	if err := b.client.Cancel(context.Background(), id, "enough"); err != nil {
		b.t.Fatal(err)
	}
	if r, _ := b.wait(id); r.Status != pipeline.Canceled {
		b.t.Errorf("status %s", r.Status)
	}
}

// isInspected looks at the queue and the workers as asynq's tools do.
func (b *bench) isInspected(w *Worker) {
	b.t.Helper()
	i := asynq.NewInspector(b.conn.AsynqOptions())
	defer i.Close()
	if info, err := i.GetQueueInfo(b.client.queue); err != nil || info.Completed == 0 {
		b.t.Errorf("queue %+v, error %v", info, err)
	}
	var list []WorkerInfo
	until(b.t, func() bool { // one worker may have done it all before the other was there
		var err error
		list, err = b.client.Workers(context.Background())
		return err == nil && len(list) == 2
	})
	if list[0].ID != w.ID() && list[1].ID != w.ID() {
		b.t.Errorf("workers %+v", list)
	}
	if warnings := b.conn.Warnings(context.Background()); len(warnings) != 0 {
		b.t.Errorf("warnings %q", warnings)
	}
}

// What a server refuses is said within five seconds, in a sentence without the password.
func TestServersThatRefuse(t *testing.T) {
	t.Parallel()
	certificates := needs.NewCertificates(t)
	secure := needs.RedisTLS(t, certificates).Addr
	plain := needs.Redis(t)
	withUser(t, plain, "app", "secret")
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = silent.Close() })
	sentinels := needs.RedisSentinel(t)
	for url, say := range map[string]string{
		"rediss://:secret@" + secure:                                                    "certificate",
		"rediss://:secret@" + secure + "?ca=" + certificates.CA:                         "certificate of ours", // it wants one of ours
		"redis://:secret@" + secure:                                                     "",
		"redis://app:secret1@" + plain.Addr:                                             "WRONGPASS",
		"redis://" + plain.Addr:                                                         "NOAUTH",
		"redis-cluster://app:secret@" + plain.Addr:                                      "cluster support disabled",
		"redis-cluster://:secret@127.0.0.1:1,127.0.0.1:2":                               "connection refused",
		"redis-cluster://:secret@" + silent.Addr().String():                             "in time",
		"redis-sentinel://:secret@127.0.0.1:1,127.0.0.1:2?master=main":                  "",
		"redis-sentinel://:secret@" + silent.Addr().String() + "?master=main":           "in time",
		strings.Replace(sentinels.URL(), "main", "other", 1):                            "no Sentinel",
		"rediss-cluster://:secret@" + silent.Addr().String() + "?ca=" + certificates.CA: "in time",
		"rediss://:secret@" + secure + "?server_name=x.example&ca=" + certificates.CA:   "certificate",
		"rediss-sentinel://:secret@" + secure + "?master=x&sentinel_password=secret":    "",
		"unix:///nowhere/redis.sock":                                                    "no such file",
	} {
		t.Run(strings.ReplaceAll(url, "/", "_"), func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
			defer cancel()
			_, err := Dial(ctx, url)
			if e := pipeline.AsError(err); e == nil || e.Class != pipeline.ClassUnreachable || !strings.Contains(e.Message, say) || strings.Contains(e.Message+e.Hint, "secret") || e.Hint == "" {
				t.Errorf("error %v", err)
			} else if ctx.Err() != nil {
				t.Error("Dial waited for as long as it was let")
			}
			t.Log(err)
		})
	}
}

// A server that throws keys away when it is full is warned of, whichever way a user may ask.
func TestEvictionIsWarnedOf(t *testing.T) {
	t.Parallel()
	s := needs.Redis(t, "--maxmemory-policy", "allkeys-lru")
	for name, user := range map[string]string{"config": "+config", "info alone": "-config +info", "neither": "-config -info"} {
		if answer, err := s.CLI(append([]string{"ACL", "SETUSER", "app", "reset", "on", "nopass", "~*", "&*", "+@all"}, strings.Fields(user)...)...); err != nil {
			t.Fatal(answer, err)
		}
		c, err := Dial(context.Background(), "redis://app:x@"+s.Addr)
		if err != nil {
			t.Fatal(name, err)
		}
		got := strings.Join(c.Warnings(context.Background()), "\n")
		if want := name != "neither"; want != strings.Contains(got, "allkeys-lru") {
			t.Errorf("%s: %q", name, got)
		}
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	}
}

// A worker says what is wrong with its Redis, and does not start on one that is too old.
func TestWorkerLooksAtItsRedis(t *testing.T) {
	t.Parallel()
	b := newBench(t, needs.Redis(t, "--maxmemory-policy", "volatile-ttl").URL())
	log := &lines{}
	b.config.Log = slog.New(slog.NewTextHandler(log, nil))
	b.worker(WorkerOptions{})
	until(t, func() bool { return strings.Contains(log.String(), "maxmemory-policy is volatile-ttl") })

	old, err := NewConn(redis.NewClient(&redis.Options{Addr: fakeRedis(t, "6.0.16"), Protocol: 2, DisableIdentity: true}))
	if err != nil {
		t.Fatal(err)
	}
	b.config.Conn = old
	w, err := NewWorker(b.config, WorkerOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if e := pipeline.AsError(w.Run(context.Background())); e == nil || e.Class != pipeline.ClassUnreachable || !strings.Contains(e.Message, "version 6.0.16") || !strings.Contains(e.Hint, "6.2") {
		t.Errorf("error %+v", e)
	}
}

// lines is a log that is read while it is written.
type lines struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// fakeRedis answers as a Redis of a version that nobody can install any more.
func fakeRedis(t *testing.T, version string) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go answerAs(c, version)
		}
	}()
	return l.Addr().String()
}

func answerAs(c net.Conn, version string) {
	defer c.Close()
	info := "# Server\r\nredis_version:" + version + "\r\n"
	buf := make([]byte, 1<<10)
	for {
		n, err := c.Read(buf)
		if err != nil {
			return
		}
		answer := "-ERR unknown command\r\n"
		switch command := strings.ToLower(string(buf[:n])); {
		case strings.Contains(command, "ping"):
			answer = "+PONG\r\n"
		case strings.Contains(command, "info"):
			answer = fmt.Sprintf("$%d\r\n%s\r\n", len(info), info)
		}
		if _, err := c.Write([]byte(answer)); err != nil {
			return
		}
	}
}
