package tasks

import "github.com/redis/go-redis/v9"

// statusReady is the status of a stage whose needs are met and which no worker claimed yet. Records call it PENDING.
const statusReady = "READY"

// createScript: ARGV = JSON of {meta: {..}, stages: [{name, order, need, down, fields, policies}]}. Creates the run unless it exists;
// returns {1 if it did, milliseconds to the next timer or -1}. A stage with a status among its fields is carried over from another run: it is over already.
var createScript = redis.NewScript(luaBase + luaReady + luaSpread + luaSettle + luaAdd + `
if redis.call('EXISTS', meta) == 1 then return {0, untilNext()} end
local r = cjson.decode(ARGV[1])
for k, v in pairs(r.meta) do redis.call('HSET', meta, k, v) end
redis.call('HSET', meta, 'status', 'RUNNING', 'created', now, 'total', #r.stages, 'over', 0)
local within = tonumber(r.meta.timeout or '') or 0
if within > 0 then redis.call('HSET', meta, 'deadline', string.format('%.0f', millis + within)) end
emit('RUN_ENQUEUED', '', 0, '', '')
add(r.stages)
local over = {}
for _, s in ipairs(r.stages) do
  if s.fields.status then over[#over + 1] = s.name end
end
local n = spread(over)
for _, s in ipairs(r.stages) do
  if s.need == 0 and not s.fields.status then
    local f = look(s.name)
    if f.status == 'PENDING' then first(f) end
  end
end
if n > 0 then settle(n) end
list()
return {1, untilNext()}
`)

// claimScript: ARGV = stage, attempt, worker, store, plan, 1 if it runs alone, how many names follow, names of stages whose
// outcomes it needs, then names of stages of whose returned stages it needs all outcomes. Returns {"ok", stage, outcome, ..},
// or {why not}: gone, done, stale, taken, canceled, paused, foreign. A worker whose answer got lost on the way may claim
// again.
var claimScript = redis.NewScript(luaBase + `
local s, attempt, worker = ARGV[1], ARGV[2], ARGV[3]
local f = redis.call('HMGET', st, 'status|'..s, 'attempt|'..s, 'owner|'..s, 'always|'..s, 'pool|'..s, 'order|'..s)
local m = redis.call('HMGET', meta, 'store', 'cancel', 'plan', 'paused', 'started')
local status = f[1]
if not status then return {'gone'} end
if m[1] ~= ARGV[4] then return {'foreign'} end
if m[2] and f[4] ~= '1' then return {'canceled'} end
if ended(status) then return {'done'} end
if f[2] ~= attempt or m[3] ~= ARGV[5] then return {'stale'} end
if status ~= 'RUNNING' or f[3] ~= worker then
  if status ~= 'READY' then return {'taken'} end
  local list, order = outbox, f[6]
  if f[5] and f[5] ~= '' then list, order = pooled, place(f[5], order) end
  redis.call('ZREM', list, s..'\n'..attempt)
  if m[4] and not m[2] then -- in a canceled run there is only the cleanup left, which nothing holds
    -- The task is spent: the stage goes back to the list under the next number.
    redis.call('SREM', live, s)
    redis.call('HSET', st, 'attempt|'..s, attempt + 1)
    redis.call('ZADD', list, order, s..'\n'..(attempt + 1))
    return {'paused'}
  end
  redis.call('SADD', live, s)
  redis.call('HSET', st, 'status|'..s, 'RUNNING', 'owner|'..s, worker, 'started|'..s, now)
  if ARGV[6] == '1' then set('alone', s, attempt) end
  if not m[5] then
    redis.call('HSET', meta, 'started', now)
    emit('RUN_START', '', 0, worker, '')
  end
  emit('STEP_START', s, attempt, worker, '')
end
local answer = {'ok'}
local function outcome(of)
  answer[#answer + 1] = of
  answer[#answer + 1] = get('out', of)
end
local names = 7 + tonumber(ARGV[7])
for i = 8, names do outcome(ARGV[i]) end
for i = names + 1, #ARGV do
  local made = get('made', ARGV[i])
  answer[#answer + 1] = '\n'..ARGV[i]
  answer[#answer + 1] = made
  if made ~= '' then for _, of in ipairs(cjson.decode(made)) do outcome(of) end end
end
return answer
`)

