//! The host calls, as WebAssembly functions of module `env`.
use super::abi::{HostCall, deserialize, header, serialize, status};
use super::call::Call;
use super::profile::Empty;
use super::state::{Line, LocalResponse, SECOND, State, Step};
use std::time::Duration;
use wasmtime::{Caller, Linker, Result};

type Host<'a> = Caller<'a, State>;

/// More lines than that are not kept: a filter that logs per request must not eat the test's memory.
const LINES: usize = 100_000;

/// Defines one host call: counts it, asks the fault plan, then works.
macro_rules! host_call {
    ($linker:ident, $call:ident, |$host:ident, $step:ident $(, $arg:ident: $type:ty)*| $work:expr) => {
        $linker.func_wrap("env", HostCall::$call.name(), move |mut $host: Host<'_> $(, $arg: $type)*| -> Result<u32> {
            #[allow(unused_mut, reason = "some calls only read")]
            let mut $host = &mut $host;
            let $step = $host.data_mut().enter(HostCall::$call);
            if let Step::Stop(status) = $step {
                return Ok(status);
            }
            $work
        })?;
    };
}

pub(crate) fn define(linker: &mut Linker<State>) -> Result<()> {
    of_worker(linker)?;
    of_stream(linker)?;
    of_maps(linker)?;
    of_calls(linker)?;
    of_metrics(linker)?;
    of_shared(linker)
}

fn of_worker(linker: &mut Linker<State>) -> Result<()> {
    host_call!(linker, Log, |host, _step, level: u32, text: u32, size: u32| {
        let (memory, state) = memory(host)?;
        let Some(text) = read(memory, text, size) else { return Ok(status::INVALID_MEMORY_ACCESS) };
        if level > 5 {
            return Ok(status::BAD_ARGUMENT);
        }
        let text = String::from_utf8_lossy(text).into_owned();
        if state.logs.len() < LINES {
            state.logs.push(Line { level, text, at: state.now / SECOND });
        }
        Ok(status::OK)
    });
    host_call!(linker, GetLogLevel, |host, step, out: u32| {
        let level = if let Step::Number(n) = step { low(n) } else { 2 };
        put_u32(host, out, level)
    });
    host_call!(linker, GetCurrentTime, |host, step, out: u32| {
        let now = if let Step::Number(n) = step { n } else { host.data().now };
        put(host, out, &now.to_le_bytes())
    });
    host_call!(linker, SetTickPeriod, |host, _step, milliseconds: u32| {
        host.data_mut().set_tick_period(milliseconds);
        Ok(status::OK)
    });
    host_call!(linker, SetEffectiveContext, |host, _step, context: u32| {
        let state = host.data_mut();
        if state.streams.contains_key(&context) || state.roots.iter().any(|root| root.id == context) {
            state.effective = context;
            return Ok(status::OK);
        }
        Ok(status::BAD_ARGUMENT)
    });
    host_call!(linker, Done, |host, _step| {
        let _ = host;
        Ok(status::OK)
    });
    host_call!(linker, CallForeignFunction, |host,
                                             _step,
                                             _n: u32,
                                             _ns: u32,
                                             _a: u32,
                                             _as: u32,
                                             _r: u32,
                                             _rs: u32| {
        let _ = host;
        Ok(status::NOT_FOUND)
    });
    Ok(())
}

