//! The observer against a real nginx with the tap: every worker is seen, a certificate that was not reloaded is drift,
//! a reload is proven on every worker, and an endpoint that is gone is unreachable and nothing else.
use certdrift::observe::endpoint::Endpoint;
use certdrift::observe::expectations::{Expectations, families};
use certdrift::observe::watch::{self, Seen, Settings};
use certdrift::observe::workers::Proof;
use certdrift::source::KeyFamily;
use certdrift_contract::ledger::{Content, Entry, Expected, Retiring};
use certdrift_contract::{DriftClass, Evidence, Ledger, Revision, Rules, UnixTime, Verdict};
use certdrift_tests::certs::{Ca, Key, Leaf, wish};
use certdrift_tests::nginx::Nginx;
use certdrift_tests::process::free_port;
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tokio::sync::{Semaphore, mpsc, watch as channel};

const HOST: &str = "demo.example.com";
const PATIENCE: Duration = Duration::from_secs(60);

fn now() -> UnixTime {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
    UnixTime::from_seconds(i64::try_from(since.as_secs()).unwrap())
}

/// Expects these leaves of `HOST`; `retired` was expected before, without any grace left.
fn expect(leaves: &[&Leaf], retired: &[&Leaf], before: Option<&Expectations>) -> Arc<Expectations> {
    let current = |leaf: &&Leaf| Expected {
        sha256: leaf.fingerprint,
        chain: Vec::new(),
        not_after: now().plus(86_400),
    };
    let entry = Entry {
        source: "file:/demo.pem".to_owned(),
        hosts: vec![HOST.parse().unwrap()],
        since: now(),
        current: leaves.iter().map(current).collect(),
        incoming: Vec::new(),
        retiring: retired
            .iter()
            .map(|l| Retiring { sha256: l.fingerprint, until: now().plus(-60) })
            .collect(),
    };
    let ledger = Ledger {
        gateway: "nginx".to_owned(),
        rules: Rules::Kong,
        revision: Revision(before.map_or(1, |b| b.revision.0 + 1)),
        published_at: now(),
        content: Content::of([entry]),
        default: None,
    };
    let families = match leaves {
        [one] => families([(one.fingerprint, KeyFamily::Ecdsa)]),
        _ => families([]),
    };
    Arc::new(Expectations::new(ledger.into(), families, before).unwrap())
}

struct Observer {
    seen: mpsc::Receiver<Seen>,
    expectations: channel::Sender<Option<Arc<Expectations>>>,
    _wishes: mpsc::Sender<watch::Wish>,
}

impl Observer {
    fn start(endpoint: Endpoint, first: Arc<Expectations>) -> Self {
        let (out, seen) = mpsc::channel(1024);
        let (expectations, receiver) = channel::channel(Some(first));
        let (wishes, asked) = mpsc::channel(8);
        let settings = Settings {
            timeout: Duration::from_secs(10),
            sweep: Duration::from_secs(600),
            poll: Duration::from_millis(500),
            per_second: 50,
            gate: Arc::new(Semaphore::new(8)),
        };
        tokio::spawn(watch::endpoint(endpoint, settings, receiver, asked, out));
        Self { seen, expectations, _wishes: wishes }
    }

    /// Waits for the first event that `wanted` takes.
    async fn until<T>(&mut self, what: &str, mut wanted: impl FnMut(&Seen) -> Option<T>) -> T {
        let mut last = Vec::new();
        let look = async {
            loop {
                let seen = self.seen.recv().await.expect("the observer lives");
                if let Some(found) = wanted(&seen) {
                    return found;
                }
                last.push(seen);
            }
        };
        match tokio::time::timeout(PATIENCE, look).await {
            Ok(found) => found,
            Err(_) => panic!("waited for {what}; seen: {last:#?}"),
        }
    }
}

fn settled(seen: &Seen) -> Option<(Proof, Vec<String>)> {
    match seen {
        Seen::Proven { proof, workers, settled: true, .. } => Some((*proof, workers.clone())),
        _ => None,
    }
}

fn verdict(seen: &Seen, by: Evidence) -> Option<Verdict> {
    match seen {
        Seen::Judged(judged) if judged.observation.evidence == by => Some(judged.verdict),
        _ => None,
    }
}

fn endpoint(port: u16, tap: Option<&str>) -> Endpoint {
    Endpoint {
        name: "one".to_owned(),
        host: "127.0.0.1".to_owned(),
        port,
        proxy_protocol: None,
        edge: false,
        workers: None,
        tap: tap.map(|url| url.parse().unwrap()),
        report: None,
        status: None,
        token: None,
    }
}

fn nginx(workers: usize, port: u16, folder: &std::path::Path, names: &[&str]) -> Nginx {
    let mut server = format!("listen 127.0.0.1:{port} ssl reuseport; location / {{ return 204; }}");
    for name in names {
        server += &format!(
            " ssl_certificate {0}/{name}.crt; ssl_certificate_key {0}/{name}.key;",
            folder.display()
        );
    }
    Nginx::with_workers(workers).tap().server(&server).start().unwrap()
}

