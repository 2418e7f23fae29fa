-- The tap: what every worker of this gateway really served, connection by connection.
--
-- certdrift-proxy.conf asks connection() for the variable $certdrift; certdrift-http.conf asks report() for what all
-- workers saw. This file is loaded once per worker, by path: neither lua_package_path nor init_by_lua is touched, for
-- both are Kong's. It needs lua-nginx-module with resty.core, which Kong and OpenResty have. It is one file, long as it
-- is, because users mount it as one.
--
-- Rows (docs/adr/0003-tap-rows.md). Each worker writes its own rows and nobody else's. A row belongs to a certificate,
-- by fingerprint, and to what was asked of it:
--   name       a server name
--   wildcard   all names that one wildcard of the certificate covers, together
--   none       no server name
--   uncovered  all names the certificate does not cover, together
-- Rows of the last three kinds, names that stand in the certificate, and names a reader has asked for (?hosts=) are
-- bounded by certificates and readers: a stranger cannot make any. Every other name gets one of RING places, and the
-- newest takes the oldest's: strangers displace strangers.
local ffi = require "ffi"
local bit = require "bit"
local base = require "resty.core.base"

local C = ffi.C
local ngx, ngx_var, shared = ngx, ngx.var, ngx.shared
local time, now_exact, log, ERR = ngx.time, ngx.now, ngx.log, ngx.ERR
local concat, format, floor = table.concat, string.format, math.floor
local lower, find, match, sub, byte = string.lower, string.find, string.match, string.sub, string.byte
local tonumber, tostring, pcall, type = tonumber, tostring, pcall, type

-- Places for names that neither a certificate nor a reader vouches for, per worker.
local RING = 512
-- Connections a worker remembers, twice over: what falls out is computed again.
local REMEMBERED = 4096
-- Seconds after which a row that nobody was served leaves.
local FORGET = 86400
-- Seconds for which a name that a reader asked for is kept track of.
local WANTED = 86400

local tap = {}
local workers, rows_dict = shared.certdrift, shared.certdrift_rows

-- === OpenSSL ===
-- Own names for its functions (asm labels): LuaJIT keeps the first declaration of a name, so that by their own names
-- either Kong's resty.openssl would get ours, with types it does not expect, or we its.
pcall(ffi.cdef, [[
  void *certdrift_get_req_ssl(void *r, const char **err) __asm__("ngx_http_lua_ffi_get_req_ssl_pointer");
  void *certdrift_SSL_get_certificate(const void *ssl) __asm__("SSL_get_certificate");
  int certdrift_SSL_session_reused(const void *ssl) __asm__("SSL_session_reused");
  const void *certdrift_EVP_sha256(void) __asm__("EVP_sha256");
  int certdrift_X509_digest(const void *x, const void *md, unsigned char *out, unsigned int *len) __asm__("X509_digest");
  void *certdrift_X509_get_subject_name(const void *x) __asm__("X509_get_subject_name");
  void *certdrift_X509_get_issuer_name(const void *x) __asm__("X509_get_issuer_name");
  int certdrift_X509_NAME_cmp(const void *a, const void *b) __asm__("X509_NAME_cmp");
  int certdrift_X509_NAME_get_text(void *name, int nid, char *buf, int len) __asm__("X509_NAME_get_text_by_NID");
  int certdrift_X509_check_host(void *x, const char *name, size_t len, unsigned int flags, char **peer) __asm__("X509_check_host");
  void certdrift_CRYPTO_free(void *p, const char *file, int line) __asm__("CRYPTO_free");
]])

local NID_COMMON_NAME = 13
local errors = ffi.new("const char *[1]")
local digest = ffi.new("unsigned char[64]")
local digest_len = ffi.new("unsigned int[1]")
local text = ffi.new("char[256]")
local peer = ffi.new("char *[1]")
local kong_tls = select(2, pcall(require, "resty.kong.tls"))

-- The connection's SSL object; nil where there is none or it cannot be had.
local function ssl_pointer()
  if type(kong_tls) == "table" and kong_tls.get_request_ssl_pointer then
    local ok, ssl = pcall(kong_tls.get_request_ssl_pointer)
    if ok and ssl ~= nil then
      return ssl
    end
  end
  -- Releases differ in whether there is an `err`; a surplus argument harms nobody.
  local ssl = C.certdrift_get_req_ssl(base.get_request(), errors)
  if ssl ~= nil then
    return ssl
  end
