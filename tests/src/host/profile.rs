//! The gateways a filter can meet, as `kong-host-notes.md` measured them.
//!
//! Each fact of a profile carries the line of the notes it comes from. What the notes do not say is marked "not in
//! the notes": there the profile takes the stricter way, and the hostile tests try the others by fault plan.

/// One kind of gateway.
#[derive(Clone, Copy, Debug)]
pub struct Profile {
    /// `kong`, `ngx` or `envoy`.
    pub name: &'static str,
    /// Properties it can answer at all: a path belongs here when it begins with one of these segments.
    pub properties: &'static [PropertyFamily],
    /// Properties every request has, path (segments joined by zeros) and value.
    pub own_properties: &'static [(&'static str, &'static str)],
    /// What an empty value is passed as.
    pub empty: Empty,
    /// What becomes of the worker when the filter traps.
    pub on_trap: OnTrap,
    /// Pseudo-headers without which `proxy_http_call` is a bad argument.
    pub call_needs: &'static [&'static str],
    /// How `proxy_http_call` names its target.
    pub target: Target,
    /// How long a call may take before it counts as timed out.
    pub timeout: TimeoutOf,
    /// Response headers of a call beyond so many bytes make it fail.
    pub call_header_limit: Option<usize>,
    /// Whether a call's answer carries `:dispatch_status`.
    pub dispatch_status: bool,
    /// Whether the body of a call's answer without Content-Length arrives.
    pub close_delimited_body: bool,
    /// Whether shared data works: where not, using it traps.
    pub shared_data: bool,
    /// What is added to the body of a response the filter sends itself.
    pub local_body_suffix: &'static [u8],
}

/// A family of properties.
#[derive(Clone, Copy, Debug)]
pub struct PropertyFamily {
    /// The first segment of the path.
    pub first: &'static str,
    /// The status in a root context.
    pub in_root: u32,
    /// Where the fact comes from.
    pub source: &'static str,
}

/// What an empty value is passed as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Empty {
    /// Allocated like any other: a pointer that is not null, and size 0; the SDK makes it `Some("")`.
    Allocated,
    /// Null and 0; the SDK makes it `None`.
    Null,
}

/// What becomes of the worker when the filter traps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnTrap {
    /// The request gets 500; the instance and all its root contexts are made anew; old timers stay.
    Reset,
    /// All further requests get 503; nothing ticks any more.
    Closed,
}

/// How `proxy_http_call` names its target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// `host:port`; a name (not an IP literal) fails.
    HostPort,
    /// The name of a cluster.
    Cluster,
}

/// What a call's timeout bounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimeoutOf {
    /// Each operation on the socket: a peer that drips may take as long as it likes.
    SocketOperation,
    /// The call.
    Call,
}

const NGX: PropertyFamily = PropertyFamily {
    first: "ngx",
    in_root: super::abi::status::BAD_ARGUMENT,
    source: "notes, What certificate is being served: \"Unknown ngx variable: None. Empty variable: Some(\"\")\"; \
             \"In a root context the SDK's get_property on ngx.* panics\", so its status is none of those the SDK takes",
};

impl Profile {
    /// Kong Gateway OSS 3.9.1, DB-less, Wasmtime 26.
    ///
    /// | fact | line of the notes |
    /// |---|---|
    /// | properties `ngx.*` | "The filter reads it as property `["ngx", "NAME"]` in request and response headers" |
    /// | `ngx.pid` | nginx's own variables are properties too: "`["ngx","ssl_session_reused"]`"; `$pid` is one |
    /// | empty value allocated | "Empty variable: Some(\"\")" |
    /// | reset on trap | trap 2: "gives 500, resets every root context of the module in that worker, and adds one more tick timer for good" |
    /// | call needs `:method`, `:path` | "`:method` and `:path` are required (`:authority` too on Envoy)" |
    /// | target `host:port`, names fail | "Target on K and N is `host:port` (default port 80), never a URL"; "`localhost` fails from `on_tick` on K" |
    /// | timeout | "The timeout is per socket operation, not for the whole call" |
    /// | header limit | "response headers over 8 KB fail" |
    /// | `:dispatch_status` | "Refused, timed out: the callback comes with 0 headers, `:dispatch_status` says why" |
    /// | close-delimited | trap 4: "arrives as 200 with an empty body" |
    /// | shared data traps | trap 5: "traps without a configured `shm_kv`" |
    /// | newline | trap 8: "`send_http_response` bodies get a trailing newline" |
    pub const KONG: Self = Self {
        name: "kong",
        properties: &[NGX],
        own_properties: &[("ngx\0pid", "4242")],
        empty: Empty::Allocated,
        on_trap: OnTrap::Reset,
        call_needs: &[":method", ":path"],
        target: Target::HostPort,
        timeout: TimeoutOf::SocketOperation,
        call_header_limit: Some(8 * 1024),
        dispatch_status: true,
        close_delimited_body: false,
        shared_data: false,
        local_body_suffix: b"\n",
    };

