//! The vocabulary of the proxy-wasm ABI 0.2.1: host calls, callbacks, statuses, kinds of maps and buffers.
use std::fmt;

macro_rules! vocabulary {
    ($(#[$doc:meta])* $name:ident { $($variant:ident = $text:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(u8)]
        #[allow(missing_docs, reason = "each is named by its text in the ABI")]
        pub enum $name { $($variant,)* }

        impl $name {
            /// All of them, in the order of the enum.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];
            /// How many there are.
            pub const COUNT: usize = Self::ALL.len();

            /// Its name in the ABI.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $text,)* }
            }

            /// The one with that name in the ABI.
            #[must_use]
            pub fn named(name: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|it| it.name() == name)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.name())
            }
        }
    };
}

vocabulary! {
    /// What a filter may import: all 37 functions that proxy-wasm's Rust SDK 0.2.5 declares, and nothing else.
    HostCall {
        Log = "proxy_log",
        GetLogLevel = "proxy_get_log_level",
        GetCurrentTime = "proxy_get_current_time_nanoseconds",
        SetTickPeriod = "proxy_set_tick_period_milliseconds",
        GetBufferBytes = "proxy_get_buffer_bytes",
        SetBufferBytes = "proxy_set_buffer_bytes",
        GetHeaderMapPairs = "proxy_get_header_map_pairs",
        SetHeaderMapPairs = "proxy_set_header_map_pairs",
        GetHeaderMapValue = "proxy_get_header_map_value",
        RemoveHeaderMapValue = "proxy_remove_header_map_value",
        ReplaceHeaderMapValue = "proxy_replace_header_map_value",
        AddHeaderMapValue = "proxy_add_header_map_value",
        GetProperty = "proxy_get_property",
        SetProperty = "proxy_set_property",
        GetSharedData = "proxy_get_shared_data",
        SetSharedData = "proxy_set_shared_data",
        RegisterSharedQueue = "proxy_register_shared_queue",
        ResolveSharedQueue = "proxy_resolve_shared_queue",
        DequeueSharedQueue = "proxy_dequeue_shared_queue",
        EnqueueSharedQueue = "proxy_enqueue_shared_queue",
        ContinueStream = "proxy_continue_stream",
        CloseStream = "proxy_close_stream",
        SendLocalResponse = "proxy_send_local_response",
        HttpCall = "proxy_http_call",
        GrpcCall = "proxy_grpc_call",
        GrpcStream = "proxy_grpc_stream",
        GrpcSend = "proxy_grpc_send",
        GrpcCancel = "proxy_grpc_cancel",
        GrpcClose = "proxy_grpc_close",
        GetStatus = "proxy_get_status",
        SetEffectiveContext = "proxy_set_effective_context",
        CallForeignFunction = "proxy_call_foreign_function",
        Done = "proxy_done",
        DefineMetric = "proxy_define_metric",
        GetMetric = "proxy_get_metric",
        RecordMetric = "proxy_record_metric",
        IncrementMetric = "proxy_increment_metric",
    }
}

impl HostCall {
    /// Whether it gives something back besides its status.
    #[must_use]
    pub const fn gives(self) -> bool {
        matches!(
            self,
            Self::GetLogLevel
                | Self::GetCurrentTime
                | Self::GetBufferBytes
                | Self::GetHeaderMapPairs
                | Self::GetHeaderMapValue
                | Self::GetProperty
                | Self::GetSharedData
                | Self::RegisterSharedQueue
                | Self::ResolveSharedQueue
                | Self::DequeueSharedQueue
                | Self::HttpCall
                | Self::GrpcCall
                | Self::GrpcStream
                | Self::GetStatus
                | Self::CallForeignFunction
                | Self::DefineMetric
                | Self::GetMetric
        )
    }
}

vocabulary! {
    /// What a host calls in a filter. One that a filter does not export is passed over, as hosts do.
    Callback {
        ContextCreate = "proxy_on_context_create",
        VmStart = "proxy_on_vm_start",
        Configure = "proxy_on_configure",
        Tick = "proxy_on_tick",
        QueueReady = "proxy_on_queue_ready",
        NewConnection = "proxy_on_new_connection",
        DownstreamData = "proxy_on_downstream_data",
        DownstreamClose = "proxy_on_downstream_connection_close",
        UpstreamData = "proxy_on_upstream_data",
        UpstreamClose = "proxy_on_upstream_connection_close",
        RequestHeaders = "proxy_on_request_headers",
        RequestBody = "proxy_on_request_body",
        RequestTrailers = "proxy_on_request_trailers",
        ResponseHeaders = "proxy_on_response_headers",
        ResponseBody = "proxy_on_response_body",
        ResponseTrailers = "proxy_on_response_trailers",
        HttpCallResponse = "proxy_on_http_call_response",
        GrpcInitialMetadata = "proxy_on_grpc_receive_initial_metadata",
        GrpcReceive = "proxy_on_grpc_receive",
        GrpcTrailingMetadata = "proxy_on_grpc_receive_trailing_metadata",
        GrpcClose = "proxy_on_grpc_close",
        ForeignFunction = "proxy_on_foreign_function",
        Done = "proxy_on_done",
        Log = "proxy_on_log",
        Delete = "proxy_on_delete",
    }
}

