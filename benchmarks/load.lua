-- What wrk sends: lifelike updates, each of them a new one, for so many seconds; then it waits for the answers that are
-- still on their way, so that every update that was sent is known to have been answered. It ends as soon as they are there.
--
-- Arguments: path, seconds, prefix of the jobs' ids, number of jobs. The environment has BENCH_TOKEN.
-- The last line of the output is the outcome as JSON.

local ffi = require("ffi")
ffi.cdef [[
  typedef struct { long seconds; long nanoseconds; } bench_time;
  int clock_gettime(int clock, bench_time *now);
  int getpid(void);
  int kill(int process, int signal);
]]
local time = ffi.new("bench_time")

local function microseconds()
  ffi.C.clock_gettime(0, time)
  return tonumber(time.seconds) * 1000000 + math.floor(tonumber(time.nanoseconds) / 1000)
end

-- There is one thread: the clock then makes the timestamps distinct.
local the_thread
function setup(thread)
  the_thread = thread
end

function init(arguments)
  path, seconds, prefix, jobs = arguments[1], tonumber(arguments[2]), arguments[3], tonumber(arguments[4])
  headers = { ["Content-Type"] = "application/json", ["Authorization"] = "Bearer " .. os.getenv("BENCH_TOKEN") }
  built, good, later, other, example = 0, 0, 0, 0, ""
  first, last, last_stamp, second, second_text = 0, 0, 0, 0, ""
  math.randomseed(microseconds() % 2147483647)
end

local function timestamp()
  local now = math.max(microseconds(), last_stamp + 1)
  last_stamp = now
  local whole = math.floor(now / 1000000)
  if whole ~= second then
    second, second_text = whole, os.date("!%Y-%m-%dT%H:%M:%S", whole)
  end
  return string.format("%s.%06dZ", second_text, now % 1000000)
end

-- Asked before each request: nothing more is sent once the time is over.
function delay()
  if first == 0 then
    first = microseconds()
  end
  return microseconds() - first < seconds * 1000000 and 0 or 3600000
end

function request()
  built = built + 1
  local processed = math.random(1, 1000000)
  return wrk.format("POST", path, headers, string.format(
    '{"taskId":"%s%d","status":"processing","timestamp":"%s","processedItems":%d,"totalItems":1000000,'
    .. '"currentDataType":"issues","stage":"data_collection","operationType":"data_collection",'
    .. '"itemsByType":{"issues":%d,"commits":3},"lastProcessedId":"gid://issue/%d",'
    .. '"message":"Processing issues"}',
    prefix, math.random(1, jobs), timestamp(), processed, math.random(1, 50), processed))
end

function response(status, headers, body)
  last = microseconds()
  if status == 200 then
    good = good + 1
  elseif status == 503 and (headers["Retry-After"] or headers["retry-after"]) then
    later = later + 1
  else
    other = other + 1
    example = status .. " " .. string.gsub(string.sub(body, 1, 200), '[%c"\\]', "'")
  end
  -- wrk sleeps until its duration is over, or until it is interrupted (SIGINT).
  if last - first >= seconds * 1000000 and good + later + other >= built - 1 then
    ffi.C.kill(ffi.C.getpid(), 2)
  end
end

function done(summary, latency, _)
  local errors = summary.errors
  local get = function(name) return the_thread:get(name) end
  -- wrk builds one request that it does not send, to see whether it is one.
  io.write(string.format(
    '\n{"sent":%d,"good":%d,"later":%d,"other":%d,"example":"%s","errors":%d,"seconds":%.6f,"p99_ms":%.3f}\n',
    get("built") - 1, get("good"), get("later"), get("other"), get("example"),
    errors.connect + errors.read + errors.write + errors.timeout,
    (get("last") - get("first")) / 1000000, latency:percentile(99) / 1000))
end