// finishScript: ARGV = stage, attempt, worker, SUCCEEDED or SKIPPED, outcome, message, most successors to go on with, JSON of
// the stages it returned ({stages, names, isnew, collectors}) or nothing, then events as triples type, message, data. Returns {"ok" or "dup" or "gone", 1 if it
// closed the run, stages that became ready and wait for a task, milliseconds to the next timer or -1, and of each successor
// that the worker now owns, in their order: name, attempt, def}. The first commit wins, whatever its attempt.
var finishScript = redis.NewScript(luaBase + luaEvents + luaReady + luaSpread + luaSettle + luaAdd + `
local s, attempt, worker = ARGV[1], ARGV[2], ARGV[3]
local f = redis.call('HMGET', st, 'status|'..s, 'made|'..s)
local status = f[1]
if not status then return {'gone', 0, 0, -1} end
local m = redis.call('HMGET', meta, 'bound', 'cancel', 'paused', 'total')
bound, reason = m[1], m[2]
emitAll(9, s, attempt, worker)
if status ~= 'RUNNING' and status ~= 'READY' and status ~= 'WAITING' then return {'dup', 0, 0, -1} end
local current = attempt
if status ~= 'RUNNING' then current = get('attempt', s) end
takeOff(s, status, current)
keep(s, f[2])
redis.call('HSET', st, 'status|'..s, ARGV[4], 'finished|'..s, now, 'out|'..s, ARGV[5], 'owner|'..s, worker)
if ARGV[4] == 'SKIPPED' then
  set('skip', s, ARGV[6])
  emit('STEP_SKIPPED', s, attempt, worker, ARGV[6])
else
  emit('STEP_SUCCESS', s, attempt, worker, ARGV[6])
end
local more = {}
if ARGV[8] ~= '' and not f[2] then
  local r = cjson.decode(ARGV[8])
  local place = tonumber(get('order', s)) or 0
  for i, new in ipairs(r.stages) do new.order = string.format('%.6f', place + i / 1000000) end
  add(r.stages)
  m[4] = redis.call('HINCRBY', meta, 'total', #r.stages)
  set('made', s, r.names)
  local gains = {}
  for _, new in ipairs(r.stages) do
    local need = 0
    for _, up in ipairs(new.ups or {}) do
      local of = get('status', up)
      if not r.isnew[up] then -- one that is over may yet run again, if its output is found damaged
        gains[up] = gains[up] or {}
        table.insert(gains[up], new.name)
      end
      if r.isnew[up] or not ended(of) then
        need = need + 1
      else
        redis.call('HSET', st, 'edge|'..up..'\n'..new.name, 1)
        if of ~= 'SUCCEEDED' and get('policy', up..'\n'..new.name) ~= 'continue' and get('always', new.name) ~= '1' then
          local why = 'needs '..up..', which did not succeed'
          redis.call('HSET', st, 'status|'..new.name, 'SKIPPED', 'skip|'..new.name, why)
          emit('STEP_SKIPPED', new.name, 0, '', why)
        end
      end
    end
    set('need', new.name, need)
  end
  for up, names in pairs(gains) do
    local list = cjson.decode(redis.call('HGET', down, up) or '[]')
    for _, n in ipairs(names) do list[#list + 1] = n end
    redis.call('HSET', down, up, cjson.encode(list))
  end
  for _, to in ipairs(r.collectors) do
    redis.call('HINCRBY', st, 'need|'..to.name, to.need)
    for from, policy in pairs(to.policies) do set('policy', from..'\n'..to.name, policy) end
  end
  for _, new in ipairs(r.stages) do
    if get('status', new.name) == 'SKIPPED' then
      more[#more + 1] = new.name
    elseif get('need', new.name) == '0' then
      if redis.call('HEXISTS', meta, 'cancel') == 1 and get('always', new.name) ~= '1' then
        redis.call('HSET', st, 'status|'..new.name, 'CANCELED', 'skip|'..new.name, metaget('cancel'))
        redis.call('HINCRBY', meta, 'canceled', 1)
        more[#more + 1] = new.name
      else
        first(look(new.name))
      end
    end
  end
end
local n = 0
if #more > 0 then n = spread(more) end
local over = settle(n + spread({s}, ARGV[4]), m[4])
local due = untilNext()
local most, mine = tonumber(ARGV[7]), {}
if most > 0 and not m[2] and not m[3] then
  for _, f in ipairs(fresh) do -- most of them in their order
    local order, i = tonumber(f.order), math.min(#mine + 1, most)
    if not f.apart and (not mine[most] or order < tonumber(mine[most].order)) then
      while i > 1 and order < tonumber(mine[i - 1].order) do
        mine[i] = mine[i - 1]
        i = i - 1
      end
      mine[i] = f
    end
  end
end
for _, f in ipairs(mine) do f.taken = true end
list()
local answer = {'ok', over, #fresh - #mine, due}
for _, f in ipairs(mine) do
  redis.call('SADD', live, f.name)
  redis.call('HSET', st, 'status|'..f.name, 'RUNNING', 'owner|'..f.name, worker, 'started|'..f.name, now)
  emit('STEP_START', f.name, f.attempt, worker, '')
  local n = #answer
  answer[n + 1], answer[n + 2], answer[n + 3] = f.name, tostring(f.attempt), f.def
end
return answer
`)