    /// nginx 1.22.1 with ngx_wasm_module and lua-nginx-module: the same module as in Kong, so the same facts.
    pub const NGX: Self = Self { name: "ngx", ..Self::KONG };

    /// Envoy 1.40.0.
    ///
    /// | fact | line of the notes |
    /// |---|---|
    /// | properties `metadata.*` | "Give it one as dynamic metadata per filter chain (`["metadata","filter_metadata",…]`)" |
    /// | other properties | not in the notes: Envoy's documented attributes, `source`, `connection`, `xds` … |
    /// | empty value null | not in the notes: Envoy passes null and 0 |
    /// | closed on trap | not in the notes: Envoy's default is to fail closed |
    /// | call needs `:authority` | "`:method` and `:path` are required (`:authority` too on Envoy)" |
    /// | target a cluster | "on Envoy a cluster's name" |
    pub const ENVOY: Self = Self {
        name: "envoy",
        properties: &[
            PropertyFamily::everywhere("metadata", "notes: dynamic metadata per filter chain"),
            PropertyFamily::everywhere("xds", "not in the notes: Envoy's attributes"),
            PropertyFamily::everywhere("source", "not in the notes: Envoy's attributes"),
            PropertyFamily::everywhere("connection", "not in the notes: Envoy's attributes"),
            PropertyFamily::everywhere("request", "not in the notes: Envoy's attributes"),
            PropertyFamily::everywhere("response", "not in the notes: Envoy's attributes"),
            PropertyFamily::everywhere("node", "not in the notes: Envoy's attributes"),
            PropertyFamily::everywhere("plugin_name", "not in the notes: Envoy's attributes"),
            PropertyFamily::everywhere("plugin_root_id", "not in the notes: Envoy's attributes"),
        ],
        own_properties: &[],
        empty: Empty::Null,
        on_trap: OnTrap::Closed,
        call_needs: &[":method", ":path", ":authority"],
        target: Target::Cluster,
        timeout: TimeoutOf::Call,
        call_header_limit: None,
        dispatch_status: false,
        close_delimited_body: true,
        shared_data: true,
        local_body_suffix: b"",
    };

    /// All three.
    pub const ALL: [&'static Self; 3] = [&Self::KONG, &Self::NGX, &Self::ENVOY];

    /// See [`Self::KONG`].
    #[must_use]
    pub const fn kong() -> &'static Self {
        &Self::KONG
    }

    /// See [`Self::NGX`].
    #[must_use]
    pub const fn ngx() -> &'static Self {
        &Self::NGX
    }

    /// See [`Self::ENVOY`].
    #[must_use]
    pub const fn envoy() -> &'static Self {
        &Self::ENVOY
    }

    /// The family a path (segments joined by zeros) belongs to.
    pub(crate) fn family(&self, path: &[u8]) -> Option<&PropertyFamily> {
        let first = path.split(|b| *b == 0).next().unwrap_or_default();
        self.properties.iter().find(|family| family.first.as_bytes() == first)
    }

    /// Where the address of the client's own connection is told.
    #[must_use]
    pub fn peer_properties(&self) -> &'static [&'static [&'static str]] {
        match self.target {
            Target::HostPort => &[&["ngx", "realip_remote_addr"], &["ngx", "remote_addr"]],
            Target::Cluster => &[&["source", "address"]],
        }
    }
}

impl PropertyFamily {
    const fn everywhere(first: &'static str, source: &'static str) -> Self {
        Self { first, in_root: super::abi::status::NOT_FOUND, source }
    }
}
