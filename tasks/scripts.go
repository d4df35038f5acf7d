package tasks

import "github.com/redis/go-redis/v9"

// statusReady is the status of a stage whose needs are met and which no worker claimed yet. Records call it PENDING.
const statusReady = "READY"

// The parts that scripts share.
const (
	luaBase = `
local meta, st, down, outbox, events = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local function get(f, s) return redis.call('HGET', st, f..'|'..s) or '' end
local function set(f, s, v) redis.call('HSET', st, f..'|'..s, v) end
local t = redis.call('TIME')
local now = string.format('%.0f', t[1] * 1000000 + t[2])
local function emit(kind, s, attempt, worker, message)
  redis.call('XADD', events, '*', 'time', now, 'type', kind, 'stage', s, 'attempt', attempt, 'worker', worker, 'message', message)
end
`
	// emitAll adds the events of an attempt, which are triples of ARGV from a place on: type, message, data.
	luaEvents = `
local function emitAll(from, s, attempt, worker)
  for i = from, #ARGV, 3 do
    redis.call('XADD', events, '*', 'time', now, 'type', ARGV[i], 'stage', s, 'attempt', attempt, 'worker', worker, 'message', ARGV[i + 1], 'data', ARGV[i + 2])
  end
end
`
	luaReady = `
local function ready(s, attempt)
  redis.call('HSET', st, 'status|'..s, 'READY', 'attempt|'..s, attempt, 'ready|'..s, now, 'owner|'..s, '')
  redis.call('ZADD', outbox, get('order', s), s..'\n'..attempt)
end
`
	// settle counts n more stages as over and closes the run with the last one; it returns 1 when it did.
	luaSettle = `
local function settle(n)
  local over = redis.call('HINCRBY', meta, 'over', n)
  if over < tonumber(redis.call('HGET', meta, 'total')) then return 0 end
  local status = 'SUCCEEDED'
  if tonumber(redis.call('HGET', meta, 'failed') or '0') > 0 then status = 'FAILED'
  elseif tonumber(redis.call('HGET', meta, 'canceled') or '0') > 0 then status = 'CANCELED' end
  redis.call('HSET', meta, 'status', status, 'finished', now)
  return 1
end
`
	// lose ends a stage as failed or canceled and skips what needs it; it returns the number of stages that are over by it.
	luaLose = `
local function lose(s, status, err)
  local counter = 'failed'
  if status == 'CANCELED' then counter = 'canceled' end
  redis.call('HSET', st, 'status|'..s, status, 'finished|'..s, now, 'err|'..s, err)
  redis.call('HINCRBY', meta, counter, 1)
  local n, queue = 1, {s}
  while #queue > 0 do
    local from = table.remove(queue)
    for _, to in ipairs(cjson.decode(redis.call('HGET', down, from) or '[]')) do
      if get('status', to) == 'PENDING' then
        local word, why = 'SKIPPED', 'needs '..s..', which failed'
        if status == 'CANCELED' then
          word, why = 'CANCELED', 'needs '..s..', which was canceled'
          redis.call('HINCRBY', meta, 'canceled', 1)
        end
        redis.call('HSET', st, 'status|'..to, word, 'skip|'..to, why)
        if word == 'SKIPPED' then emit('STEP_SKIPPED', to, 0, '', why) end
        n = n + 1
        queue[#queue + 1] = to
      end
    end
  end
  return n
end
`
)

// createScript: ARGV = JSON of {meta: {..}, stages: [{name, need, down}]}. Creates the run unless it exists; returns 1 if
// it did.
var createScript = redis.NewScript(luaBase + luaReady + `
if redis.call('EXISTS', meta) == 1 then return 0 end
local r = cjson.decode(ARGV[1])
for k, v in pairs(r.meta) do redis.call('HSET', meta, k, v) end
redis.call('HSET', meta, 'status', 'RUNNING', 'created', now, 'total', #r.stages, 'over', 0)
emit('RUN_ENQUEUED', '', 0, '', '')
for i, s in ipairs(r.stages) do
  redis.call('HSET', st, 'order|'..s.name, i, 'need|'..s.name, s.need, 'status|'..s.name, 'PENDING', 'attempt|'..s.name, 0)
  redis.call('HSET', down, s.name, s.down)
  if s.need == 0 then ready(s.name, 1) end
end
return 1
`)