// failScript: ARGV = stage, attempt, worker, error, message, status (FAILED or CANCELED), how often it may fail before
// that is final (0: as often as the plan and the run allow), outcome, then events as in finishScript. Returns {what, closed,
// milliseconds until the next attempt, 1 if the run is stopped by it} with what one of ok, retry, stale, gone.
var failScript = redis.NewScript(luaBase + luaEvents + luaReady + luaSpread + luaSettle + luaStop + luaLose + `
local s, attempt, worker = ARGV[1], ARGV[2], ARGV[3]
local status = get('status', s)
if status == '' then return {'gone', 0, 0, 0} end
emitAll(9, s, attempt, worker)
if status ~= 'RUNNING' or get('attempt', s) ~= attempt or get('owner', s) ~= worker then return {'stale', 0, 0, 0} end
local final, limit = ARGV[6], tonumber(ARGV[7])
local stopped = redis.call('HEXISTS', meta, 'cancel') == 1
if stopped and get('always', s) ~= '1' then final = 'CANCELED' end
if limit == 0 then limit = tonumber(get('attempts', s)) or tonumber(metaget('attempts')) or 1 end
keep(s, get('made', s))
set('out', s, ARGV[8])
if final == 'FAILED' then
  local failures = redis.call('HINCRBY', st, 'failures|'..s, 1)
  if failures < limit then
    local pause = tonumber(get('backoff', s)) or 0
    if pause > 0 then
      pause = pause * (tonumber(get('factor', s)) or 2) ^ (failures - 1)
      pause = math.floor(math.min(pause, tonumber(get('limit', s)) or pause, 86400000))
      set('due', s, string.format('%.0f', millis + pause))
    end
    emit('STEP_UP_FOR_RETRY', s, attempt, worker, ARGV[5])
    ready(s, status, tonumber(attempt) + 1)
    list()
    return {'retry', 0, pause, 0}
  end
end
emit('STEP_FAILURE', s, attempt, worker, ARGV[5])
local closed = settle(lose(s, final, ARGV[4]))
list()
local stops = 0
if not stopped and redis.call('HEXISTS', meta, 'cancel') == 1 then stops = 1 end
return {'ok', closed, 0, stops}
`)

