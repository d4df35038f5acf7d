package tasks

import (
	"context"

	"github.com/redis/go-redis/v9"
)

// Everything about schedules lies under one hash tag, since a tick is claimed by one script: on a cluster all of it is on
// one slot, which hundreds of schedules do not fill.
//
//	PREFIX:{schedules}:definitions    hash: NAME -> generation newline JSON of Schedule
//	PREFIX:{schedules}:last           hash: NAME -> microseconds; what is due up to then is decided
//	PREFIX:{schedules}:paused         hash: NAME -> microseconds
//	PREFIX:{schedules}:problems       hash: NAME -> why a scheduler cannot look at what it watches
//	PREFIX:{schedules}:version        counts changes of definitions and paused
//	PREFIX:{schedules}:pending:PLACE  sorted set: NAME newline KEY, by the millisecond from which a scheduler may take it.
//	                                    PLACE is store:queue
//	PREFIX:{schedules}:entries        hash: member of pending -> generation newline JSON of pendingTick; the same with newline
//	                                    owner -> who took it last, with newline tries -> how often it was taken, and with newline
//	                                    run -> the id of its run
//	PREFIX:{schedules}:ticks:NAME     hash: KEY -> JSON of TickRecord
//	PREFIX:{schedules}:order:NAME     sorted set: KEY, by the millisecond of its decision
//	PREFIX:{schedules}:seen:NAME      set of the digests that a watch has seen, 32 bytes each
//	PREFIX:{schedules}:files:NAME     hash: path -> stamp of what was seen there last
//	PREFIX:{schedules}:watching:NAME  which scheduler looks at the path, for as long as it does
//	PREFIX:{schedules}:schedulers     hash: ID -> JSON of SchedulerInfo
//
// A tick is decided by one script: it moves last and makes the tick pending, or does nothing because another scheduler was
// first. Whoever takes a pending tick has a lease; when that ends before the tick is done, because the scheduler died, another
// takes it. The first who takes it gives its run an id, so that all others submit the same run, which changes nothing if it
// was submitted before.
func (c *core) scheduleKey(part string) string { return string(c.key) + ":{schedules}:" + part }

// scheduleKeys are the KEYS of the scripts below.
func (c *core) scheduleKeys(place, name string) []string {
	var list []string
	for _, part := range []string{"definitions", "last", "paused", "version", "pending:" + place, "entries", "ticks:" + name, "order:" + name, "seen:" + name, "files:" + name, "problems"} {
		list = append(list, c.scheduleKey(part))
	}
	return list
}

// runScheduleScript runs a script where its effect must outlive a failover: a decision that is forgotten would be made
// again. The script may be run again, which must be harmless.
func (c *core) runScheduleScript(ctx context.Context, script *redis.Script, place, name string, args ...any) *redis.Cmd {
	var cmd *redis.Cmd
	err := c.durably(ctx, c.scheduleKey("definitions"), func(server redis.Cmdable) error {
		cmd = script.Run(ctx, server, c.scheduleKeys(place, name), args...)
		return cmd.Err()
	})
	if cmd == nil || err != nil && cmd.Err() == nil {
		cmd = redis.NewCmd(ctx)
		cmd.SetErr(err)
	}
	return cmd
}

// luaSchedules is what the scripts share. ARGV[1] is the name, ARGV[2] the generation of the schedule.
const luaSchedules = `
local definitions, last, paused, version, pending, entries, ticks, order, seen, files, problems = unpack(KEYS)
local name, generation = ARGV[1], ARGV[2]
local t = redis.call('TIME')
local ms = t[1] * 1000 + math.floor(t[2] / 1000)
local function is(definition, g) return definition and string.sub(definition, 1, #g + 1) == g..'\n' end
local function current() return is(redis.call('HGET', definitions, name), generation) end
local function record(key, text, keep)
  redis.call('HSET', ticks, key, text)
  redis.call('ZADD', order, 'NX', ms, key)
  while redis.call('ZCARD', order) > tonumber(keep) do redis.call('HDEL', ticks, redis.call('ZPOPMIN', order)[1]) end
end
local function queue(key, entry, text, keep)
  local member = name..'\n'..key
  if redis.call('HEXISTS', ticks, key) == 1 or redis.call('HEXISTS', entries, member) == 1 then return 0 end
  redis.call('HSET', entries, member, generation..'\n'..entry)
  redis.call('ZADD', pending, ms, member)
  record(key, text, keep)
  return 1
end
local function drop(member)
  redis.call('ZREM', pending, member)
  redis.call('HDEL', entries, member, member..'\nowner', member..'\ntries', member..'\nrun')
end
`

// defineScript: ARGV = name, generation, JSON, moment of creation, 1 if it may replace a schedule. A replaced one keeps
// what was decided. Returns 1, or 0 when there is one.
var defineScript = redis.NewScript(luaSchedules + `
local old = redis.call('HGET', definitions, name)
if old and ARGV[5] ~= '1' and not is(old, generation) then return 0 end
redis.call('HSET', definitions, name, generation..'\n'..ARGV[3])
redis.call('HDEL', problems, name)
if not old then
  redis.call('HSET', last, name, ARGV[4])
  redis.call('DEL', ticks, order, seen, files)
end
redis.call('INCR', version)
return 1
`)

