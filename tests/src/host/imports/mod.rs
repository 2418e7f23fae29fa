//! The host calls, as WebAssembly functions of module `env`: here those of a worker and of what it shares, and how
//! memory is passed; the others in files of their own.
mod calls;
mod maps;
mod stream;

use super::abi::{HostCall, status};
use super::profile::Empty;
use super::state::{Line, SECOND, State, Step};
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
pub(crate) use host_call;

pub(crate) fn define(linker: &mut Linker<State>) -> Result<()> {
    of_worker(linker)?;
    stream::of_stream(linker)?;
    maps::of_maps(linker)?;
    calls::of_calls(linker)?;
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
