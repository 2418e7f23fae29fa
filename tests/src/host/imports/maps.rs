//! Host calls about header maps.
use super::super::abi::{HostCall, deserialize, serialize, status};
use super::super::state::{State, Step};
use super::{Host, ended, give, host_call, memory, read};
use wasmtime::{Linker, Result};

pub(super) fn of_maps(linker: &mut Linker<State>) -> Result<()> {
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
