//! What the filter asks of its host, behind one trait, so that everything but `crate::abi` runs in native tests too.
//!
//! Every call gives a `Result`: the status is whatever number the host returned, also one no specification knows.

/// A host's status other than OK (and other than "not found", where that is an answer).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Status(pub u32);

/// How loud a log line is; the numbers are the ABI's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Level {
    /// Worth knowing.
    Info = 2,
    /// Will hurt if left alone.
    Warn = 3,
    /// Hurts now.
    Error = 4,
}

/// A header map; the numbers are the ABI's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Map {
    /// Of the client's request.
    Request = 0,
    /// Of the response to the client.
    Response = 2,
    /// Of the answer to a call of ours.
    Call = 6,
}

/// What kind a metric is; the numbers are the ABI's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Metric {
    /// Only rises.
    Counter = 0,
    /// Is set.
    Gauge = 1,
}

/// The host. Nothing here may be called outside one of the host's own callbacks.
pub trait Host {
    /// The wall clock, nanoseconds since 1970.
    ///
    /// # Errors
    /// The host's status.
    fn now(&self) -> Result<u64, Status>;

    /// Writes a line to the gateway's log. A host that cannot is not asked why.
    fn log(&self, level: Level, line: &str);

    /// A property, by its path joined with NUL bytes. `None`: there is none.
    ///
    /// # Errors
    /// The host's status.
    fn property(&self, path: &[u8]) -> Result<Option<Vec<u8>>, Status>;

    /// The first header of this name. `None`: there is none.
    ///
    /// # Errors
    /// The host's status.
    fn header(&self, map: Map, name: &str) -> Result<Option<Vec<u8>>, Status>;

    /// Sets a header, in place of all of this name.
    ///
    /// # Errors
    /// The host's status.
    fn set_header(&self, map: Map, name: &str, value: &str) -> Result<(), Status>;

    /// Answers the request in the gateway's stead.
    ///
    /// # Errors
    /// The host's status.
    fn respond(&self, code: u32, headers: &[(&str, &str)], body: &[u8]) -> Result<(), Status>;

    /// The configuration of the root context that is being configured, of `size` bytes.
    ///
    /// # Errors
    /// The host's status.
    fn configuration(&self, size: usize) -> Result<Vec<u8>, Status>;

    /// Asks for a tick every so many milliseconds. At most once per root context: ngx_wasm_module traps on a second time.
    ///
    /// # Errors
    /// The host's status.
    fn tick_every(&self, milliseconds: u32) -> Result<(), Status>;

    /// Sends a GET; the token returned comes back with the answer.
    ///
    /// # Errors
    /// The host's status.
    fn get(&self, upstream: &str, headers: &[(&str, &str)], timeout_ms: u32) -> Result<u32, Status>;

    /// The body, of `size` bytes, of the answer that is being called back.
    ///
    /// # Errors
    /// The host's status.
    fn call_body(&self, size: usize) -> Result<Vec<u8>, Status>;

    /// Defines a metric (or finds it) and gives its id.
    ///
    /// # Errors
    /// The host's status.
    fn define_metric(&self, kind: Metric, name: &str) -> Result<u32, Status>;

    /// Adds to a counter that was defined. ngx_wasm_module traps on an id it did not give.
    ///
    /// # Errors
    /// The host's status.
    fn add_metric(&self, id: u32, by: i64) -> Result<(), Status>;

    /// Sets a gauge that was defined. ngx_wasm_module traps on an id it did not give.
    ///
    /// # Errors
    /// The host's status.
    fn set_metric(&self, id: u32, value: u64) -> Result<(), Status>;
}