// handOverScript: ARGV = stage, attempt, worker, event, message, crash (1 or 0), deaths after which it runs alone, deaths
// alone after which it fails, error. Gives a running or ready attempt out again under the next number; a stage whose workers
// died too often while it ran alone fails. Returns {what, closed} with what one of ok, stale, gone, failed.
var handOverScript = redis.NewScript(luaBase + luaReady + luaSpread + luaSettle + luaStop + luaLose + `
local s, attempt, worker = ARGV[1], ARGV[2], ARGV[3]
local status = get('status', s)
if status == '' then return {'gone', 0} end
if (status ~= 'RUNNING' and status ~= 'READY') or get('attempt', s) ~= attempt or (status == 'RUNNING' and get('owner', s) ~= worker) then return {'stale', 0} end
emit(ARGV[4], s, attempt, worker, ARGV[5])
if redis.call('HEXISTS', meta, 'cancel') == 1 and get('always', s) ~= '1' then
  local closed = settle(lose(s, 'CANCELED', ''))
  list()
  return {'ok', closed}
end
if ARGV[6] == '1' then
  redis.call('HINCRBY', st, 'crash|'..s, 1)
  if ARGV[8] == '0' or (get('alone', s) == attempt and redis.call('HINCRBY', st, 'lonely|'..s, 1) >= tonumber(ARGV[8])) then
    emit('STEP_FAILURE', s, attempt, worker, ARGV[5])
    local closed = settle(lose(s, 'FAILED', ARGV[9]))
    list()
    return {'failed', closed}
  end
end
ready(s, status, tonumber(attempt) + 1)
list()
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
  ready(up, made, tonumber(get('attempt', up)) + 1)
  list()
  emit('STEP_UP_FOR_RETRY', up, get('attempt', up), worker, ARGV[6])
end
emitAll(7, s, attempt, worker)
if redis.call('HDEL', st, 'edge|'..up..'\n'..s) == 1 then redis.call('HINCRBY', st, 'need|'..s, 1) end
takeOff(s, status, attempt)
redis.call('HSET', st, 'status|'..s, 'PENDING', 'owner|'..s, '')
return 'ok'
`)

// cancelScript: ARGV = reason, JSON list of the workers alive, 1 if the run is stopped for its deadline, which fails it.
// What does not run is canceled at once. Returns {1 if there is such a run that was not over, 1 if it closed the run}.
var cancelScript = redis.NewScript(luaBase + luaReady + luaSpread + luaSettle + luaStop + `
if metaget('status') ~= 'RUNNING' then return {0, 0} end
local alive = {}
for _, w in ipairs(cjson.decode(ARGV[2])) do alive[w] = true end
if ARGV[3] == '1' then redis.call('HSETNX', meta, 'late', ARGV[1]) end
local n = stop(ARGV[1], alive)
list()
if n == 0 then return {1, 0} end
return {1, settle(n)}
`)

// pauseRunScript: ARGV = 1 to pause, 0 to go on, message. Returns 1 if that changed anything, 0 if not, -1 if there is no such
// run that is not over.
var pauseRunScript = redis.NewScript(luaBase + `
if metaget('status') ~= 'RUNNING' then return -1 end
local changed
if ARGV[1] == '1' then changed = redis.call('HSETNX', meta, 'paused', now) else changed = redis.call('HDEL', meta, 'paused') end
if changed == 1 then emit('ENGINE_EVENT', '', 0, '', ARGV[2]) end
return changed
`)

// wakeScript: ARGV = a signal or nothing. Hands out the stages whose time of waiting is over. Returns {stages that became
// ready, the millisecond from now at which the next one may, or -1}, or {-1, -1} if there is no such run that is not over.
var wakeScript = redis.NewScript(luaBase + luaReady + `
if metaget('status') ~= 'RUNNING' then return {-1, -1} end
if ARGV[1] ~= '' and redis.call('HSETNX', meta, 'signal|'..ARGV[1], now) == 1 then emit('ENGINE_EVENT', '', 0, '', 'signal '..ARGV[1]) end
local waiting = redis.call('ZRANGEBYSCORE', timers, '-inf', string.format('%.0f', millis))
if ARGV[1] ~= '' then waiting = redis.call('ZRANGE', timers, 0, -1) end
for _, s in ipairs(waiting) do
  if get('status', s) == 'WAITING' then
    local since = get('ready', s)
    ready(s, 'WAITING', get('attempt', s))
    if get('status', s) == 'WAITING' then set('ready', s, since) end
  else
    redis.call('ZREM', timers, s)
  end
end
list()
return {#fresh, untilNext()}
`)

