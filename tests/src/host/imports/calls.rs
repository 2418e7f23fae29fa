//! Host calls that call others: HTTP, and gRPC, which none of the gateways does.
use super::super::abi::{HostCall, deserialize, header, status};
use super::super::call::Call;
use super::super::state::{SECOND, State, Step};
use super::{Host, give, host_call, low, memory, put_u32, read};
use std::time::Duration;
use wasmtime::{Linker, Result};

pub(super) fn of_calls(linker: &mut Linker<State>) -> Result<()> {
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
