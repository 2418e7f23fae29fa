//! A connection to the API server that dies without a word: what comes on it never arrives, and nobody says so.
#[expect(dead_code, reason = "shared by several tests")]
mod cluster;

use certdrift_harness::controller::PATIENCE;
use certdrift_harness::wait;
use cluster::{ingress, inside, published, secret, sections, start};
use std::process::Command;
use std::time::Duration;

/// The system asks a silent connection after 10 s, and three times more in 15; then there is the watch's own wait.
/// Without it, the watch's patience would find out after 100 s.
const FOUND: Duration = Duration::from_secs(60);

/// What a command prints.
fn said(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output().unwrap();
    assert!(output.status.success(), "{program} {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// Drops everything of these connections, in both directions, until it is dropped itself.
struct Silence(String);

impl Silence {
    fn of(ports: &[u16]) -> Self {
        let table = format!("certdrift_silence_{}", std::process::id());
        let nft = |words: &str| drop(said("nft", &words.split(' ').collect::<Vec<_>>()));
        nft(&format!("add table inet {table}"));
        nft(&format!("add chain inet {table} in {{ type filter hook input priority 0 ; }}"));
        for port in ports {
            for side in ["sport", "dport"] {
                nft(&format!("add rule inet {table} in tcp {side} {port} drop"));
            }
        }
        Self(table)
    }
}

impl Drop for Silence {
    fn drop(&mut self) {
        let _ = Command::new("nft").args(["delete", "table", "inet", &self.0]).status();
    }
}

/// The local ports of a process's connections to the API server.
fn ports(pid: u32, api: &str) -> Vec<u16> {
    let lines = said("ss", &["-Htnp", "state", "established"]);
    let ours = lines.lines().filter(|line| line.contains(&format!("pid={pid},")) && line.contains(api));
    ours.filter_map(|line| line.split_whitespace().nth(2)?.rsplit(':').next()?.parse().ok()).collect()
}

#[test]
fn a_renewal_arrives_although_every_connection_has_died_in_silence() {
    inside(|cluster| {
        let namespace = cluster.namespace("silent").unwrap();
        let n = namespace.name();
        let (first, old) = secret(n, "s", "x.example");
        cluster.apply(&first).unwrap();
        cluster.apply(&ingress(n, "x.example", "s")).unwrap();
        let controller = start(n, &sections(&cluster, n, ""));
        let until = |what: &str, patience, leaf| {
            wait::until(what, patience, || match published(&cluster, n, "kong") {
                Ok(ledger) if ledger.current("x.example") == [leaf] => Ok(()),
                other => Err(format!("{other:#?}\n{}", controller.log())),
            });
        };
        until("the first certificate", PATIENCE, old);
        let dead = ports(controller.pid().unwrap(), &cluster.api_address().to_string());
        assert!(dead.len() > 3, "its watches and its ConfigMaps: {dead:?}");
        let _silence = Silence::of(&dead);
        let (second, new) = secret(n, "s", "x.example");
        cluster.apply(&second).unwrap();
        until("the second certificate", FOUND, new);
    });
}