fn of_stream(linker: &mut Linker<State>) -> Result<()> {
    host_call!(linker, GetProperty, |host, step, path: u32, size: u32, out: u32, out_size: u32| {
        if let Step::Bytes(bytes) = step {
            return give(host, &bytes, out, out_size);
        }
        let (memory, state) = memory(host)?;
        let Some(path) = read(memory, path, size) else { return Ok(status::INVALID_MEMORY_ACCESS) };
        match state.property(path).map(<[u8]>::to_vec) {
            Ok(value) => give(host, &value, out, out_size),
            Err(status) => Ok(status),
        }
    });
    host_call!(linker, SetProperty, |host, _step, path: u32, size: u32, value: u32, value_size: u32| {
        let (memory, state) = memory(host)?;
        let (Some(path), Some(value)) = (read(memory, path, size), read(memory, value, value_size)) else {
            return Ok(status::INVALID_MEMORY_ACCESS);
        };
        Ok(ended(state.set_property(path, value.to_vec())))
    });
    host_call!(linker, GetBufferBytes, |host,
                                        step,
                                        kind: u32,
                                        start: u32,
                                        max: u32,
                                        out: u32,
                                        out_size: u32| {
        if let Step::Bytes(bytes) = step {
            return give(host, &bytes, out, out_size);
        }
        let bytes = match host.data().buffer(kind) {
            Ok(bytes) => bytes,
            Err(status) => return Ok(status),
        };
        let start = index(start).min(bytes.len());
        let end = start.saturating_add(index(max)).min(bytes.len());
        let bytes = bytes[start..end].to_vec();
        give(host, &bytes, out, out_size)
    });
    host_call!(linker, SetBufferBytes, |host,
                                        _step,
                                        _kind: u32,
                                        _start: u32,
                                        _size: u32,
                                        data: u32,
                                        size: u32| {
        let (memory, state) = memory(host)?;
        if read(memory, data, size).is_none() {
            return Ok(status::INVALID_MEMORY_ACCESS);
        }
        Ok(if state.in_root() { status::BAD_ARGUMENT } else { status::OK })
    });
    host_call!(linker, ContinueStream, |host, _step, kind: u32| {
        Ok(if kind > 3 || host.data().in_root() { status::BAD_ARGUMENT } else { status::OK })
    });
    host_call!(linker, CloseStream, |host, _step, kind: u32| {
        Ok(if kind > 3 || host.data().in_root() { status::BAD_ARGUMENT } else { status::OK })
    });
    host_call!(linker, SendLocalResponse, |host,
                                           _step,
                                           code: u32,
                                           details: u32,
                                           details_size: u32,
                                           body: u32,
                                           body_size: u32,
                                           headers: u32,
                                           headers_size: u32,
                                           _grpc: i32| {
        let (memory, state) = memory(host)?;
        let parts = (
            read(memory, details, details_size),
            read(memory, body, body_size),
            read(memory, headers, headers_size),
        );
        let (Some(_), Some(body), Some(headers)) = parts else { return Ok(status::INVALID_MEMORY_ACCESS) };
        let Some(headers) = deserialize(headers) else { return Ok(status::PARSE_FAILURE) };
        let suffix = state.profile.local_body_suffix;
        let effective = state.effective;
        let Some(stream) = state.streams.get_mut(&effective) else { return Ok(status::BAD_ARGUMENT) };
        if !(100..1000).contains(&code) {
            return Ok(status::BAD_ARGUMENT);
        }
        let body = if body.is_empty() { Vec::new() } else { [body, suffix].concat() };
        stream.local = Some(LocalResponse { status: code, headers, body });
        Ok(status::OK)
    });
    Ok(())
}

fn of_maps(linker: &mut Linker<State>) -> Result<()> {
    host_call!(linker, GetHeaderMapPairs, |host, step, kind: u32, out: u32, out_size: u32| {
        if let Step::Bytes(bytes) = step {
            return give(host, &bytes, out, out_size);
        }
        let bytes = match host.data().map(kind) {
            Ok(headers) => serialize(headers),
            Err(status) => return Ok(status),
        };
        give(host, &bytes, out, out_size)
    });
    host_call!(linker, SetHeaderMapPairs, |host, _step, kind: u32, data: u32, size: u32| {
        let (memory, state) = memory(host)?;
        let Some(bytes) = read(memory, data, size) else { return Ok(status::INVALID_MEMORY_ACCESS) };
        let Some(headers) = deserialize(bytes) else { return Ok(status::PARSE_FAILURE) };
        Ok(ended(state.map_mut(kind).map(|map| *map = headers)))
    });
    host_call!(linker, GetHeaderMapValue, |host,
                                           step,
                                           kind: u32,
                                           name: u32,
                                           size: u32,
                                           out: u32,
                                           out_size: u32| {
        if let Step::Bytes(bytes) = step {
            return give(host, &bytes, out, out_size);
        }
        let (memory, state) = memory(host)?;
        let Some(name) = read(memory, name, size) else { return Ok(status::INVALID_MEMORY_ACCESS) };
        match state.header(kind, name).map(<[u8]>::to_vec) {
            Ok(value) => give(host, &value, out, out_size),
            Err(status) => Ok(status),
        }
    });
    host_call!(linker, RemoveHeaderMapValue, |host, _step, kind: u32, name: u32, size: u32| {
        let (memory, state) = memory(host)?;
        let Some(name) = read(memory, name, size) else { return Ok(status::INVALID_MEMORY_ACCESS) };
        Ok(ended(state.map_mut(kind).map(|map| map.retain(|(n, _)| !n.eq_ignore_ascii_case(name)))))
    });
    host_call!(
        linker,
        ReplaceHeaderMapValue,
        |host, _step, kind: u32, name: u32, size: u32, value: u32, value_size: u32| {
            write_header(host, kind, (name, size), (value, value_size), true)
        }
    );
    host_call!(linker, AddHeaderMapValue, |host,
                                           _step,
                                           kind: u32,
                                           name: u32,
                                           size: u32,
                                           value: u32,
                                           value_size: u32| {
        write_header(host, kind, (name, size), (value, value_size), false)
    });
    Ok(())
}