fn on_one_thread(test: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(test);
}

#[test]
fn a_renewal_is_drift_until_the_reload_and_then_proven_on_every_worker() {
    let (ca, folder) = (Ca::new("observe test CA").unwrap(), tempfile::tempdir().unwrap());
    let old = ca.issue(&wish(&[HOST])).unwrap();
    old.write(folder.path(), "tls").unwrap();
    let port = free_port();
    let nginx = nginx(4, port, folder.path(), &["tls"]);
    on_one_thread(async {
        let first = expect(&[&old], &[], None);
        let mut observer = Observer::start(endpoint(port, Some(&nginx.tap_url())), Arc::clone(&first));
        let (proof, workers) = observer.until("all workers with the first certificate", settled).await;
        assert_eq!(proof, Proof::Every { workers: 4 });
        let pids: Vec<String> = nginx.worker_pids().iter().map(u32::to_string).collect();
        let mut sorted = workers.clone();
        sorted.sort_by_key(|w| w.parse::<u32>().unwrap());
        assert_eq!(sorted, pids);

        // Renewed on disk, and nobody told nginx.
        let new = ca.issue(&wish(&[HOST])).unwrap();
        new.write(folder.path(), "tls").unwrap();
        let second = expect(&[&new], &[&old], Some(&first));
        observer.expectations.send(Some(Arc::clone(&second))).unwrap();
        let drift = Verdict::Drift(DriftClass::Previous);
        for by in [Evidence::Handshake, Evidence::Tap] {
            observer.until("drift", |seen| verdict(seen, by).filter(|v| *v == drift)).await;
        }

        nginx.reload().unwrap();
        let (proof, workers) = observer.until("all workers with the renewed certificate", settled).await;
        assert_eq!(proof, Proof::Every { workers: 4 });
        assert!(workers.iter().all(|w| !pids.contains(w)), "old workers count no more: {workers:?} {pids:?}");
        drop(nginx);
        // The sweep is slow; another expectation makes it look.
        observer.expectations.send(Some(expect(&[&old], &[], Some(&second)))).unwrap();
        observer
            .until("unreachable once it is gone", |seen| match seen {
                Seen::Unreachable { .. } => Some(()),
                Seen::Judged(judged) => {
                    assert!(!matches!(judged.verdict, Verdict::Drift(DriftClass::Unknown)), "{judged:?}");
                    None
                }
                _ => None,
            })
            .await;
    });
}

#[test]
fn of_a_pair_the_stale_half_is_drift_though_the_other_matches() {
    let (ca, folder) = (Ca::new("observe pair CA").unwrap(), tempfile::tempdir().unwrap());
    let leaf = |key| ca.issue(&wish(&[HOST]).key(key)).unwrap();
    let (ecdsa, rsa, old_rsa) = (leaf(Key::Ecdsa), leaf(Key::Rsa), leaf(Key::Rsa));
    ecdsa.write(folder.path(), "ecdsa").unwrap();
    old_rsa.write(folder.path(), "rsa").unwrap();
    let port = free_port();
    let nginx = nginx(1, port, folder.path(), &["ecdsa", "rsa"]);
    on_one_thread(async {
        let first = expect(&[&ecdsa, &rsa], &[&old_rsa], None);
        let mut observer = Observer::start(endpoint(port, None), first);
        let drift = observer
            .until("drift of the RSA half", |seen| match seen {
                Seen::Judged(judged) if !judged.verdict.healthy() => Some(judged.clone()),
                _ => None,
            })
            .await;
        assert_eq!(drift.observation.family, Some(KeyFamily::Rsa), "{drift:?}");
        rsa.write(folder.path(), "rsa").unwrap();
        nginx.reload().unwrap();
        let (proof, _) = observer.until("the pair", settled).await;
        assert_eq!(proof, Proof::Unknown { connections: 1 }, "without a tap, no word about workers");
    });
}

#[test]
fn without_a_tap_the_probability_of_having_missed_a_worker_is_given() {
    let (ca, folder) = (Ca::new("observe blind CA").unwrap(), tempfile::tempdir().unwrap());
    let leaf = ca.issue(&wish(&[HOST])).unwrap();
    leaf.write(folder.path(), "tls").unwrap();
    let port = free_port();
    let _nginx = nginx(2, port, folder.path(), &["tls"]);
    on_one_thread(async {
        let blind = Endpoint { workers: Some(2), ..endpoint(port, None) };
        let mut observer = Observer::start(blind, expect(&[&leaf], &[], None));
        let (proof, _) = observer.until("enough connections", settled).await;
        match proof {
            Proof::Probable { workers: 2, connections: 8, missed } => assert!(missed < 0.01, "{missed}"),
            other => panic!("{other:?}"),
        }
    });
}
