package tasks

import "github.com/redis/go-redis/v9"

// The ready stages of all runs compete for one asynq queue, of which only a short stretch is filled at a time. The state of
// that competition is a family of keys with the queue's name as hash tag, as asynq's own keys of the queue have, so that a
// script may read the length of asynq's list:
//
//	PREFIX:{QUEUE}:waiting   sorted set: runs with ready stages, by priority and then by whose turn it is
//	PREFIX:{QUEUE}:blocked   the same for runs whose ready stages all wait for a pool
//	PREFIX:{QUEUE}:turn      counter
//	PREFIX:{QUEUE}:lock      who fills the queue now
//	PREFIX:{QUEUE}:dirty     counter: there is something new to hand out
//	PREFIX:{QUEUE}:pools     hash: NAME -> how many stages of the pool may be on the queue or run at a time
//	PREFIX:{QUEUE}:pool:NAME set: the task ids of those that are
//
// They are hints. A run may lie on another node of a cluster than its queue, so that no script can change both; what a
// crash leaves wrong here, the reconciler puts right from the state of the runs.

type queueKeys struct {
	keyspace
	queue string
}

func (c *core) queueKeys(queue string) queueKeys { return queueKeys{c.key, queue} }

func (k queueKeys) name(part string) string { return string(k.keyspace) + ":{" + k.queue + "}:" + part }

func (k queueKeys) pool(name string) string { return k.name("pool:" + name) }

// all returns the keys of a queue as luaQueue expects them. The last is asynq's: the tasks that no worker has taken yet.
func (k queueKeys) all() []string {
	return []string{k.name("waiting"), k.name("turn"), k.name("lock"), k.name("dirty"), k.name("blocked"), "asynq:{" + k.queue + "}:pending"}
}

// wakeChannel tells idle workers of new tasks.
func (k queueKeys) wakeChannel() string { return k.name("wake") }

// A score is class * 2^40 + turn; the class of the highest priority is 0.
const luaQueue = luaNum + `
local waiting, turn, lock, dirty, blocked, pending = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6]
local width = 1099511627776
local function join(list, class, run)
  redis.call('ZADD', list, string.format('%.0f', class * width + redis.call('INCR', turn)), run)
end
-- pick shares what the queue has room for among the runs of the highest priority: {run, how many, ..}.
local function pick(window, answer)
  local free = math.min(window - redis.call('LLEN', pending), 128)
  local top = redis.call('ZRANGE', waiting, 0, 0, 'WITHSCORES')
  if free <= 0 or not top[1] then return answer end
  local class = math.floor(num(top[2]) / width)
  local list = redis.call('ZRANGEBYSCORE', waiting, string.format('%.0f', class * width), string.format('(%.0f', (class + 1) * width), 'LIMIT', 0, free)
  local share, rest = math.floor(free / #list), free % #list
  for i, run in ipairs(list) do
    local n = share
    if i <= rest then n = n + 1 end
    join(waiting, class, run)
    answer[#answer + 1] = run
    answer[#answer + 1] = n
  end
  return answer
end
`

// enterScript: ARGV = token, milliseconds of the lock, window, then runs and their classes. Notes that the runs have
// ready stages. Returns {0} if the queue has no room, or somebody fills it already, who will look again; else
// {dirty, run, how many, ..}.
var enterScript = redis.NewScript(luaQueue + `
for i = 4, #ARGV, 2 do
  if not redis.call('ZSCORE', waiting, ARGV[i]) then
    redis.call('ZREM', blocked, ARGV[i])
    join(waiting, tonumber(ARGV[i + 1]), ARGV[i])
  end
end
local mark = redis.call('INCR', dirty)
if redis.call('LLEN', pending) >= tonumber(ARGV[3]) then return {0} end
if not redis.call('SET', lock, ARGV[1], 'NX', 'PX', ARGV[2]) then return {0} end
local answer = pick(tonumber(ARGV[3]), {mark})
if #answer > 1 then return answer end
redis.call('DEL', lock)
return {0}
`)

// nextScript: ARGV = token, milliseconds of the lock, window, dirty as it was, number of runs without ready stages, those, then
// runs that wait for a pool. Returns as enterScript; {0} when there is nothing left to do, and the lock is given back.
var nextScript = redis.NewScript(luaQueue + `
if redis.call('GET', lock) ~= ARGV[1] then return {0} end
local mark = tonumber(redis.call('GET', dirty) or '0')
if mark == tonumber(ARGV[4]) then
  local gone = 5 + tonumber(ARGV[5])
  for i = 6, gone do redis.call('ZREM', waiting, ARGV[i]) end
  for i = gone + 1, #ARGV do
    local score = redis.call('ZSCORE', waiting, ARGV[i])
    if score then
      redis.call('ZREM', waiting, ARGV[i])
      redis.call('ZADD', blocked, score, ARGV[i])
    end
  end
end
local answer = pick(tonumber(ARGV[3]), {mark})
if #answer == 1 and mark == tonumber(ARGV[4]) then
  redis.call('DEL', lock)
  return {0}
end
redis.call('PEXPIRE', lock, ARGV[2])
return answer
`)

// letGoScript: ARGV = token. Gives the lock back.
var letGoScript = redis.NewScript(`
if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end
return 0
`)

// acquireScript: KEYS = pools, the pool's set; ARGV = name, task id. Returns 1 if the task may be handed out.
var acquireScript = redis.NewScript(`
local limit = tonumber(redis.call('HGET', KEYS[1], ARGV[1]))
if not limit or redis.call('SISMEMBER', KEYS[2], ARGV[2]) == 1 then return 1 end
if redis.call('SCARD', KEYS[2]) >= limit then return 0 end
return redis.call('SADD', KEYS[2], ARGV[2])
`)

// freeScript: KEYS = waiting, blocked, the pool's set; ARGV = task ids that are in the pool no more. Runs that waited for a pool compete
// again. Returns how many were taken off.
var freeScript = redis.NewScript(`
local n = 0
for _, id in ipairs(ARGV) do n = n + redis.call('SREM', KEYS[3], id) end
if n == 0 and #ARGV > 0 then return 0 end
local list = redis.call('ZRANGE', KEYS[2], 0, -1, 'WITHSCORES')
for i = 1, #list, 2 do redis.call('ZADD', KEYS[1], list[i + 1], list[i]) end
redis.call('DEL', KEYS[2])
return n
`)

// enlistScript: KEYS = the sorted set of runs that are not recorded yet; ARGV = run, most runs that there may be. Returns 0 if there
// are as many.
var enlistScript = redis.NewScript(`
if redis.call('ZSCORE', KEYS[1], ARGV[1]) then return 1 end
if redis.call('ZCARD', KEYS[1]) >= tonumber(ARGV[2]) then return 0 end
local t = redis.call('TIME')
redis.call('ZADD', KEYS[1], t[1] * 1000 + math.floor(t[2] / 1000), ARGV[1])
return 1
`)
