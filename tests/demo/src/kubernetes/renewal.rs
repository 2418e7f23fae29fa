//! One natural renewal, timed: what the API server told of it, as it came, and what certdrift told.
use anyhow::{Context as _, Result};
use certdrift_cluster::Cluster;
use std::io::{BufRead as _, BufReader};
use std::process::{Child, Stdio};
use std::sync::{Arc, Mutex, PoisonError};

/// Milliseconds since 1970.
pub(crate) fn now() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

/// Watches objects of one kind and writes down when it heard what of them. Dropped, it ends.
pub(crate) struct Watched {
    kubectl: Child,
    /// What was heard, each once, and when.
    heard: Arc<Mutex<Vec<(String, i64)>>>,
}

impl Watched {
    /// Names of CertificateRequests, once they are Ready.
    pub(crate) fn requests(cluster: &Cluster, namespace: &str) -> Result<Self> {
        let what = r#"jsonpath={.metadata.name}{" "}{.status.conditions[?(@.type=="Ready")].status}{"\n"}"#;
        let ready = |line: &str| line.strip_suffix(" True").map(str::to_owned);
        Self::watch(cluster, &["certificaterequests", "-n", namespace, "-o", what], ready)
    }

    /// The certificates that a Secret has held, as they stand in it.
    pub(crate) fn secret(cluster: &Cluster, namespace: &str, name: &str) -> Result<Self> {
        let what = r#"jsonpath={.data.tls\.crt}{"\n"}"#;
        Self::watch(cluster, &["secret", name, "-n", namespace, "-o", what], |line| Some(line.to_owned()))
    }

    fn watch(
        cluster: &Cluster,
        what: &[&str],
        read: impl Fn(&str) -> Option<String> + Send + 'static,
    ) -> Result<Self> {
        let mut kubectl = cluster.command(xtask::tools::find(xtask::tools::Tool::Kubectl)?)?;
        kubectl.args(["get", "--watch"]).args(what);
        let mut kubectl =
            kubectl.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn()?;
        let lines = BufReader::new(kubectl.stdout.take().context("kubectl's output")?).lines();
        let heard: Arc<Mutex<Vec<(String, i64)>>> = Arc::default();
        let written = Arc::clone(&heard);
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                let at = now();
                let Some(what) = read(&line) else { continue };
                let mut written = written.lock().unwrap_or_else(PoisonError::into_inner);
                if written.iter().all(|(known, _)| *known != what) {
                    written.push((what, at));
                }
            }
        });
        Ok(Self { kubectl, heard })
    }

    /// What was heard last, and when.
    pub(crate) fn newest(&self) -> Option<(String, i64)> {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner).last().cloned()
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        let _ = self.kubectl.kill();
        let _ = self.kubectl.wait();
    }
}
