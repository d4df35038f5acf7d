package main

import (
	"context"
	"fmt"
	"syscall"
	"time"
)

// cpu is processor time that was used, in seconds.
type cpu struct{ redis, workers, submitter float64 }

// used returns what Redis and this process used so far; workers are known when they have ended.
func (b *bench) used(ctx context.Context) (cpu, error) {
	var c cpu
	for _, field := range []string{"used_cpu_user", "used_cpu_sys"} {
		v, err := b.redis.info(ctx, field)
		if err != nil {
			return c, err
		}
		c.redis += v
	}
	var own syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &own); err != nil {
		return c, err
	}
	c.submitter = (time.Duration(own.Utime.Nano()) + time.Duration(own.Stime.Nano())).Seconds()
	return c, nil
}

// since returns what was used after an earlier look, with what these workers used in all their life.
func (b *bench) since(ctx context.Context, before cpu, workers ...*process) (cpu, error) {
	now, err := b.used(ctx)
	c := cpu{redis: now.redis - before.redis, submitter: now.submitter - before.submitter}
	for _, p := range workers {
		if s := p.cmd.ProcessState; s != nil {
			c.workers += (s.UserTime() + s.SystemTime()).Seconds()
		}
	}
	return c, err
}

// each tells the processor time for each of n things.
func (c cpu) each(n int) string {
	us := func(v float64) string { return fmt.Sprintf("%.0f", 1e6*v/float64(n)) }
	return us(c.redis) + " + " + us(c.workers) + " + " + us(c.submitter)
}
