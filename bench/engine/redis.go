package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

// server is a redis-server of this program's own.
type server struct {
	addr   string
	client *redis.Client // for measuring
	cmd    *exec.Cmd
	dir    string
}

// startRedis starts a redis-server on a free loopback port, without persistence.
func startRedis(ctx context.Context) (*server, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	s := &server{addr: l.Addr().String()}
	if err := l.Close(); err != nil {
		return nil, err
	}
	if s.dir, err = os.MkdirTemp("", "hashline-engine-"); err != nil {
		return nil, err
	}
	_, port, _ := net.SplitHostPort(s.addr)
	s.cmd = exec.Command("redis-server", "--bind", "127.0.0.1", "--port", port, "--save", "", "--dir", s.dir)
	if err := s.cmd.Start(); err != nil {
		return nil, fmt.Errorf("redis-server: %w", err)
	}
	s.client = redis.NewClient(&redis.Options{Addr: s.addr})
	for range 500 {
		if err = s.client.Ping(ctx).Err(); err == nil {
			return s, nil
		}
		time.Sleep(10 * time.Millisecond)
	}
	s.stop()
	return nil, fmt.Errorf("redis-server does not answer: %w", err)
}

func (s *server) url() string { return "redis://" + s.addr }

func (s *server) stop() {
	_ = s.client.Close()
	_ = s.cmd.Process.Kill()
	_ = s.cmd.Wait()
	_ = os.RemoveAll(s.dir)
}

// info returns a number of INFO.
func (s *server) info(ctx context.Context, field string) (float64, error) {
	text, err := s.client.Info(ctx, "all").Result()
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(text) {
		if name, value, ok := strings.Cut(strings.TrimSpace(line), ":"); ok && name == field {
			return strconv.ParseFloat(value, 64)
		}
	}
	return 0, fmt.Errorf("INFO has no %s", field)
}

// call is what INFO commandstats says of a command. Commands that scripts call are counted too.
type call struct{ calls, micros float64 }

func (s *server) commands(ctx context.Context) (map[string]call, error) {
	text, err := s.client.Info(ctx, "commandstats").Result()
	if err != nil {
		return nil, err
	}
	all := map[string]call{}
	for line := range strings.Lines(text) {
		name, rest, ok := strings.Cut(strings.TrimPrefix(strings.TrimSpace(line), "cmdstat_"), ":")
		if !ok {
			continue
		}
		var c call
		if _, err := fmt.Sscanf(rest, "calls=%f,usec=%f,", &c.calls, &c.micros); err == nil {
			all[name] = c
		}
	}
	return all, nil
}

// until polls a condition that no event tells of.
func until(ctx context.Context, ok func() (bool, error)) error {
	for ctx.Err() == nil {
		done, err := ok()
		if done || err != nil {
			return err
		}
		time.Sleep(2 * time.Millisecond)
	}
	return context.Cause(ctx)
}

var errTooLong = errors.New("it takes too long")

// patience bounds the wait for one measurement.
const patience = 5 * time.Minute
