package tasks

import (
	"context"
	"encoding/json"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/hashline/hashline/artifact"
)

// flights lets one attempt at a time compute an action, over all workers. Who computes holds a lease, renewed with the
// heartbeats, that goes with its process; losing it costs double work, never a wrong result.
type flights struct {
	*core
	owner string

	mu   sync.Mutex
	held map[artifact.ActionKey]string // the token of the lease
	next uint64
}

// flightLook is how often somebody who waits looks whether the lease is gone.
const flightLook = 25 * time.Millisecond

func (f *flights) name(key artifact.ActionKey) string {
	return string(f.key) + ":flight:" + f.storeID() + ":" + key.Hex()
}

var leaveScript = redis.NewScript(`
if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end
return 0
`)

var renewScript = redis.NewScript(`
if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('PEXPIRE', KEYS[1], ARGV[2]) end
return 0
`)

// Enter waits until nobody else computes the action, and returns how to tell that the caller does no more. A Redis that does
// not answer holds nobody up.
func (f *flights) Enter(ctx context.Context, key artifact.ActionKey) (leave func(), waited bool, err error) {
	token := f.token()
	for {
		won, err := f.redis.SetNX(ctx, f.name(key), token, heartbeatTTL).Result()
		if err != nil {
			return func() {}, waited, ctx.Err()
		}
		if won {
			f.hold(key, token)
			return func() { f.release(context.WithoutCancel(ctx), key, token) }, waited, nil
		}
		waited = true
		if err := pause(ctx, flightLook); err != nil {
			return nil, true, err
		}
	}
}

func (f *flights) token() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.next++
	b, _ := json.Marshal([]any{f.owner, f.next})
	return string(b)
}

func (f *flights) hold(key artifact.ActionKey, token string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.held[key] = token
}

func (f *flights) release(ctx context.Context, key artifact.ActionKey, token string) {
	f.mu.Lock()
	if f.held[key] == token {
		delete(f.held, key)
	}
	f.mu.Unlock()
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	_ = leaveScript.Run(ctx, f.redis, []string{f.name(key)}, token).Err() // else it expires
}

// renew keeps the leases of this worker.
func (f *flights) renew(ctx context.Context) {
	f.mu.Lock()
	held := make(map[artifact.ActionKey]string, len(f.held))
	for key, token := range f.held {
		held[key] = token
	}
	f.mu.Unlock()
	for key, token := range held {
		_ = renewScript.Run(ctx, f.redis, []string{f.name(key)}, token, heartbeatTTL.Milliseconds()).Err()
	}
}
