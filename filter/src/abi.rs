//! The proxy-wasm ABI 0.2.1 itself: what the host calls, and how it is asked. The only module with unsafe code.
//!
//! The SDK (proxy-wasm 0.2.5) is not used: each of its host calls panics on a status it does not expect, its
//! statuses are a Rust enum that a number outside of it makes undefined, and its dispatcher panics on a context
//! or a token it does not know. A panic in the data path is what this filter must never do
//! (docs/adr/0004-own-abi.md). Here a status is a number, and an unknown context is no reason to stop.
//!
//! All callbacks are exported, also those that do nothing: ngx_wasm_module calls them without looking whether
//! the module has them.
use crate::host::{Host, Level, Map, Metric, Status};
use crate::maps;
use crate::worker::{Action, Worker};
use std::alloc::Layout;
use std::cell::RefCell;
use std::ptr::{NonNull, null, null_mut};

#[link(wasm_import_module = "env")]
unsafe extern "C" {
    fn proxy_log(level: u32, data: *const u8, size: usize) -> u32;
    fn proxy_get_current_time_nanoseconds(time: *mut u64) -> u32;
    fn proxy_set_tick_period_milliseconds(period: u32) -> u32;
    fn proxy_get_buffer_bytes(
        kind: u32,
        start: usize,
        max: usize,
        data: *mut *mut u8,
        size: *mut usize,
    ) -> u32;
    fn proxy_get_header_map_value(
        map: u32,
        key: *const u8,
        key_size: usize,
        data: *mut *mut u8,
        size: *mut usize,
    ) -> u32;
    fn proxy_replace_header_map_value(
        map: u32,
        key: *const u8,
        key_size: usize,
        value: *const u8,
        value_size: usize,
    ) -> u32;
    fn proxy_get_property(path: *const u8, path_size: usize, data: *mut *mut u8, size: *mut usize) -> u32;
    fn proxy_send_local_response(
        code: u32,
        details: *const u8,
        details_size: usize,
        body: *const u8,
        body_size: usize,
        headers: *const u8,
        headers_size: usize,
        grpc_status: i32,
    ) -> u32;
    fn proxy_http_call(
        upstream: *const u8,
        upstream_size: usize,
        headers: *const u8,
        headers_size: usize,
        body: *const u8,
        body_size: usize,
        trailers: *const u8,
        trailers_size: usize,
        timeout_ms: u32,
        token: *mut u32,
    ) -> u32;
    fn proxy_define_metric(kind: u32, name: *const u8, name_size: usize, id: *mut u32) -> u32;
    fn proxy_increment_metric(id: u32, by: i64) -> u32;
    fn proxy_record_metric(id: u32, value: u64) -> u32;
}

const OK: u32 = 0;
const NOT_FOUND: u32 = 1;
const CALL_RESPONSE_BODY: u32 = 4;
const PLUGIN_CONFIGURATION: u32 = 7;

fn check(status: u32) -> Result<(), Status> {
    if status == OK { Ok(()) } else { Err(Status(status)) }
}

/// Takes over what the host put into memory it had from [`allocate`].
fn taken(data: *mut u8, size: usize) -> Vec<u8> {
    if data.is_null() || size == 0 {
        return Vec::new();
    }
    // SAFETY: the host got `data` from `allocate(size)`, whose layout is that of a Vec<u8> of this capacity.
    unsafe { Vec::from_raw_parts(data, size, size) }
}

fn buffer(kind: u32, size: usize) -> Result<Vec<u8>, Status> {
    if size == 0 {
        return Ok(Vec::new());
    }
    let (mut data, mut length) = (null_mut(), 0);
    // SAFETY: the pointers are valid for the call.
    check(unsafe { proxy_get_buffer_bytes(kind, 0, size, &raw mut data, &raw mut length) })?;
    Ok(taken(data, length))
}

/// The host that runs this module.
struct Env;

impl Host for Env {
    fn now(&self) -> Result<u64, Status> {
        let mut time = 0;
        // SAFETY: the pointer is valid for the call.
        check(unsafe { proxy_get_current_time_nanoseconds(&raw mut time) })?;
        Ok(time)
    }

    fn log(&self, level: Level, line: &str) {
        // SAFETY: the pointer is valid for the call. A log that cannot be written is nowhere to be told.
        let _ = unsafe { proxy_log(level as u32, line.as_ptr(), line.len()) };
    }

    fn property(&self, path: &[u8]) -> Result<Option<Vec<u8>>, Status> {
        let (mut data, mut size) = (null_mut(), 0);
        // SAFETY: the pointers are valid for the call.
        match unsafe { proxy_get_property(path.as_ptr(), path.len(), &raw mut data, &raw mut size) } {
            NOT_FOUND => Ok(None),
            status => check(status).map(|()| Some(taken(data, size))),
        }
    }

    fn header(&self, map: Map, name: &str) -> Result<Option<Vec<u8>>, Status> {
        let (mut data, mut size) = (null_mut(), 0);
        // SAFETY: the pointers are valid for the call.
        match unsafe {
            proxy_get_header_map_value(map as u32, name.as_ptr(), name.len(), &raw mut data, &raw mut size)
        } {
            NOT_FOUND => Ok(None),
            status => check(status).map(|()| Some(taken(data, size))),
        }
    }

    fn set_header(&self, map: Map, name: &str, value: &str) -> Result<(), Status> {
        // SAFETY: the pointers are valid for the call.
        check(unsafe {
            proxy_replace_header_map_value(map as u32, name.as_ptr(), name.len(), value.as_ptr(), value.len())
        })
    }