fn write_header(
    host: &mut Host<'_>,
    kind: u32,
    name: (u32, u32),
    value: (u32, u32),
    replace: bool,
) -> Result<u32> {
    let (memory, state) = memory(host)?;
    let (Some(name), Some(value)) = (read(memory, name.0, name.1), read(memory, value.0, value.1)) else {
        return Ok(status::INVALID_MEMORY_ACCESS);
    };
    Ok(ended(state.map_mut(kind).map(|map| {
        if replace {
            map.retain(|(n, _)| !n.eq_ignore_ascii_case(name));
        }
        map.push((name.to_vec(), value.to_vec()));
    })))
}

fn of_calls(linker: &mut Linker<State>) -> Result<()> {
    host_call!(linker, HttpCall, |host,
                                  step,
                                  upstream: u32,
                                  upstream_size: u32,
                                  headers: u32,
                                  headers_size: u32,
                                  body: u32,
                                  body_size: u32,
                                  trailers: u32,
                                  trailers_size: u32,
                                  timeout: u32,
                                  out: u32| {
        let (memory, state) = memory(host)?;
        let parts = (
            read(memory, upstream, upstream_size),
            read(memory, headers, headers_size),
            read(memory, body, body_size),
            read(memory, trailers, trailers_size),
        );
        let (Some(upstream), Some(headers), Some(body), Some(_)) = parts else {
            return Ok(status::INVALID_MEMORY_ACCESS);
        };
        let (Some(headers), Ok(upstream)) = (deserialize(headers), std::str::from_utf8(upstream)) else {
            return Ok(status::PARSE_FAILURE);
        };
        let lacks = |name: &&str| header(&headers, name.as_bytes()).is_none_or(<[u8]>::is_empty);
        if upstream.is_empty() || upstream.contains('/') || state.profile.call_needs.iter().any(lacks) {
            return Ok(status::BAD_ARGUMENT);
        }
        let token = if let Step::Number(n) = step { low(n) } else { state.next_token };
        state.next_token = state.next_token.wrapping_add(1).max(1);
        state.calls.push(Call {
            token,
            context: state.effective,
            upstream: upstream.to_owned(),
            headers,
            body: body.to_vec(),
            timeout: Duration::from_millis(timeout.into()),
            at: state.now / SECOND,
        });
        put_u32(host, out, token)
    });
    host_call!(linker, GrpcCall, |host,
                                  _step,
                                  _u: u32,
                                  _us: u32,
                                  _s: u32,
                                  _ss: u32,
                                  _m: u32,
                                  _ms: u32,
                                  _i: u32,
                                  _is: u32,
                                  _d: u32,
                                  _ds: u32,
                                  _t: u32,
                                  _out: u32| {
        let _ = host;
        Ok(status::UNIMPLEMENTED)
    });
    host_call!(linker, GrpcStream, |host,
                                    _step,
                                    _u: u32,
                                    _us: u32,
                                    _s: u32,
                                    _ss: u32,
                                    _m: u32,
                                    _ms: u32,
                                    _i: u32,
                                    _is: u32,
                                    _out: u32| {
        let _ = host;
        Ok(status::UNIMPLEMENTED)
    });
    host_call!(linker, GrpcSend, |host, _step, _token: u32, _data: u32, _size: u32, _end: u32| {
        let _ = host;
        Ok(status::UNIMPLEMENTED)
    });
    host_call!(linker, GrpcCancel, |host, _step, _token: u32| {
        let _ = host;
        Ok(status::UNIMPLEMENTED)
    });
    host_call!(linker, GrpcClose, |host, _step, _token: u32| {
        let _ = host;
        Ok(status::UNIMPLEMENTED)
    });
    host_call!(linker, GetStatus, |host, step, code: u32, out: u32, out_size: u32| {
        let number = if let Step::Number(n) = step { low(n) } else { 0 };
        put_u32(host, code, number)?;
        let text = if let Step::Bytes(bytes) = step { bytes } else { Vec::new() };
        give(host, &text, out, out_size)
    });
    Ok(())
}

fn of_metrics(linker: &mut Linker<State>) -> Result<()> {
    host_call!(linker, DefineMetric, |host, step, kind: u32, name: u32, size: u32, out: u32| {
        let (memory, state) = memory(host)?;
        let Some(name) = read(memory, name, size) else { return Ok(status::INVALID_MEMORY_ACCESS) };
        match state.metrics.define(kind, name) {
            Ok(id) => put_u32(host, out, if let Step::Number(n) = step { low(n) } else { id }),
            Err(status) => Ok(status),
        }
    });
    host_call!(linker, GetMetric, |host, step, id: u32, out: u32| {
        match host.data_mut().metrics.get(id) {
            Ok(value) => put(host, out, &if let Step::Number(n) = step { n } else { value }.to_le_bytes()),
            Err(status) => Ok(status),
        }
    });
    host_call!(linker, RecordMetric, |host, _step, id: u32, value: u64| {
        Ok(ended(host.data_mut().metrics.record(id, value)))
    });
    host_call!(linker, IncrementMetric, |host, _step, id: u32, offset: i64| {
        Ok(ended(host.data_mut().metrics.increment(id, offset)))
    });
    Ok(())
}

