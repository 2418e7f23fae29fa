//! wrk, the load generator: HTTPS over connections that stay, for a fixed time.
use anyhow::{Context as _, Result};
use std::net::SocketAddr;
use std::process::Command;
use std::time::Duration;

/// What a run of wrk found.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Load {
    pub(crate) requests: f64,
    pub(crate) per_second: f64,
    /// 99 of 100 requests took no longer, milliseconds.
    pub(crate) p99: f64,
}

/// Loads `localhost` at this port (a name, so that it is sent as SNI) for so long, with one thread.
pub(crate) fn load(address: SocketAddr, connections: usize, time: Duration) -> Result<Load> {
    let mut command = Command::new(xtask::tools::find(xtask::tools::Tool::Wrk)?);
    command.args(["-t1", &format!("-c{connections}"), &format!("-d{}s", time.as_secs()), "--latency"]);
    command.arg(format!("https://localhost:{}/", address.port()));
    let text = crate::process::run(&mut command)?.stdout;
    let load = read(&text).with_context(|| format!("wrk says: {text}"))?;
    anyhow::ensure!(!text.contains("Non-2xx"), "wrk saw errors: {text}");
    Ok(load)
}

/// Reads what wrk 4 prints.
fn read(text: &str) -> Option<Load> {
    let after = |label: &str| text.lines().find_map(|line| line.trim().strip_prefix(label));
    let requests =
        text.lines().find_map(|line| line.trim().split_once(" requests in "))?.0.trim().parse().ok()?;
    Some(Load {
        requests,
        per_second: after("Requests/sec:")?.trim().parse().ok()?,
        p99: millis(after("99%")?)?,
    })
}

fn millis(text: &str) -> Option<f64> {
    let text = text.trim();
    for (unit, factor) in [("us", 0.001), ("ms", 1.0), ("s", 1000.0)] {
        if let Some(number) = text.strip_suffix(unit) {
            return Some(number.parse::<f64>().ok()? * factor);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_wrk_prints_is_read() {
        let text = "Running 1s test @ https://localhost:1/\n  Latency Distribution\n     50%  203.00us\n     \
                    99%    1.25ms\n  48211 requests in 1.10s, 7.72MB read\nRequests/sec:  43829.10\nTransfer/sec: 7MB\n";
        let load = Load { requests: 48_211.0, per_second: 43_829.1, p99: 1.25 };
        assert_eq!(read(text), Some(load));
        assert_eq!(["203.00us", "1.50s"].map(millis), [Some(0.203), Some(1500.0)]);
        assert_eq!(read("unable to connect"), None);
    }
}
