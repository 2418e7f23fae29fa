//! Which workers of an endpoint were seen. Pure.
//!
//! A handshake names no worker: filter or tap tell which one took the connection. With neither, all that can be said
//! is how probable it is that one was missed.
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// How many of an endpoint's workers were seen to serve what is expected.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Coverage {
    /// Those that were seen, by process id.
    pub seen: BTreeSet<String>,
    /// Live workers, where that is known.
    pub total: Option<u32>,
    /// Fresh connections made to see them.
    pub connections: u32,
}

/// How far a host is proven at an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "proof")]
pub enum Proof {
    /// Every worker was seen.
    Every {
        /// So many.
        workers: u32,
    },
    /// Some were not, yet.
    Some {
        /// Seen.
        seen: u32,
        /// Live.
        of: u32,
    },
    /// Nothing tells workers apart: the probability that at least one was missed.
    Probable {
        /// Live.
        workers: u32,
        /// Fresh connections.
        connections: u32,
        /// From 0 to 1.
        missed: f64,
    },
    /// Not even the number of workers is known.
    Unknown {
        /// Fresh connections.
        connections: u32,
    },
}

/// Below this probability of having missed a worker no more connections are made.
pub const ENOUGH: f64 = 0.01;
/// So many fresh connections per worker, and then what was seen has to do.
pub const PER_WORKER: u32 = 20;

impl Coverage {
    /// Drops workers that live no more: a reload replaces all of them.
    pub fn keep(&mut self, live: &BTreeSet<String>, total: u32) {
        self.seen.retain(|pid| live.contains(pid));
        self.total = Some(total);
    }

    /// How far that proves anything. `named`: filter or tap tell workers apart.
    #[must_use]
    pub fn proof(&self, named: bool) -> Proof {
        let seen = u32::try_from(self.seen.len()).unwrap_or(u32::MAX);
        match self.total {
            Some(of) if named && seen >= of && of > 0 => Proof::Every { workers: of },
            Some(of) if named => Proof::Some { seen, of },
            Some(workers) => {
                let missed = missed(workers, self.connections);
                Proof::Probable { workers, connections: self.connections, missed }
            }
            None => Proof::Unknown { connections: self.connections },
        }
    }

    /// Whether more connections are to be made.
    #[must_use]
    pub fn wants_more(&self, named: bool) -> bool {
        let most = self.total.unwrap_or(1).saturating_mul(PER_WORKER).max(PER_WORKER);
        match self.proof(named) {
            Proof::Every { .. } => false,
            _ if self.connections >= most => false,
            Proof::Some { .. } => true,
            Proof::Probable { missed, .. } => missed > ENOUGH,
            Proof::Unknown { connections } => connections == 0,
        }
    }
}

impl std::fmt::Display for Proof {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Every { workers } => write!(f, "all {workers} workers seen"),
            Self::Some { seen, of } => write!(f, "{seen} of {of} workers seen"),
            Self::Probable { workers, connections, missed } => {
                write!(f, "{connections} connections to {workers} workers, P(missed) = {missed:.4}")
            }
            Self::Unknown { connections } => {
                write!(f, "{connections} connections, number of workers unknown")
            }
        }
    }
}

/// The probability that of `workers`, each as likely to take a connection as any other, at least one took none of `connections`.
#[must_use]
pub fn missed(workers: u32, connections: u32) -> f64 {
    if workers == 0 {
        return 0.0;
    }
    if connections < workers {
        return 1.0;
    }
    // Chance of having seen exactly k different ones, connection by connection; exact where the alternating sum is not.
    let all = f64::from(workers);
    let mut seen = vec![0.0_f64; workers as usize + 1];
    if let Some(none) = seen.first_mut() {
        *none = 1.0;
    }
    for _ in 0..connections {
        let mut before = 0.0;
        for (k, chance) in (0u32..).zip(seen.iter_mut()) {
            let known = f64::from(k) / all;
            let from_below = if k == 0 { 0.0 } else { before * (all - f64::from(k) + 1.0) / all };
            before = *chance;
            *chance = *chance * known + from_below;
        }
    }
    (1.0 - seen.last().copied().unwrap_or(0.0)).clamp(0.0, 1.0)
}

/// What Kong's `/status` says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KongSays {
    /// Process ids of its workers.
    pub workers: BTreeSet<String>,
    /// Hash of the configuration it runs by; zeros while it has none. Kong with a database tells none.
    pub configuration: Option<Box<str>>,
}

#[derive(Debug, Deserialize)]
struct KongStatus {
    memory: KongMemory,
    #[serde(default)]
    configuration_hash: Option<Box<str>>,
}

