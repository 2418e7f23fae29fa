//! The two byte forms of the proxy-wasm ABI: a header map, and a property's path.

/// A header map: the number of pairs, the lengths of each, then each name and value with a NUL after it.
#[must_use]
pub fn pairs(headers: &[(&str, &str)]) -> Vec<u8> {
    let mut out = Vec::new();
    out.extend_from_slice(&length(headers.len()));
    for (name, value) in headers {
        out.extend_from_slice(&length(name.len()));
        out.extend_from_slice(&length(value.len()));
    }
    for (name, value) in headers {
        out.extend_from_slice(name.as_bytes());
        out.push(0);
        out.extend_from_slice(value.as_bytes());
        out.push(0);
    }
    out
}

fn length(n: usize) -> [u8; 4] {
    u32::try_from(n).unwrap_or(u32::MAX).to_le_bytes()
}

/// A property's path: its segments joined with NUL.
#[must_use]
pub fn path<S: AsRef<str>>(segments: &[S]) -> Vec<u8> {
    let mut out = Vec::new();
    for (i, segment) in segments.iter().enumerate() {
        if i > 0 {
            out.push(0);
        }
        out.extend_from_slice(segment.as_ref().as_bytes());
    }
    out
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_map_is_written_as_the_abi_wants_it() {
        assert_eq!(super::pairs(&[]), [0, 0, 0, 0]);
        assert_eq!(
            super::pairs(&[("a", "bc"), ("d", "")]),
            [2, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, b'a', 0, b'b', b'c', 0, b'd', 0, 0]
        );
    }

    #[test]
    fn a_path_is_joined_with_nul() {
        assert_eq!(super::path(&["ngx", "certdrift"]), b"ngx\0certdrift");
        assert_eq!(super::path::<&str>(&[]), b"");
    }
}
