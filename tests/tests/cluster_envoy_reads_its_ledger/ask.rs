//! What is asked of a pod.
use super::HOST;
use certdrift_cluster::Cluster;
use serde_json::Value;

fn curl(cluster: &Cluster, more: &[&str]) -> String {
    let mut curl = cluster.command("curl").unwrap();
    curl.args(["--silent", "--show-error", "--globoff", "--max-time", "5"]).args(more);
    match curl.output() {
        Ok(said) => String::from_utf8_lossy(&said.stdout).into_owned(),
        Err(error) => error.to_string(),
    }
}

/// A request of a client: its connection is judged.
pub(super) fn served(cluster: &Cluster, address: &str) {
    let resolve = format!("{HOST}:8443:{address}");
    let _ = curl(cluster, &["--insecure", "--resolve", &resolve, &format!("https://{HOST}:8443/")]);
}

pub(super) fn report(cluster: &Cluster, address: &str) -> Result<Value, String> {
    let said = curl(cluster, &[&format!("http://{address}:9481/certdrift/report?hosts=all")]);
    serde_json::from_str(&said).map_err(|e| format!("{e}: {said}"))
}

/// Status of `/certdrift/WHAT`.
pub(super) fn health(cluster: &Cluster, address: &str, what: &str) -> String {
    curl(
        cluster,
        &[
            "--output",
            "/dev/null",
            "--write-out",
            "%{http_code}",
            &format!("http://{address}:9481/certdrift/{what}"),
        ],
    )
}

/// The sum of what one pod's statistics of this name come to.
pub(super) fn counted(cluster: &Cluster, address: &str, filter: &str) -> u64 {
    let stats = curl(cluster, &[&format!("http://{address}:9901/stats?filter={filter}")]);
    stats.lines().filter_map(|line| line.rsplit_once(": ")?.1.trim().parse::<u64>().ok()).sum()
}
