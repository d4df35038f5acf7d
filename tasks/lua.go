package tasks

// The parts that scripts share.
const (
	luaNum = `
-- num reads a score: the embedded Redis may write one with an exponent, which its Lua does not read.
local function num(s)
  local m, e = string.match(s, '^(.-)e%+?(%d+)$')
  if m then return tonumber(m) * 10 ^ tonumber(e) end
  return tonumber(s)
end
`
	luaBase = luaNum + `
local meta, st, down, outbox, events, live, timers, pooled = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6], KEYS[7], KEYS[8]
local function get(f, s) return redis.call('HGET', st, f..'|'..s) or '' end
local function set(f, s, v) redis.call('HSET', st, f..'|'..s, v) end
local function metaget(f) return redis.call('HGET', meta, f) or '' end
local t = redis.call('TIME')
local now = t[1]..string.sub('00000'..t[2], -6)
local millis = t[1] * 1000 + math.floor(t[2] / 1000)
local never = 9000000000000000
local function untilNext()
  local next = redis.call('ZRANGE', timers, 0, 0, 'WITHSCORES')
  if not next[2] or num(next[2]) >= never then return -1 end
  return math.max(0, math.floor(num(next[2]) - millis))
end
-- xadd adds an event; what it does not say is left out.
local bound = nil
local function xadd(kind, s, attempt, worker, message, data)
  bound = bound or redis.call('HGET', meta, 'bound') or '100000'
  local a = {'XADD', events, 'MAXLEN', '~', bound, '*', 'time', now, 'type', kind}
  if s ~= '' then a[11], a[12], a[13], a[14] = 'stage', s, 'attempt', attempt end
  local n = #a
  if worker ~= '' then a[n + 1], a[n + 2] = 'worker', worker; n = n + 2 end
  if message ~= '' then a[n + 1], a[n + 2] = 'message', message; n = n + 2 end
  if data ~= '' then a[n + 1], a[n + 2] = 'data', data end
  redis.call(unpack(a))
end
local function emit(kind, s, attempt, worker, message) xadd(kind, s, attempt, worker, message, '') end
-- place is where a stage stands among those of the run's pools: each pool has a stretch of its own, so that a full one hides
-- nothing of another.
local stretch = 100000000
local function place(pool, order)
  local n = redis.call('HGET', meta, 'pool|'..pool)
  if not n then
    n = redis.call('HINCRBY', meta, 'pools', 1)
    redis.call('HSET', meta, 'pool|'..pool, n)
  end
  return string.format('%.6f', n * stretch + order)
end
local function ended(status) return status == 'SUCCEEDED' or status == 'FAILED' or status == 'SKIPPED' or status == 'CANCELED' end
-- keep keeps the outcome in which a stage returned stages, before it gets another: it may run again and end in another way.
local function keep(s, made)
  if made and made ~= '' then redis.call('HSETNX', st, 'returned|'..s, get('out', s)) end
end
-- takeOff takes a stage, as it is, off the lists that it may stand on.
local function takeOff(s, status, attempt)
  if status == 'READY' then
    redis.call('ZREM', outbox, s..'\n'..attempt)
    redis.call('ZREM', pooled, s..'\n'..attempt)
    redis.call('SREM', live, s)
  elseif status == 'RUNNING' then redis.call('SREM', live, s)
  elseif status == 'WAITING' then redis.call('ZREM', timers, s) end
end
`
	// emitAll adds the events of an attempt, which are triples of ARGV from a place on: type, message, data.
	luaEvents = `
local function emitAll(from, s, attempt, worker)
  for i = from, #ARGV, 3 do xadd(ARGV[i], s, attempt, worker, ARGV[i + 1], ARGV[i + 2]) end
end
`
	// ready hands a stage out under an attempt's number, unless it has to wait for a moment or a signal. fresh collects what
	// became ready.
	luaReady = `
local fresh = {}
local function plain(f) if not f or f == '' then return nil end return f end
-- look reads what it takes to hand a stage out.
local function look(s)
  local f = redis.call('HMGET', st, 'status|'..s, 'attempt|'..s, 'due|'..s, 'signal|'..s, 'pool|'..s, 'order|'..s, 'delay|'..s, 'always|'..s, 'memory|'..s, 'crash|'..s, 'def|'..s)
  return {name = s, status = f[1], attempt = f[2], due = tonumber(plain(f[3])) or 0, signal = plain(f[4]), pool = plain(f[5]), order = f[6], delay = tonumber(plain(f[7])) or 0,
    always = f[8] == '1', apart = plain(f[5]) or plain(f[9]) or plain(f[10]), def = f[11] or ''}
end
local function hand(f, attempt)
  local s = f.name
  f.attempt = attempt
  if f.due > millis or (f.signal and redis.call('HEXISTS', meta, 'signal|'..f.signal) == 0) then
    redis.call('HSET', st, 'status|'..s, 'WAITING', 'attempt|'..s, attempt, 'ready|'..s, now, 'owner|'..s, '')
    local due = f.due
    if due <= millis then due = never end
    redis.call('ZADD', timers, string.format('%.0f', due), s)
    return
  end
  redis.call('HSET', st, 'status|'..s, 'READY', 'attempt|'..s, attempt, 'ready|'..s, now)
  fresh[#fresh + 1] = f
end
-- ready hands a stage out that had a number before; status is its present one.
local function ready(s, status, attempt)
  local f = look(s)
  takeOff(s, status, f.attempt)
  hand(f, attempt)
end
-- first is called with what look found when the needs of a stage are met for the first time, or again.
local function first(f)
  if f.delay > 0 and f.due == 0 then
    f.due = millis + f.delay
    set('due', f.name, string.format('%.0f', f.due))
  end
  hand(f, (tonumber(f.attempt) or 0) + 1)
end
-- list puts what became ready on the lists, but for what was taken. It is the last thing that a script does.
local function list()
  for _, f in ipairs(fresh) do
    if not f.taken then
      local to, order = outbox, f.order
      if f.pool then to, order = pooled, place(f.pool, order) end
      redis.call('ZADD', to, order, f.name..'\n'..f.attempt)
    end
  end
end
`
	// spread carries the end of stages to what needs them: edges are counted, stages skipped or canceled by the policy of the
	// need. It returns how many stages are over by it, the ones it was given included.
	luaSpread = `
local reason = nil
-- canceled returns why the run is canceled, or false.
local function canceled()
  if reason == nil then reason = redis.call('HGET', meta, 'cancel') end
  return reason
end
local function spread(queue, known)
  local n = 0
  while #queue > 0 do
    local from = table.remove(queue)
    local status = known or get('status', from)
    known = nil
    n = n + 1
    for _, to in ipairs(cjson.decode(redis.call('HGET', down, from) or '[]')) do
      local counts = status == 'SUCCEEDED'
      if not counts then counts = get('policy', from..'\n'..to) == 'continue' or get('always', to) == '1' end
      if counts then
        if redis.call('HSETNX', st, 'edge|'..from..'\n'..to, 1) == 1 and redis.call('HINCRBY', st, 'need|'..to, -1) <= 0 then
          redis.call('HDEL', st, 'need|'..to) -- no field is none, and there are many stages
          local f = look(to)
          if f.status == 'PENDING' and canceled() and not f.always then
            redis.call('HSET', st, 'status|'..to, 'CANCELED', 'skip|'..to, canceled())
            redis.call('HINCRBY', meta, 'canceled', 1)
            queue[#queue + 1] = to
          elseif f.status == 'PENDING' then
            first(f)
          end
        end
      elseif get('status', to) == 'PENDING' then
        local word, why = 'SKIPPED', 'needs '..from..', which failed'
        if status == 'CANCELED' then
          word, why = 'CANCELED', 'needs '..from..', which was canceled'
          redis.call('HINCRBY', meta, 'canceled', 1)
        elseif status == 'SKIPPED' then
          why = 'needs '..from..', which was skipped'
        end
        redis.call('HSET', st, 'status|'..to, word, 'skip|'..to, why)
        if word == 'SKIPPED' then emit('STEP_SKIPPED', to, 0, '', why) end
        queue[#queue + 1] = to
      end
    end
  end
  return n
end
`
	// settle counts n more stages as over and closes the run with the last one; it returns 1 when it did. A run without a
	// store has no record to be kept, and is announced at once.
	luaSettle = `
local function settle(n, total)
  local over = redis.call('HINCRBY', meta, 'over', n)
  if over < tonumber(total or metaget('total')) then return 0 end
  local status, word = 'SUCCEEDED', 'RUN_SUCCESS'
  if (tonumber(metaget('failed')) or 0) > 0 or redis.call('HEXISTS', meta, 'late') == 1 then status, word = 'FAILED', 'RUN_FAILURE'
  elseif (tonumber(metaget('canceled')) or 0) > 0 then status, word = 'CANCELED', 'RUN_CANCELED' end
  redis.call('HSET', meta, 'status', status, 'finished', now)
  if metaget('store') == '' then
    redis.call('HSET', meta, 'announced', now)
    emit(word, '', 0, '', '')
    for i = 1, 5 do redis.call('EXPIRE', KEYS[i], metaget('keep')) end -- the lists are empty
  end
  return 1
end
`
	// stop cancels what does not run. alive is a table of the workers that live, or nil to believe all owners alive.
	luaStop = `
local function stop(why, alive)
  redis.call('HSETNX', meta, 'cancel', why)
  reason = nil
  local over = {}
  for _, s in ipairs(redis.call('HKEYS', down)) do
    local status = get('status', s)
    local idle = status == 'PENDING' or status == 'READY' or status == 'WAITING' or (status == 'RUNNING' and alive and not alive[get('owner', s)])
    if idle and get('always', s) ~= '1' then
      takeOff(s, status, get('attempt', s))
      redis.call('HSET', st, 'status|'..s, 'CANCELED', 'skip|'..s, why)
      redis.call('HINCRBY', meta, 'canceled', 1)
      over[#over + 1] = s
    end
  end
  return spread(over)
end
`
	// lose ends a stage as failed or canceled, with all that follows from it; it returns the number of stages that are over by
	// it. A failure that every need on the stage is to go on with does not fail the run.
	luaLose = `
local function tolerated(s)
  local soft = false
  for _, to in ipairs(cjson.decode(redis.call('HGET', down, s) or '[]')) do
    local policy = get('policy', s..'\n'..to)
    if policy == 'continue' then soft = true
    elseif get('always', to) ~= '1' then return false end
  end
  return soft
end
local function lose(s, status, err)
  takeOff(s, get('status', s), get('attempt', s))
  redis.call('HSET', st, 'status|'..s, status, 'finished|'..s, now, 'err|'..s, err)
  if status == 'CANCELED' then redis.call('HINCRBY', meta, 'canceled', 1)
  elseif not tolerated(s) then redis.call('HINCRBY', meta, 'failed', 1) end
  local n = 0
  if status == 'FAILED' then
    for _, to in ipairs(cjson.decode(redis.call('HGET', down, s) or '[]')) do
      if get('policy', s..'\n'..to) == 'fail' and redis.call('HEXISTS', meta, 'cancel') == 0 then
        n = n + stop('the stage '..s..' failed, which the run cannot do without', nil)
      end
    end
  end
  return n + spread({s}, status)
end
`
	// add puts stages into the state: [{name, order, down, fields, policies}].
	luaAdd = `
local function add(stages)
  for _, s in ipairs(stages) do
    local a = {'HSET', st, 'order|'..s.name, s.order, 'status|'..s.name, 'PENDING', 'attempt|'..s.name, 0, 'need|'..s.name, s.need}
    local n = #a
    for k, v in pairs(s.fields) do
      a[n + 1], a[n + 2] = k..'|'..s.name, v
      n = n + 2
    end
    for from, policy in pairs(s.policies) do set('policy', from..'\n'..s.name, policy) end
    redis.call(unpack(a))
    redis.call('HSET', down, s.name, s.down)
  end
end
`
)