#[derive(Debug, Deserialize)]
struct KongMemory {
    workers_lua_vms: Vec<KongWorker>,
}

#[derive(Debug, Deserialize)]
struct KongWorker {
    pid: u64,
}

/// Reads the body of Kong's `/status`.
///
/// # Errors
/// In words, when it is no such body.
pub fn kong_status(body: &[u8]) -> Result<KongSays, String> {
    let status: KongStatus =
        serde_json::from_slice(body).map_err(|e| format!("not an answer of Kong's /status: {e}"))?;
    let hex = |hash: &str| (1..=128).contains(&hash.len()) && hash.bytes().all(|b| b.is_ascii_hexdigit());
    Ok(KongSays {
        workers: status.memory.workers_lua_vms.iter().map(|w| w.pid.to_string()).collect(),
        configuration: status.configuration_hash.filter(|hash| hex(hash)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_probability_agrees_with_the_textbook() {
        assert_eq!(missed(1, 1), 0.0);
        assert_eq!(missed(4, 3), 1.0);
        // Two workers: both, unless all n went to one: 2 * (1/2)^n.
        for n in 2..20u32 {
            let exact = 2.0 * 0.5_f64.powi(i32::try_from(n).unwrap());
            assert!((missed(2, n) - exact).abs() < 1e-12, "{n}");
        }
        // Three: 3 (2/3)^n - 3 (1/3)^n.
        for n in 3..20i32 {
            let exact = 3.0 * (2.0_f64 / 3.0).powi(n) - 3.0 * (1.0_f64 / 3.0).powi(n);
            assert!((missed(3, u32::try_from(n).unwrap()) - exact).abs() < 1e-12, "{n}");
        }
    }

    #[test]
    fn more_connections_miss_less_and_many_workers_cost_no_precision() {
        let series: Vec<f64> = (64..2_000).step_by(50).map(|n| missed(64, n)).collect();
        assert!(series.windows(2).all(|w| w[1] <= w[0]), "{series:?}");
        assert!(missed(64, 1_280) < 1e-6);
    }

    fn pids(pids: &[&str]) -> BTreeSet<String> {
        pids.iter().map(|p| (*p).to_owned()).collect()
    }

    #[test]
    fn workers_that_a_reload_replaced_count_no_more() {
        let mut coverage = Coverage { seen: pids(&["10", "11"]), total: Some(2), connections: 5 };
        assert_eq!(coverage.proof(true), Proof::Every { workers: 2 });
        coverage.keep(&pids(&["11", "12"]), 2);
        assert_eq!(coverage.proof(true), Proof::Some { seen: 1, of: 2 });
        assert!(coverage.wants_more(true));
        assert_eq!(coverage.proof(true).to_string(), "1 of 2 workers seen");
    }

    #[test]
    fn looking_ends_when_all_were_seen_or_enough_was_tried() {
        let some = |connections| Coverage { seen: pids(&["1"]), total: Some(2), connections };
        assert!(some(39).wants_more(true));
        assert!(!some(40).wants_more(true));
        let blind = |connections| Coverage { seen: BTreeSet::new(), total: Some(2), connections };
        assert!(blind(7).wants_more(false));
        assert!(!blind(8).wants_more(false), "2 * (1/2)^8 is under a hundredth");
        let unknown = |connections| Coverage { connections, ..Coverage::default() };
        assert!(unknown(0).wants_more(false) && !unknown(1).wants_more(false));
    }

    #[test]
    fn kong_tells_its_workers_and_its_configuration() {
        let body = br#"{"memory": {"workers_lua_vms": [{"http_allocated_gc": "0.02 MiB", "pid": 18477}, {"pid": 18478}]}, "server": {}}"#;
        let workers = pids(&["18477", "18478"]);
        assert_eq!(kong_status(body), Ok(KongSays { workers: workers.clone(), configuration: None }));
        let body = br#"{"configuration_hash": "952f087fa89f5256128b5e8bb05f0c61", "memory": {"workers_lua_vms": [{"pid": 18477}, {"pid": 18478}]}}"#;
        let configuration = Some("952f087fa89f5256128b5e8bb05f0c61".into());
        assert_eq!(kong_status(body), Ok(KongSays { workers, configuration }));
        let odd = br#"{"configuration_hash": "<b>", "memory": {"workers_lua_vms": []}}"#;
        assert_eq!(kong_status(odd).unwrap().configuration, None);
        assert!(kong_status(b"{}").is_err());
        assert!(kong_status(b"<html>").is_err());
    }
}