// claimScript: ARGV = stage, attempt, worker, store, plan. Returns "ok", or why not: gone, done, stale, taken, canceled, foreign.
// A worker whose answer got lost on the way may claim again.
var claimScript = redis.NewScript(luaBase + `
local s, attempt, worker = ARGV[1], ARGV[2], ARGV[3]
local status = get('status', s)
if status == '' then return 'gone' end
if redis.call('HGET', meta, 'store') ~= ARGV[4] then return 'foreign' end
if redis.call('HEXISTS', meta, 'cancel') == 1 then return 'canceled' end
if status == 'SUCCEEDED' or status == 'FAILED' or status == 'SKIPPED' or status == 'CANCELED' then return 'done' end
if get('attempt', s) ~= attempt or redis.call('HGET', meta, 'plan') ~= ARGV[5] then return 'stale' end
if status == 'RUNNING' and get('owner', s) == worker then return 'ok' end
if status ~= 'READY' then return 'taken' end
redis.call('ZREM', outbox, s..'\n'..attempt)
redis.call('HSET', st, 'status|'..s, 'RUNNING', 'owner|'..s, worker, 'started|'..s, now)
if redis.call('HSETNX', meta, 'started', now) == 1 then emit('RUN_START', '', 0, worker, '') end
emit('STEP_START', s, attempt, worker, '')
return 'ok'
`)

// finishScript: ARGV = stage, attempt, worker, outcome, message, then events as triples type, message, data. Returns
// {"ok" or "dup" or "gone", 1 if it closed the run}. The first commit wins, whatever its attempt.
var finishScript = redis.NewScript(luaBase + luaEvents + luaReady + luaSettle + `
local s, attempt, worker, out = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local status = get('status', s)
if status == '' then return {'gone', 0} end
emitAll(6, s, attempt, worker)
if status ~= 'RUNNING' and status ~= 'READY' then return {'dup', 0} end
redis.call('ZREM', outbox, s..'\n'..get('attempt', s))
redis.call('HSET', st, 'status|'..s, 'SUCCEEDED', 'finished|'..s, now, 'out|'..s, out, 'owner|'..s, worker)
emit('STEP_SUCCESS', s, attempt, worker, ARGV[5])
for _, to in ipairs(cjson.decode(redis.call('HGET', down, s) or '[]')) do
  if redis.call('HSETNX', st, 'edge|'..s..'\n'..to, 1) == 1 then
    local left = redis.call('HINCRBY', st, 'need|'..to, -1)
    if left == 0 and get('status', to) == 'PENDING' then ready(to, tonumber(get('attempt', to)) + 1) end
  end
end
return {'ok', settle(1)}
`)

// failScript: ARGV = stage, attempt, worker, error, message, status (FAILED or CANCELED), how often it may fail before
// that is final (0: as often as the run allows), outcome, then events as in finishScript. Returns {what, closed} with what
// one of ok, retry, stale, gone.
var failScript = redis.NewScript(luaBase + luaEvents + luaReady + luaSettle + luaLose + `
local s, attempt, worker = ARGV[1], ARGV[2], ARGV[3]
emitAll(9, s, attempt, worker)
local status = get('status', s)
if status == '' then return {'gone', 0} end
if status ~= 'RUNNING' or get('attempt', s) ~= attempt or get('owner', s) ~= worker then return {'stale', 0} end
local final, limit = ARGV[6], tonumber(ARGV[7])
if redis.call('HEXISTS', meta, 'cancel') == 1 then final = 'CANCELED' end
if limit == 0 then limit = tonumber(redis.call('HGET', meta, 'attempts') or '1') end
set('out', s, ARGV[8])
if final == 'FAILED' and redis.call('HINCRBY', st, 'failures|'..s, 1) < limit then
  emit('STEP_UP_FOR_RETRY', s, attempt, worker, ARGV[5])
  ready(s, tonumber(attempt) + 1)
  return {'retry', 0}
end
emit('STEP_FAILURE', s, attempt, worker, ARGV[5])
return {'ok', settle(lose(s, final, ARGV[4]))}
`)