/// What a host call answers.
pub mod status {
    /// Done.
    pub const OK: u32 = 0;
    /// There is no such thing.
    pub const NOT_FOUND: u32 = 1;
    /// An argument makes no sense here.
    pub const BAD_ARGUMENT: u32 = 2;
    /// What was to be written could not be.
    pub const SERIALIZATION_FAILURE: u32 = 3;
    /// What was to be read could not be.
    pub const PARSE_FAILURE: u32 = 4;
    /// A pointer leads out of the filter's memory.
    pub const INVALID_MEMORY_ACCESS: u32 = 6;
    /// A queue holds nothing.
    pub const EMPTY: u32 = 7;
    /// Somebody else wrote in between.
    pub const CAS_MISMATCH: u32 = 8;
    /// The host failed.
    pub const INTERNAL_FAILURE: u32 = 10;
    /// The host does not do that.
    pub const UNIMPLEMENTED: u32 = 12;
    /// All thirteen of the ABI, and one that no version of it knows.
    pub const ALL: [u32; 14] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 99];
}

/// Kinds of header maps.
pub mod map {
    /// Of the client's request.
    pub const REQUEST_HEADERS: u32 = 0;
    /// Of the response to the client.
    pub const RESPONSE_HEADERS: u32 = 2;
    /// Of the answer to a call of the filter's own.
    pub const CALL_RESPONSE_HEADERS: u32 = 6;
}

/// Kinds of buffers.
pub mod buffer {
    /// Of the client's request.
    pub const REQUEST_BODY: u32 = 0;
    /// Of the response to the client.
    pub const RESPONSE_BODY: u32 = 1;
    /// Of the answer to a call of the filter's own.
    pub const CALL_RESPONSE_BODY: u32 = 4;
    /// The virtual machine's configuration.
    pub const VM_CONFIGURATION: u32 = 6;
    /// The root context's configuration.
    pub const PLUGIN_CONFIGURATION: u32 = 7;
}

/// Headers in their order; names and values are bytes, as on the wire.
pub type Headers = Vec<(Vec<u8>, Vec<u8>)>;

/// The first value of a header, whatever the case of its name.
#[must_use]
pub fn header<'a>(headers: &'a Headers, name: &[u8]) -> Option<&'a [u8]> {
    headers.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_slice())
}

/// A map as the ABI passes it: the number, the pairs of lengths, the pairs of bytes, each ended by a zero.
pub(crate) fn serialize(headers: &Headers) -> Vec<u8> {
    let mut bytes = Vec::new();
    bytes.extend_from_slice(&length(headers.len()));
    for (name, value) in headers {
        bytes.extend_from_slice(&length(name.len()));
        bytes.extend_from_slice(&length(value.len()));
    }
    for part in headers.iter().flat_map(|(name, value)| [name, value]) {
        bytes.extend_from_slice(part);
        bytes.push(0);
    }
    bytes
}

/// Reads what [`serialize`] writes; `None` when it is not whole.
pub(crate) fn deserialize(bytes: &[u8]) -> Option<Headers> {
    if bytes.is_empty() {
        return Some(Vec::new());
    }
    let word = |at: usize| -> Option<usize> {
        let word: [u8; 4] = bytes.get(at..at.checked_add(4)?)?.try_into().ok()?;
        usize::try_from(u32::from_le_bytes(word)).ok()
    };
    let count = word(0)?;
    let mut at = count.checked_mul(8)?.checked_add(4)?;
    let mut take = |size: usize| -> Option<Vec<u8>> {
        let part = bytes.get(at..at.checked_add(size)?)?.to_vec();
        at = at.checked_add(size)?.checked_add(1)?;
        Some(part)
    };
    let mut headers = Vec::new();
    for n in 0..count {
        let name = take(word(4 + n * 8)?)?;
        let value = take(word(8 + n * 8)?)?;
        headers.push((name, value));
    }
    Some(headers)
}

fn length(size: usize) -> [u8; 4] {
    u32::try_from(size).unwrap_or(u32::MAX).to_le_bytes()
}
