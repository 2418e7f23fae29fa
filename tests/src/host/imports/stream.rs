//! Host calls about one request: properties, buffers, the local response.
use super::super::abi::{HostCall, deserialize, status};
use super::super::state::{LocalResponse, State, Step};
use super::{Host, ended, give, host_call, index, memory, read};
use wasmtime::{Linker, Result};

pub(super) fn of_stream(linker: &mut Linker<State>) -> Result<()> {
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