fn of_shared(linker: &mut Linker<State>) -> Result<()> {
    host_call!(linker, GetSharedData, |host,
                                       step,
                                       key: u32,
                                       size: u32,
                                       out: u32,
                                       out_size: u32,
                                       cas: u32| {
        shared_data_works(host)?;
        if let Step::Bytes(bytes) = step {
            return give(host, &bytes, out, out_size);
        }
        let (memory, state) = memory(host)?;
        let Some(key) = read(memory, key, size) else { return Ok(status::INVALID_MEMORY_ACCESS) };
        let Some(value) = state.shared.get(key).cloned() else { return Ok(status::NOT_FOUND) };
        put_u32(host, cas, 1)?;
        give(host, &value, out, out_size)
    });
    host_call!(linker, SetSharedData, |host,
                                       _step,
                                       key: u32,
                                       size: u32,
                                       value: u32,
                                       value_size: u32,
                                       _cas: u32| {
        shared_data_works(host)?;
        let (memory, state) = memory(host)?;
        let (Some(key), Some(value)) = (read(memory, key, size), read(memory, value, value_size)) else {
            return Ok(status::INVALID_MEMORY_ACCESS);
        };
        state.shared.insert(key.to_vec(), value.to_vec());
        Ok(status::OK)
    });
    host_call!(linker, RegisterSharedQueue, |host, step, _name: u32, _size: u32, out: u32| {
        put_u32(host, out, if let Step::Number(n) = step { low(n) } else { 1 })
    });
    host_call!(linker, ResolveSharedQueue, |host, _step, _v: u32, _vs: u32, _n: u32, _ns: u32, _out: u32| {
        let _ = host;
        Ok(status::NOT_FOUND)
    });
    host_call!(linker, DequeueSharedQueue, |host, step, _queue: u32, out: u32, out_size: u32| {
        if let Step::Bytes(bytes) = step {
            return give(host, &bytes, out, out_size);
        }
        Ok(status::EMPTY)
    });
    host_call!(linker, EnqueueSharedQueue, |host, _step, _queue: u32, _data: u32, _size: u32| {
        let _ = host;
        Ok(status::NOT_FOUND)
    });
    Ok(())
}

fn shared_data_works(host: &Host<'_>) -> Result<()> {
    if host.data().profile.shared_data {
        return Ok(());
    }
    Err(wasmtime::format_err!("shared data without a configured shm_kv (host notes, trap 5)"))
}

fn memory<'a>(host: &'a mut Host<'_>) -> Result<(&'a [u8], &'a mut State)> {
    let memory =
        host.data().memory.ok_or_else(|| wasmtime::format_err!("host call before the instance was made"))?;
    let (bytes, state) = memory.data_and_store_mut(host);
    Ok((bytes, state))
}

fn read(memory: &[u8], at: u32, size: u32) -> Option<&[u8]> {
    let at = index(at);
    memory.get(at..at.checked_add(index(size))?)
}

fn put(host: &mut Host<'_>, at: u32, bytes: &[u8]) -> Result<u32> {
    let Some(memory) = host.data().memory else { return Ok(status::INTERNAL_FAILURE) };
    Ok(match memory.write(host, index(at), bytes) {
        Ok(()) => status::OK,
        Err(_) => status::INVALID_MEMORY_ACCESS,
    })
}

fn put_u32(host: &mut Host<'_>, at: u32, value: u32) -> Result<u32> {
    put(host, at, &value.to_le_bytes())
}

/// Passes bytes into the filter's memory, which its own allocator finds room for.
fn give(host: &mut Host<'_>, bytes: &[u8], out: u32, out_size: u32) -> Result<u32> {
    let size = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
    let at = if bytes.is_empty() && host.data().profile.empty == Empty::Null {
        0
    } else {
        let malloc = host.data().malloc.clone();
        let malloc = malloc.ok_or_else(|| wasmtime::format_err!("the filter exports no allocator"))?;
        malloc.call(&mut *host, size)?
    };
    for step in [put(host, at, bytes)?, put_u32(host, out, at)?, put_u32(host, out_size, size)?] {
        if step != status::OK {
            return Ok(step);
        }
    }
    Ok(status::OK)
}

fn ended(result: Result<(), u32>) -> u32 {
    result.err().unwrap_or(status::OK)
}

fn index(value: u32) -> usize {
    usize::try_from(value).unwrap_or(usize::MAX)
}

fn low(number: u64) -> u32 {
    u32::try_from(number & u64::from(u32::MAX)).unwrap_or_default()
}