end

local HEX = {}
for n = 0, 255 do
  HEX[n] = format("%02x", n)
end

local function fingerprint_of(x509)
  if C.certdrift_X509_digest(x509, C.certdrift_EVP_sha256(), digest, digest_len) ~= 1 or digest_len[0] ~= 32 then
    return nil
  end
  local hex = {}
  for i = 0, 31 do
    hex[i + 1] = HEX[digest[i]]
  end
  return concat(hex)
end

-- Whether it is what a gateway makes for itself when it is given nothing (Kong's default): self-signed for localhost.
local function is_placeholder(x509)
  local subject = C.certdrift_X509_get_subject_name(x509)
  local issuer = C.certdrift_X509_get_issuer_name(x509)
  if subject == nil or issuer == nil or C.certdrift_X509_NAME_cmp(subject, issuer) ~= 0 then
    return false
  end
  local n = C.certdrift_X509_NAME_get_text(subject, NID_COMMON_NAME, text, 256)
  return n > 0 and lower(ffi.string(text, n)) == "localhost"
end

-- The name in the certificate that covers `host`: itself, or a wildcard; nil when none does.
local function covering(x509, host)
  peer[0] = nil
  if C.certdrift_X509_check_host(x509, host, #host, 0, peer) ~= 1 or peer[0] == nil then
    return nil
  end
  local name = lower(ffi.string(peer[0]))
  C.certdrift_CRYPTO_free(peer[0], "", 0)
  return name
end

-- === The worker and its rows ===
local me                        -- this worker, once registered
local left = false              -- true once it is shutting down
local index, slots, free = {}, 0, {}
local ring, ring_at = {}, 0
local swept = 0
local by_slot = {}

-- Tells whether a process is a worker that takes connections. nginx writes the state into the process's title.
local own_title
local function title_of(pid)
  local file = io.open("/proc/" .. pid .. "/cmdline", "rb")
  if not file then
    return nil
  end
  local title = file:read(256) or ""
  file:close()
  return title
end

local function serves(pid)
  if me and pid == me.pid then
    return not left
  end
  own_title = own_title or title_of(ngx.worker.pid())
  if not own_title then
    return true                 -- no /proc: nothing can be told
  end
  local title = title_of(pid)
  if not title or find(title, "shutting down", 1, true) then
    return false
  end
  return not find(own_title, "worker process", 1, true) or find(title, "worker process", 1, true) ~= nil
end

local function forget_rows(pid, n)
  for slot = 1, n do
    rows_dict:delete(pid .. ":" .. slot)
  end
  for _, kind in ipairs { "full", "resumed", "plain", "unknown", "dropped", "displaced" } do
    workers:delete(pid .. ":" .. kind)
  end
end

-- Kong replaces ngx.timer.at by a timer wheel and keeps nginx's own under this name.
local timer_at = _G.native_timer_at or ngx.timer.at

-- Pends while the worker lives; nginx runs it, as premature, when the worker begins to shut down. Its rows leave then,
-- though it may still serve what is open.
local function leave(premature)
  if not premature then
    return timer_at(86400, leave)
  end
  left = true
  if tonumber(match(workers:get("w:" .. me.id) or "", "^%d+")) == me.pid then
    workers:delete("w:" .. me.id)
  end
  forget_rows(me.pid, slots)
end

-- Puts this worker into its place (0 … n-1). Over a reload its successor may have come before it is told to go: then it
-- has left; its own word there, set at the same moment, is put right by the successor within a second.
local function announce()
  local other, at = match(workers:get("w:" .. me.id) or "", "^(%d+) (%d+)")
  if other and tonumber(other) ~= me.pid and tonumber(at) > me.at then
    return leave(true)
  end
  workers:safe_set("w:" .. me.id, format("%d %d %d", me.pid, me.at, slots))
end

local function register()
  if me or left or not workers or not rows_dict or ngx.worker.exiting() then
    return
  end
  local id, pid = ngx.worker.id() or 0, ngx.worker.pid()
  local before, _, n = match(workers:get("w:" .. id) or "", "^(%d+) (%d+) (%d+)$")
  before = tonumber(before)
  if before and (before == pid or not serves(before)) then
    forget_rows(before, tonumber(n)) -- it crashed, or this pid was its own
  end
  for _, kind in ipairs { "full", "resumed", "plain", "unknown", "dropped", "displaced" } do
    if not workers:safe_set(pid .. ":" .. kind, 0) then
      return
    end
  end
  me = { id = id, pid = pid, at = floor(now_exact() * 1000) }
  workers:delete("w:" .. id)
  announce()
  local ok, err = timer_at(86400, leave)
  if not ok then
    log(ERR, "certdrift: this worker's rows will stay in memory after its end, up to a day: ", err)
  end
end

local function present(now)
  register()
  if me and not left and me.present ~= now then
    me.present = now
    announce()
  end
end

local function count(kind)
  if me and not left then
    workers:incr(me.pid .. ":" .. kind, 1)
  end
end

local function drop(row)
  index[row.key] = nil
  if row.slot then
    rows_dict:delete(me.pid .. ":" .. row.slot)
    by_slot[row.slot] = nil
    free[#free + 1] = row.slot
    row.slot = nil
  end
end

-- The newest name without a sponsor, so that one with a sponsor finds room; false when there is none.
local function make_room()
  for _ = 1, RING do
    local row = ring[ring_at]
    ring[ring_at] = nil
    ring_at = ring_at > 1 and ring_at - 1 or RING
    if row and row.slot and not row.sure then
      drop(row)
      count("displaced")
      return true
    end
  end
  return false
end

-- The text keeps its length while its row lives, so that it is replaced in place, also in a full dictionary.
local function write(row)
  local key = me.pid .. ":" .. row.slot
  local word = format("%s %d %010d %010d %010d %015d %s %s", row.fingerprint, row.placeholder and 1 or 0, row.first,
    row.last, row.began, row.count, row.asked, row.host or "-")
  local ok = rows_dict:safe_set(key, word, FORGET)
  while not ok and row.sure and make_room() do
    ok = rows_dict:safe_set(key, word, FORGET)
  end
  if not ok then
    drop(row)
    count("dropped")
  end
end

-- One old row is looked at per connection, so that certificates and names of long ago leave.
local function sweep(now)
  if slots == 0 then
    return
  end
  swept = swept % slots + 1
  local row = by_slot[swept]
  if row and now - row.last > FORGET then
    drop(row)
  end
end

local function place(row)
  local slot
  if not row.sure then
    ring_at = ring_at % RING + 1
    local oldest = ring[ring_at]
    ring[ring_at] = row
    if oldest and oldest.slot and not oldest.sure then
      slot = oldest.slot
      index[oldest.key], oldest.slot = nil, nil
      rows_dict:delete(me.pid .. ":" .. slot)
      count("displaced")
    end
  end
  if not slot then
    slot = table.remove(free)
  end
  if not slot then
    slots = slots + 1
    slot = slots
    announce()
  end
  row.slot = slot
  by_slot[slot] = row
  index[row.key] = row
end

-- Notes that a connection was served `fingerprint`; gives the row.
local function record(fingerprint, placeholder, asked, host, sure, began, now)
  local key = fingerprint .. asked .. (host or "")
  local row = index[key]
  if not row then
    row = {
      key = key, fingerprint = fingerprint, placeholder = placeholder, asked = asked, host = host, sure = sure,
      first = now, last = now, began = began, count = 0,
    }
    place(row)
  end
  if sure then
    row.sure = true
  end
  row.last, row.count = now, row.count + 1
  if began > row.began then
    row.began = began
  end
  write(row)
  return row
end

-- What a reader has asked for: the name itself, or the wildcard one label up; nil when neither.
local function wanted(host)
  if workers:get("h:" .. host) then
    return host
  end
  local parent = match(host, "^[^.]+%.(.+)$")
  if parent and workers:get("h:*." .. parent) then
    return "*." .. parent
  end
end

local function host_name(sni)
  if #sni > 254 then
    return nil
  end
  local host = lower(sni)
  if sub(host, -1) == "." then
    host = sub(host, 1, -2)
  end
  if #host > 0 and #host <= 253 and not find(host, "[^a-z0-9._-]") then
    return host
  end
end

-- The rows of a connection: one, or two where a name stands beside the row it is counted in together with others.
local function record_connection(x509, fingerprint, placeholder, sni, began, now)
  local function note(asked, host, sure)
    return record(fingerprint, placeholder, asked, host, sure, began, now)
  end
  if not sni then
    return note("none", nil, true)
  end
  local host = host_name(sni)
  if not host then
    return note("uncovered", nil, true)
  end
  local cover = covering(x509, host)
  if cover == host then
    return note("name", host, true)
  end
  local asked_for = wanted(host)
  local one = note("name", host, asked_for == host)
  if cover then
    return one, note("wildcard", cover, true)
  end
  if asked_for and asked_for ~= host then
    return one, note("wildcard", asked_for, true)
  end
  return one, note("uncovered", nil, true)
end

-- === The variable ===
-- Connections by their serial number, which nginx never gives twice; two generations, so that the table is bounded.
local young, old, remembered = {}, {}, 0

local function remember(serial, connection)
  if remembered >= REMEMBERED then
    old, young, remembered = young, {}, 0
  end
  young[serial] = connection
  remembered = remembered + 1
  return connection
end

local function look(serial)
  local now = time()
  -- $connection_time is there since nginx 1.19.10; before, a connection begins with its first request.
  local age = tonumber(ngx_var.connection_time) or 0
  local began = floor(now_exact() - age)
  local connection = { line = nil, at = now }
  present(now)

  if ngx_var.https ~= "on" then
    connection.line = "v1 plain " .. began .. " - -"
    count("plain")
    return remember(serial, connection)
  end

  local sni = ngx_var.ssl_server_name
  if sni == "" or (sni and #sni > 255) then
    sni = nil
  end
  local rest = " " .. began .. " "
  connection.line = "v1 unknown" .. rest .. "- " .. (sni or "-")

  local ssl = ssl_pointer()
  if not ssl then
    count("unknown")
    return remember(serial, connection)
  end
  -- No certificate is presented on resumption; what OpenSSL holds then is the default, or the other one of a pair.
  if C.certdrift_SSL_session_reused(ssl) ~= 0 then
    connection.line = "v1 resumed" .. rest .. "- " .. (sni or "-")
    count("resumed")
    return remember(serial, connection)
  end
  local x509 = C.certdrift_SSL_get_certificate(ssl)
  local fingerprint = x509 ~= nil and fingerprint_of(x509)
  if not fingerprint then
    count("unknown")
    return remember(serial, connection)
  end
  local placeholder = is_placeholder(x509)
  connection.line = "v1 " .. (placeholder and "placeholder" or "full") .. rest .. fingerprint .. " " .. (sni or "-")
  remember(serial, connection)
  count("full")
  if me and not left then
    sweep(now)
    connection.row, connection.second = record_connection(x509, fingerprint, placeholder, sni, began, now)
  end
  return connection
end

local complained = false

-- Once a second at most, a connection that is still used says so in its rows.
local function touch(connection, now)
  connection.at = now
  present(now)
  if left then
    return
  end
  for _, row in ipairs { connection.row, connection.second } do
    if row.slot and row.last ~= now then
      row.last = now
      write(row)
    end
  end
end

-- The line for $certdrift; contract/src/tap.rs says how it reads. Never fails.
function tap.connection()
  local serial = ngx_var.connection
  local connection = young[serial]
  if not connection then
    connection = old[serial]
    if connection then
      remember(serial, connection)
    end
  end
  if connection then
    if connection.row and connection.at ~= time() then
      pcall(touch, connection, time())
    end
    return connection.line
  end
  local ok, found = pcall(look, serial)
  if ok then
    return found.line
  end
  if not complained then
    complained = true
    log(ERR, "certdrift: the served certificate cannot be read, connections count as unknown: ", tostring(found))
  end
  connection = young[serial] -- what failed may have been the bookkeeping only
  if not connection then
    connection = remember(serial, { line = "v1 unknown " .. time() .. " - -", at = 0 })
    pcall(count, "unknown")
  end
  return connection.line
end

-- === The report ===
-- The token of a file, without the line's end; nil when there is none.
function tap.token(path)
  local file = io.open(path, "rb")
  if not file then
    return nil
  end
  local token = match(file:read(4096) or "", "^%s*(.-)%s*$")
  file:close()
  return token ~= "" and token or nil
end

-- Takes as long for a near miss as for a far one.
local function same(given, token)
  local differs = bit.bxor(#given, #token)
  for i = 1, #token do
    differs = bit.bor(differs, bit.bxor(byte(given, i) or 0, byte(token, i)))
  end
  return differs == 0
end

local function answer(status, body)
  ngx.status = status
  ngx.header["Content-Type"] = "application/json"
  ngx.header["Cache-Control"] = "no-store"
  if ngx.req.get_method() == "HEAD" then
    ngx.header["Content-Length"] = #body
    ngx.send_headers()
  else
    ngx.print(body)
  end
  return ngx.exit(ngx.OK)
end

-- The hosts in ?hosts=a,b: they are kept from now on, whatever strangers do.
local function hosts_asked_for()
  local argument = ngx.req.get_uri_args(8).hosts
  if type(argument) ~= "string" or argument == "" then
    return nil
  end
  local hosts = {}
  local room = workers:free_space() * 4 > workers:capacity()
  for name in argument:gmatch("[^,]+") do
    local plain = host_name((name:gsub("^%*%.", "")))
    if plain then
      local host = name:find("^%*%.") and "*." .. plain or plain
      hosts[host] = true
      if room then
        workers:safe_set("h:" .. host, true, WANTED)
      end
    end
  end
  return hosts
end

local function row_json(pid, word)
  local fingerprint, placeholder, first, last, began, n, asked, host =
    match(word, "^(%x+) (%d) (%d+) (%d+) (%d+) (%d+) (%l+) (%S+)$")
  if not fingerprint then
    return nil
  end
  local quoted = "null"
  if asked == "name" or asked == "wildcard" then
    quoted = '"' .. host .. '"'
  end
  return format('{"pid":%d,"asked":"%s","host":%s,"sha256":"%s","placeholder":%s,"first_seen":%d,"last_seen":%d,'
    .. '"began":%d,"count":%d}', pid, asked, quoted, fingerprint, placeholder == "1" and "true" or "false",
    tonumber(first), tonumber(last), tonumber(began), tonumber(n)), host
end

-- Answers with what all workers served: raw observations, nothing judged. `allowed`: by address; else the token counts.
function tap.report(allowed, token_file)
  local method = ngx.req.get_method()
  if not allowed then
    local token, given = tap.token(token_file), ngx_var.http_x_certdrift_token
    if not (token and given and same(given, token)) then
      return answer(403, '{"error":"forbidden: neither the address nor the token may read this"}\n')
    end
  end
  if method ~= "GET" and method ~= "HEAD" then
    ngx.header["Allow"] = "GET, HEAD"
    return answer(405, '{"error":"method not allowed"}\n')
  end
  if not workers or not rows_dict then
    return answer(503, '{"error":"certdrift-http.conf is not included: lua_shared_dict is missing"}\n')
  end
  present(time())

  local only = hosts_asked_for()
  local list, totals = {}, { dropped = 0, displaced = 0 }
  for id = 0, ngx.worker.count() - 1 do
    local pid, at, n = match(workers:get("w:" .. id) or "", "^(%d+) (%d+) (%d+)$")
    pid = tonumber(pid)
    if pid and serves(pid) then
      local function counter(kind)
        return workers:get(pid .. ":" .. kind) or 0
      end
      list[#list + 1] = { pid = pid, slots = tonumber(n), json = format(
        '{"pid":%d,"started":%d,"full":%d,"resumed":%d,"plain":%d,"unknown":%d}', pid, floor(tonumber(at) / 1000),
        counter("full"), counter("resumed"), counter("plain"), counter("unknown")) }
      totals.dropped = totals.dropped + counter("dropped")
      totals.displaced = totals.displaced + counter("displaced")
    end
  end

  ngx.status = 200
  ngx.header["Content-Type"] = "application/json"
  ngx.header["Cache-Control"] = "no-store"
  if method == "HEAD" then
    ngx.send_headers()
    return ngx.exit(ngx.OK)
  end
  local heads = {}
  for i, worker in ipairs(list) do
    heads[i] = worker.json
  end
  ngx.print('{"schema":"certdrift.dev/tap/v1","now":', time(), ',"pid":', ngx.worker.pid(),
    ',"worker_processes":', ngx.worker.count(), ',"dropped":', totals.dropped, ',"displaced":', totals.displaced,
    ',"workers":[', concat(heads, ","), '],"observations":[')
  local first = true
  for _, worker in ipairs(list) do
    for slot = 1, worker.slots do
      local word = rows_dict:get(worker.pid .. ":" .. slot)
      local json, host = nil, nil
      if word then
        json, host = row_json(worker.pid, word)
      end
      if json and (not only or host == "-" or only[host]) then
        ngx.print(first and "\n" or ",\n", json)
        first = false
      end
      if slot % 1000 == 0 then
        ngx.flush(true)         -- lets the worker serve others in between
      end
    end
  end
  ngx.print("]}\n")
  return ngx.exit(ngx.OK)
end

return tap