    fn respond(&self, code: u32, headers: &[(&str, &str)], body: &[u8]) -> Result<(), Status> {
        const NO_GRPC_STATUS: i32 = -1;
        let headers = maps::pairs(headers);
        // SAFETY: the pointers are valid for the call.
        check(unsafe {
            proxy_send_local_response(
                code,
                null(),
                0,
                body.as_ptr(),
                body.len(),
                headers.as_ptr(),
                headers.len(),
                NO_GRPC_STATUS,
            )
        })
    }

    fn configuration(&self, size: usize) -> Result<Vec<u8>, Status> {
        buffer(PLUGIN_CONFIGURATION, size)
    }

    fn tick_every(&self, milliseconds: u32) -> Result<(), Status> {
        // SAFETY: no pointers.
        check(unsafe { proxy_set_tick_period_milliseconds(milliseconds) })
    }

    fn get(&self, upstream: &str, headers: &[(&str, &str)], timeout_ms: u32) -> Result<u32, Status> {
        let (headers, trailers) = (maps::pairs(headers), maps::pairs(&[]));
        let mut token = 0;
        // SAFETY: the pointers are valid for the call.
        check(unsafe {
            proxy_http_call(
                upstream.as_ptr(),
                upstream.len(),
                headers.as_ptr(),
                headers.len(),
                null(),
                0,
                trailers.as_ptr(),
                trailers.len(),
                timeout_ms,
                &raw mut token,
            )
        })?;
        Ok(token)
    }

    fn call_body(&self, size: usize) -> Result<Vec<u8>, Status> {
        buffer(CALL_RESPONSE_BODY, size)
    }

    fn define_metric(&self, kind: Metric, name: &str) -> Result<u32, Status> {
        let mut id = 0;
        // SAFETY: the pointers are valid for the call.
        check(unsafe { proxy_define_metric(kind as u32, name.as_ptr(), name.len(), &raw mut id) })?;
        Ok(id)
    }

    fn add_metric(&self, id: u32, by: i64) -> Result<(), Status> {
        // SAFETY: no pointers.
        check(unsafe { proxy_increment_metric(id, by) })
    }

    fn set_metric(&self, id: u32, value: u64) -> Result<(), Status> {
        // SAFETY: no pointers.
        check(unsafe { proxy_record_metric(id, value) })
    }
}

thread_local! {
    /// One instance of the module serves all root contexts of a worker: one state for all of them.
    static WORKER: RefCell<Worker> = RefCell::new(Worker::default());
}

/// Runs `f` on the state; `otherwise` when the host calls back in the middle of a call of ours.
fn with<T>(otherwise: T, f: impl FnOnce(&mut Worker) -> T) -> T {
    WORKER
        .try_with(|worker| worker.try_borrow_mut().ok().map(|mut worker| f(&mut worker)))
        .ok()
        .flatten()
        .unwrap_or(otherwise)
}

/// Memory the host fills for us; freed by us, as a `Vec<u8>`. Null when there is none left.
#[unsafe(export_name = "malloc")]
extern "C" fn allocate(size: usize) -> *mut u8 {
    match Layout::array::<u8>(size) {
        // Some hosts take null for a failure even where nothing was asked for.
        Ok(layout) if layout.size() == 0 => NonNull::dangling().as_ptr(),
        // SAFETY: the size is not zero.
        Ok(layout) => unsafe { std::alloc::alloc(layout) },
        Err(_) => null_mut(),
    }
}

#[unsafe(no_mangle)]
extern "C" fn proxy_abi_version_0_2_1() {}

#[unsafe(no_mangle)]
extern "C" fn _initialize() {}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_vm_start(_root: u32, _size: usize) -> bool {
    true
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_context_create(context: u32, root: u32) {
    with((), |worker| worker.create(context, root));
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_configure(root: u32, size: usize) -> bool {
    with((), |worker| worker.configure(&Env, root, size));
    // On false, Kong starts all the same, and runs no Wasm filter at all (kong-host-notes, trap 1).
    true
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_tick(root: u32) {
    with((), |worker| worker.tick(&Env, root));
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_request_headers(context: u32, _headers: usize, _end: bool) -> Action {
    with(Action::Continue, |worker| worker.request(&Env, context))
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_response_headers(context: u32, _headers: usize, _end: bool) -> Action {
    with((), |worker| worker.response(&Env, context));
    Action::Continue
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_http_call_response(
    _root: u32,
    token: u32,
    headers: usize,
    body: usize,
    _trailers: usize,
) {
    with((), |worker| worker.answer(&Env, token, headers, body));
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_delete(context: u32) {
    with((), |worker| worker.delete(context));
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_done(_context: u32) -> bool {
    true
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_log(_context: u32) {}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_request_body(_context: u32, _size: usize, _end: bool) -> Action {
    Action::Continue
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_request_trailers(_context: u32, _trailers: usize) -> Action {
    Action::Continue
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_response_body(_context: u32, _size: usize, _end: bool) -> Action {
    Action::Continue
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_response_trailers(_context: u32, _trailers: usize) -> Action {
    Action::Continue
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_new_connection(_context: u32) -> Action {
    Action::Continue
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_downstream_data(_context: u32, _size: usize, _end: bool) -> Action {
    Action::Continue
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_upstream_data(_context: u32, _size: usize, _end: bool) -> Action {
    Action::Continue
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_downstream_connection_close(_context: u32, _peer: u32) {}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_upstream_connection_close(_context: u32, _peer: u32) {}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_queue_ready(_context: u32, _queue: u32) {}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_grpc_receive_initial_metadata(_context: u32, _token: u32, _headers: u32) {}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_grpc_receive(_context: u32, _token: u32, _size: usize) {}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_grpc_receive_trailing_metadata(_context: u32, _token: u32, _trailers: u32) {}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_grpc_close(_context: u32, _token: u32, _status: u32) {}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_foreign_function(_context: u32, _function: u32, _size: usize) {}