// removeScript: ARGV = name, "". What is pending of it is dropped by who takes it.
var removeScript = redis.NewScript(luaSchedules + `
if redis.call('HDEL', definitions, name) == 0 then return 0 end
redis.call('HDEL', last, name)
redis.call('HDEL', paused, name)
redis.call('HDEL', problems, name)
redis.call('DEL', ticks, order, seen, files)
redis.call('INCR', version)
return 1
`)

// pauseScript: ARGV = name, "", 1 to pause or 0 to resume, moment. What was due during a pause is left out.
var pauseScript = redis.NewScript(luaSchedules + `
if redis.call('HEXISTS', definitions, name) == 0 then return 0 end
if ARGV[3] == '1' then
  redis.call('HSETNX', paused, name, ARGV[4])
elseif redis.call('HDEL', paused, name) == 1 then
  redis.call('HSET', last, name, ARGV[4])
end
redis.call('INCR', version)
return 1
`)

// decideScript: ARGV = name, generation, what last must be, what it becomes, how many ticks to remember, then triples of
// key, pendingTick and TickRecord; a triple without pendingTick is a record alone. Returns {1 or 0, last}; 0 when somebody
// else decided first, or the schedule is gone or paused.
var decideScript = redis.NewScript(luaSchedules + `
local was = redis.call('HGET', last, name) or ''
if not current() or redis.call('HEXISTS', paused, name) == 1 then return {0, ''} end
if was ~= ARGV[3] then return {0, was} end
redis.call('HSET', last, name, ARGV[4])
for i = 6, #ARGV, 3 do
  if ARGV[i + 1] == '' then record(ARGV[i], ARGV[i + 2], ARGV[5]) else queue(ARGV[i], ARGV[i + 1], ARGV[i + 2], ARGV[5]) end
end
return {1, ARGV[4]}
`)

// queueScript: ARGV = name, generation, how many ticks to remember, then triples as in decideScript. Returns how many were
// queued; -1 when the schedule is gone.
var queueScript = redis.NewScript(luaSchedules + `
if not current() then return -1 end
local n = 0
for i = 4, #ARGV, 3 do n = n + queue(ARGV[i], ARGV[i + 1], ARGV[i + 2], ARGV[3]) end
return n
`)

// contentScript: ARGV = name, generation, how many ticks to remember, path, stamp, digest, key, pendingTick, TickRecord;
// without a pendingTick the content is only noted. Returns 1 when it was new and is queued.
var contentScript = redis.NewScript(luaSchedules + `
if not current() then return 0 end
redis.call('HSET', files, ARGV[4], ARGV[5])
if redis.call('SADD', seen, ARGV[6]) == 0 or ARGV[8] == '' then return 0 end
return queue(ARGV[7], ARGV[8], ARGV[9], ARGV[3])
`)

// takeScript: ARGV = "", "", who takes, milliseconds of the lease, an id for the run. Returns {member, generation newline
// pendingTick, definition, how often it was taken, id of the run}, or nothing. Only a manual tick is taken of a schedule that is paused.
var takeScript = redis.NewScript(luaSchedules + `
for _, member in ipairs(redis.call('ZRANGEBYSCORE', pending, '-inf', ms, 'LIMIT', 0, 200)) do
  local of = string.match(member, '^[^\n]*')
  local entry, definition = redis.call('HGET', entries, member), redis.call('HGET', definitions, of)
  if not entry or not is(definition, string.match(entry, '^[^\n]*')) then
    drop(member)
  elseif redis.call('HEXISTS', paused, of) == 1 and not string.find(member, '\nmanual:', 1, true) then
    redis.call('ZADD', pending, ms + 2000, member)
  else
    redis.call('ZADD', pending, ms + tonumber(ARGV[4]), member)
    redis.call('HSET', entries, member..'\nowner', ARGV[3])
    redis.call('HSETNX', entries, member..'\nrun', ARGV[5])
    return {member, entry, definition, redis.call('HINCRBY', entries, member..'\ntries', 1), redis.call('HGET', entries, member..'\nrun')}
  end
end
return {}
`)

// holdScript: ARGV = "", "", owner, member, milliseconds. Prolongs the lease, or puts the tick back for so long. Returns 1 if
// the owner had it.
var holdScript = redis.NewScript(luaSchedules + `
if redis.call('HGET', entries, ARGV[4]..'\nowner') ~= ARGV[3] then return 0 end
redis.call('ZADD', pending, 'XX', ms + tonumber(ARGV[5]), ARGV[4])
return 1
`)

// recordScript: ARGV = name, generation, member, key, TickRecord, 1 when the tick is done, owner: who must have it, or "" for
// anybody. Returns 1 if it was pending still.
var recordScript = redis.NewScript(luaSchedules + `
local member = ARGV[3]
if redis.call('HEXISTS', entries, member) == 0 then return 0 end
if ARGV[7] ~= '' and redis.call('HGET', entries, member..'\nowner') ~= ARGV[7] then return 0 end
if current() and redis.call('HEXISTS', ticks, ARGV[4]) == 1 then redis.call('HSET', ticks, ARGV[4], ARGV[5]) end
if ARGV[6] == '1' then drop(member) end
return 1
`)

// watchScript: KEYS = the key of the watcher; ARGV = who, milliseconds; 0 to give it up. Returns 1 if it is theirs now.
var watchScript = redis.NewScript(`
local holder = redis.call('GET', KEYS[1])
if holder and holder ~= ARGV[1] then return 0 end
if ARGV[2] == '0' then redis.call('DEL', KEYS[1]) else redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2]) end
return 1
`)