// handOverScript: ARGV = stage, attempt, worker, event, message, crash (1 or 0), limit, error. Gives a running or ready
// attempt out again under the next number; a stage whose workers died too often fails. Returns {what, closed} with what
// one of ok, stale, gone, failed.
var handOverScript = redis.NewScript(luaBase + luaReady + luaSettle + luaLose + `
local s, attempt, worker = ARGV[1], ARGV[2], ARGV[3]
local status = get('status', s)
if status == '' then return {'gone', 0} end
if (status ~= 'RUNNING' and status ~= 'READY') or get('attempt', s) ~= attempt or (status == 'RUNNING' and get('owner', s) ~= worker) then return {'stale', 0} end
emit(ARGV[4], s, attempt, worker, ARGV[5])
redis.call('ZREM', outbox, s..'\n'..attempt)
if redis.call('HEXISTS', meta, 'cancel') == 1 then return {'ok', settle(lose(s, 'CANCELED', ''))} end
if ARGV[6] == '1' then
  if redis.call('HINCRBY', st, 'crash|'..s, 1) >= tonumber(ARGV[7]) then
    emit('STEP_FAILURE', s, attempt, worker, ARGV[5])
    return {'failed', settle(lose(s, 'FAILED', ARGV[8]))}
  end
end
ready(s, tonumber(attempt) + 1)
return {'ok', 0}
`)

// redoScript: ARGV = stage, attempt, worker, upstream, limit, message, then events as in finishScript. A running stage found an output of upstream damaged:
// upstream runs again and the stage waits for it. Returns ok, stale, gone, or why it cannot: limit, canceled, lost (upstream
// was tried again already and failed).
var redoScript = redis.NewScript(luaBase + luaEvents + luaReady + `
local s, attempt, worker, up = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local status = get('status', s)
if status == '' then return 'gone' end
if status ~= 'RUNNING' or get('attempt', s) ~= attempt or get('owner', s) ~= worker then return 'stale' end
if redis.call('HEXISTS', meta, 'cancel') == 1 then return 'canceled' end
local made = get('status', up)
if made == '' or made == 'FAILED' or made == 'SKIPPED' or made == 'CANCELED' then return 'lost' end
if made == 'SUCCEEDED' then
  if redis.call('HINCRBY', st, 'reset|'..up, 1) > tonumber(ARGV[5]) then return 'limit' end
  redis.call('HINCRBY', meta, 'over', -1)
  ready(up, tonumber(get('attempt', up)) + 1)
  emit('STEP_UP_FOR_RETRY', up, get('attempt', up), worker, ARGV[6])
end
emitAll(7, s, attempt, worker)
if redis.call('HDEL', st, 'edge|'..up..'\n'..s) == 1 then redis.call('HINCRBY', st, 'need|'..s, 1) end
redis.call('HSET', st, 'status|'..s, 'PENDING', 'owner|'..s, '')
return 'ok'
`)

// cancelScript: ARGV = reason, JSON list of the workers alive. What does not run is canceled at once. Returns {1 if there
// is such a run that was not over, 1 if it closed the run}.
var cancelScript = redis.NewScript(luaBase + luaSettle + `
if redis.call('HGET', meta, 'status') ~= 'RUNNING' then return {0, 0} end
redis.call('HSETNX', meta, 'cancel', ARGV[1])
local n, alive = 0, {}
for _, w in ipairs(cjson.decode(ARGV[2])) do alive[w] = true end
for _, s in ipairs(redis.call('HKEYS', down)) do
  local status = get('status', s)
  if status == 'PENDING' or status == 'READY' or (status == 'RUNNING' and not alive[get('owner', s)]) then
    redis.call('HSET', st, 'status|'..s, 'CANCELED', 'skip|'..s, ARGV[1])
    redis.call('HINCRBY', meta, 'canceled', 1)
    n = n + 1
  end
end
redis.call('DEL', outbox)
if n == 0 then return {1, 0} end
return {1, settle(n)}
`)

// announceScript: ARGV = event type, message, seconds to keep the state. Ends the event stream once.
var announceScript = redis.NewScript(luaBase + `
if redis.call('EXISTS', meta) == 0 or redis.call('HSETNX', meta, 'announced', now) == 0 then return 0 end
emit(ARGV[1], '', 0, '', ARGV[2])
for _, k in ipairs(KEYS) do redis.call('EXPIRE', k, ARGV[3]) end
return 1
`)

// closed reads the second element of a script's answer.
func closed(answer []any) bool { return len(answer) == 2 && answer[1] == int64(1) }

// what reads the first element of a script's answer.
func what(answer []any) string {
	if len(answer) == 0 {
		return ""
	}
	s, _ := answer[0].(string)
	return s
}
