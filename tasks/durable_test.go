package tasks

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/hashline/hashline/artifact"
	"github.com/hashline/hashline/internal/needs"
)

// submitted submits a run with an id and returns what the client's log says.
func (b *bench) submitted(id string) string {
	b.t.Helper()
	log := &lines{}
	c := b.config
	c.Log = slog.New(slog.NewTextHandler(log, nil))
	client, err := NewClient(c)
	if err != nil {
		b.t.Fatal(err)
	}
	if _, err := client.Submit(context.Background(), Request{RunID: id, Plan: diamond()}); err != nil {
		b.t.Fatal(err)
	}
	return log.String()
}

const unconfirmed = "no replica of Redis has confirmed"

// Where there is a replica, a run that is acknowledged is there too; when the replica hangs, the log says that it may not be.
func TestSubmitWaitsForAReplica(t *testing.T) {
	t.Parallel()
	master := needs.Redis(t)
	host, port, _ := net.SplitHostPort(master.Addr)
	replica := needs.Redis(t, "--replicaof", host, port, "--repl-diskless-sync-delay", "0")
	replica.Await([]string{"master_link_status:up"}, "INFO", "replication")
	b := newBench(t, master.URL())
	for range 20 {
		id := artifact.NewRunID(time.Now())
		if log := b.submitted(id); strings.Contains(log, unconfirmed) {
			t.Errorf("log %s", log)
		}
		if answer, err := replica.CLI("EXISTS", b.client.keys(id).name("meta")); err != nil || answer != "1" {
			t.Fatalf("the replica has %s, %v", answer, err)
		}
		if answer, err := replica.CLI("ZSCORE", b.conn.key.activeRuns(), id); err != nil || answer == "" {
			t.Fatalf("the replica has it in the list as %s, %v", answer, err)
		}
	}
	replica.Stop()
	id := artifact.NewRunID(time.Now())
	if log := b.submitted(id); !strings.Contains(log, unconfirmed) {
		t.Errorf("log %s", log)
	}
	replica.Continue()
	if log := b.submitted(id); strings.Contains(log, unconfirmed) {
		t.Errorf("submitted again: log %s", log)
	}
}

// On a Cluster it is the replica of the server that has the run.
func TestSubmitWaitsForTheReplicaOnACluster(t *testing.T) {
	t.Parallel()
	c := needs.RedisCluster(t)
	b := newBench(t, c.URL())
	id := artifact.NewRunID(time.Now())
	meta := b.client.keys(id).name("meta")
	master := b.serverOf(c, meta)
	replica := replicaOf(t, c, master)
	replica.Stop()
	if log := b.submitted(id); !strings.Contains(log, unconfirmed) || !strings.Contains(log, id) {
		t.Errorf("log %s", log)
	}
	replica.Continue()
	for _, s := range c.Servers { // the one that was away may have been given up in between
		s.Await([]string{"cluster_state:ok"}, "CLUSTER", "INFO")
	}
	replica.Await([]string{"master_link_status:up"}, "INFO", "replication")
	id = artifact.NewRunID(time.Now())
	if log := b.submitted(id); strings.Contains(log, unconfirmed) {
		t.Errorf("log %s", log)
	}
}

// replicaOf returns the server that copies another.
func replicaOf(t *testing.T, c *needs.Cluster, master *needs.Server) *needs.Server {
	t.Helper()
	_, port, _ := net.SplitHostPort(master.Addr)
	for _, s := range c.Servers {
		if answer, err := s.CLI("INFO", "replication"); err == nil && strings.Contains(answer, "master_port:"+port) {
			return s
		}
	}
	t.Fatal("no server copies ", master.Addr)
	return nil
}

// Without rights to ask for replicas, and without any, nothing is waited for.
func TestSubmitWithoutReplicas(t *testing.T) {
	t.Parallel()
	s := needs.Redis(t)
	if answer, err := s.CLI("ACL", "SETUSER", "app", "on", "nopass", "~*", "&*", "+@all", "-info", "-wait"); err != nil {
		t.Fatal(answer, err)
	}
	b := newBench(t, "redis://app:x@"+s.Addr)
	if log := b.submitted(artifact.NewRunID(time.Now())); log != "" {
		t.Errorf("log %s", log)
	}
	b.conn.copies.known = map[string]copied{address(b.conn).Addr: {any: true, at: time.Now()}}
	if log := b.submitted(artifact.NewRunID(time.Now())); !strings.Contains(log, unconfirmed) {
		t.Errorf("without the right to wait: log %s", log)
	}
}

// What is refused for good is not tried again.
func TestDurablyGivesUp(t *testing.T) {
	t.Parallel()
	b := newBench(t, needs.Redis(t).URL())
	tries := 0
	err := b.client.durably(context.Background(), b.conn.key.activeRuns(), func(server redis.Cmdable) error {
		tries++
		return server.HSet(context.Background(), b.conn.key.activeRuns(), "a", "b").Err()
	})
	if err != nil || tries != 1 {
		t.Fatalf("%d tries, error %v", tries, err)
	}
	b.conn.copies.known = map[string]copied{address(b.conn).Addr: {any: true, at: time.Now()}}
	tries = 0
	err = b.client.durably(context.Background(), b.conn.key.activeRuns(), func(server redis.Cmdable) error {
		tries++
		return server.ZAdd(context.Background(), b.conn.key.activeRuns(), redis.Z{}).Err()
	})
	if !redis.HasErrorPrefix(err, "WRONGTYPE") || tries != 1 {
		t.Errorf("%d tries, error %v", tries, err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	tries = 0
	err = b.client.durably(ctx, b.conn.key.activeRuns(), func(redis.Cmdable) error {
		if tries++; tries == 3 {
			cancel()
		}
		return net.ErrClosed // a server that fails
	})
	if !errors.Is(err, net.ErrClosed) || tries != 3 {
		t.Errorf("%d tries, error %v", tries, err)
	}
}

// BenchmarkSubmit is what a submission costs, and what waiting for a replica adds.
func BenchmarkSubmit(b *testing.B) {
	for name, replicas := range map[string]int{"one server": 0, "with a replica": 1} {
		b.Run(name, func(b *testing.B) {
			master := needs.Redis(b)
			host, port, _ := net.SplitHostPort(master.Addr)
			for range replicas {
				needs.Redis(b, "--replicaof", host, port, "--repl-diskless-sync-delay", "0").Await([]string{"master_link_status:up"}, "INFO", "replication")
			}
			conn, err := Dial(b.Context(), master.URL())
			if err != nil {
				b.Fatal(err)
			}
			defer conn.Close()
			store, err := artifact.Open(b.Context(), b.TempDir())
			if err != nil {
				b.Fatal(err)
			}
			client, err := NewClient(Config{Conn: conn, Store: store})
			if err != nil {
				b.Fatal(err)
			}
			for b.Loop() {
				if _, err := client.Submit(b.Context(), Request{Plan: diamond()}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