// peekScript: ARGV = how many, of each pool too. Returns what the tasks of a run's next ready stages are made of, and leaves them on their
// lists: {store, plan, plan_bytes, priority, then for each: stage newline attempt, def, how often its worker died, pool}. A run that is paused
// or gone has none.
var peekScript = redis.NewScript(luaBase + `
local answer = {metaget('store'), metaget('plan'), metaget('plan_bytes'), metaget('priority')}
if redis.call('HEXISTS', meta, 'paused') == 1 and redis.call('HEXISTS', meta, 'cancel') == 0 then return answer end
local function add(m)
  local n, s = #answer, string.match(m, '^[^\n]*')
  local f = redis.call('HMGET', st, 'def|'..s, 'crash|'..s, 'pool|'..s)
  answer[n + 1], answer[n + 2], answer[n + 3], answer[n + 4] = m, f[1] or '', f[2] or '', f[3] or ''
end
for _, m in ipairs(redis.call('ZRANGE', outbox, 0, tonumber(ARGV[1]) - 1)) do add(m) end
if redis.call('EXISTS', pooled) == 0 then return answer end
local found = {}
for i = 0, tonumber(metaget('pools')) or 0 do
  local from, to = string.format('%.0f', i * stretch), string.format('(%.0f', (i + 1) * stretch)
  local list = redis.call('ZRANGEBYSCORE', pooled, from, to, 'WITHSCORES', 'LIMIT', 0, ARGV[1])
  for j = 1, #list, 2 do found[#found + 1] = {list[j], num(list[j + 1]) - i * stretch} end
end
table.sort(found, function(a, b) return a[2] < b[2] end)
for _, f in ipairs(found) do add(f[1]) end
return answer
`)

// sentScript: ARGV = members of the outbox whose tasks asynq has.
var sentScript = redis.NewScript(luaBase + `
for _, m in ipairs(ARGV) do
  local n = redis.call('ZREM', outbox, m)
  if n == 0 then n = redis.call('ZREM', pooled, m) end
  if n > 0 then redis.call('SADD', live, string.match(m, '^[^\n]*')) end
end
return redis.call('ZCARD', outbox) + redis.call('ZCARD', pooled)
`)

// inspectScript returns what the reconciler needs to know of a run: {store, status, queue, priority, announced, stages that
// wait for a task, milliseconds to the next timer or -1, milliseconds to the deadline or "", length of the stream,
// then for each live stage: name, status, attempt, owner, ready, started}. A stage that is live no more is taken off.
var inspectScript = redis.NewScript(luaBase + `
if redis.call('EXISTS', meta) == 0 then return {} end
local deadline = tonumber(metaget('deadline'))
local left = ''
if deadline and redis.call('HEXISTS', meta, 'cancel') == 0 then left = string.format('%.0f', deadline - millis) end
local answer = {metaget('store'), metaget('status'), metaget('queue'), metaget('priority'), metaget('announced'), redis.call('ZCARD', outbox) + redis.call('ZCARD', pooled), untilNext(), left,
  redis.call('XLEN', events)}
for _, s in ipairs(redis.call('SMEMBERS', live)) do
  local status = get('status', s)
  if status ~= 'RUNNING' and status ~= 'READY' then
    redis.call('SREM', live, s)
  else
    local n = #answer
    answer[n + 1], answer[n + 2], answer[n + 3], answer[n + 4], answer[n + 5], answer[n + 6] = s, status, get('attempt', s), get('owner', s), get('ready', s), get('started', s)
  end
end
return answer
`)

// announceScript: ARGV = event type, message, seconds to keep the state. Ends the event stream once.
var announceScript = redis.NewScript(luaBase + `
if redis.call('EXISTS', meta) == 0 or redis.call('HSETNX', meta, 'announced', now) == 0 then return 0 end
emit(ARGV[1], '', 0, '', ARGV[2])
for i = 1, 5 do redis.call('EXPIRE', KEYS[i], ARGV[3]) end -- the lists are empty
return 1
`)

// closed reads the second element of a script's answer.
func closed(answer []any) bool { return number(answer, 1) == 1 }

// what reads the first element of a script's answer.
func what(answer []any) string { return text(answer, 0) }

// text reads an element of a script's answer, "" where there is none.
func text(answer []any, i int) string {
	if i >= len(answer) {
		return ""
	}
	s, _ := answer[i].(string)
	return s
}

// number reads an element of a script's answer, 0 where there is none.
func number(answer []any, i int) int64 {
	if i >= len(answer) {
		return 0
	}
	n, _ := answer[i].(int64)
	return n
}
