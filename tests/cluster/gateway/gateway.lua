-- A gateway that takes its certificates by push, as Kong without a database does: POST /config on the admin port, all or
-- nothing, kept in memory, taken by all workers at once, lost with the process and not with a reload. `POST /stick` makes
-- one worker stay with what it has.
--
-- What is pushed is lines, not Kong's JSON: for each certificate `certificate NAME`, a `sni NAME` for each of its names,
-- its PEM blocks, `end`; and `plugin WORDS`, which stands for what is no certificate and can be refused.
local ssl = require "ngx.ssl"

local state = ngx.shared.gateway
local ZEROS = string.rep("0", 32)

local gateway = {}

-- Certificates by server name; or nil and what is wrong.
local function parse(text)
  local by_name, names, pem, what = {}, nil, nil, nil
  for line in text:gmatch("([^\n]*)\n") do
    if what == nil then
      local plugin = line:match("^plugin (.*)$")
      what = line:match("^certificate (.*)$")
      if plugin and plugin:find("=-", 1, true) then
        return nil, "invalid " .. plugin:match("(%S+)=-") .. ": value must be greater than 0"
      elseif what then
        names, pem = {}, {}
      elseif not plugin then
        return nil, "unknown line: " .. line
      end
    elseif line == "end" then
      local both = table.concat(pem, "\n") .. "\n"
      local chain, err = ssl.parse_pem_cert(both)
      local key, key_err = ssl.parse_pem_priv_key(both)
      if not chain or not key then
        return nil, "invalid certificate " .. what .. ": " .. (err or key_err)
      end
      for _, name in ipairs(names) do
        by_name[name] = { chain = chain, key = key }
      end
      what = nil
    elseif line:sub(1, 4) == "sni " then
      names[#names + 1] = line:sub(5):lower()
    elseif line:sub(1, 5) ~= "tags " then
      pem[#pem + 1] = line
    end
  end
  if what then
    return nil, "cut off in " .. what
  end
  return by_name
end

-- Once, in the master: two gateways with one configuration have different hashes, as Kong's have.
function gateway.init()
  local uuid = io.open("/proc/sys/kernel/random/uuid")
  state:safe_add("salt", uuid:read("*l"))
  uuid:close()
end

function gateway.init_worker()
  state:set("worker:" .. ngx.worker.id(), ngx.worker.pid())
end

function gateway.config()
  if ngx.req.get_method() ~= "POST" then
    return ngx.exit(405)
  end
  ngx.req.read_body()
  local text = ngx.req.get_body_data()
  if not text then
    local file = ngx.req.get_body_file()
    local handle = file and io.open(file)
    text = handle and handle:read("*a") or ""
    if handle then
      handle:close()
    end
  end
  local _, err = parse(text)
  if err then
    ngx.status = 400
    return ngx.say('{"name":"invalid declarative configuration","message":"', (err:gsub('["\\]', "'")), '"}')
  end
  local hash = ngx.md5(state:get("salt") .. text)
  state:set("text", text)
  state:set("hash", hash)
  ngx.status = 201
  ngx.say('{"configuration_hash":"', hash, '"}')
end

function gateway.status()
  local workers = {}
  for id = 0, ngx.worker.count() - 1 do
    workers[#workers + 1] = '{"http_allocated_gc":"1.00 MiB","pid":' .. (state:get("worker:" .. id) or 0) .. "}"
  end
  ngx.say('{"configuration_hash":"', state:get("hash") or ZEROS, '","memory":{"lua_shared_dicts":{},"workers_lua_vms":[',
    table.concat(workers, ","), ']},"server":{"connections_active":', ngx.var.connections_active, "}}")
end

function gateway.ready()
  if not state:get("hash") then
    ngx.status = 503
    return ngx.say('{"message":"no configuration available (empty configuration present)"}')
  end
  ngx.say('{"message":"ready"}')
end

-- What this worker has parsed last.
local loaded, by_name

local function refresh()
  local hash = state:get("hash")
  -- A worker that is stuck keeps what it has until it is replaced.
  if hash and hash ~= loaded and not state:get("stuck:" .. ngx.worker.pid()) then
    by_name, loaded = parse(state:get("text")), hash
  end
  return by_name
end

-- The worker that answers this is stuck from here on.
function gateway.stick()
  refresh()
  state:set("stuck:" .. ngx.worker.pid(), true)
  ngx.say('{"stuck":', ngx.worker.pid(), "}")
end

-- Kong's order: the name itself, `*.parent` for names of three labels or more, `*`. Else the placeholder stays.
function gateway.certificate()
  if not refresh() then
    return
  end
  local name = (ssl.server_name() or ""):lower()
  local found = by_name[name]
  if not found and select(2, name:gsub("%.", "")) >= 2 then
    found = by_name[name:gsub("^[^.]*", "*")]
  end
  found = found or by_name["*"]
  if found then
    ssl.clear_certs()
    ssl.set_cert(found.chain)
    ssl.set_priv_key(found.key)
  end
end

return gateway
