//! The running controller: one loop a gateway, the server, signals; all on one thread.
//!
//! ```text
//! sources (watched) ─> publish ─> probers look ─> judged ─> machine ─> remedy ─> probers look (proof)
//! ```
//! SIGTERM and SIGINT drain (a remedy in flight is waited for and its end recorded), a second one forces. SIGHUP reads
//! the configuration again; one that is wrong is told, and the running one kept.
pub mod clock;
pub mod drive;
pub mod findings;
pub mod gateway;
pub mod renewals;
pub mod show;
pub mod sights;
pub mod sources;
pub mod state;
pub mod stored_at;
pub mod tell;

use crate::config::{self, Config, Overrides};
use crate::finding::Finding;
use crate::log::Level;
use crate::metrics::{Format, Store, catalogue as metric, encode, process};
use crate::publish::serve::Ledgers;
use crate::server::listen::Server;
use crate::server::{Answers, Shared};
use certdrift_contract::UnixTime;
use gateway::Gateway;
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio::task::JoinSet;

/// A gateway as loop and server share it. Held for moments only, never while something is waited for.
pub(crate) type Locked = Arc<Mutex<Gateway>>;

/// A loop that has not turned for so many milliseconds is stuck.
const STUCK: i64 = 30_000;

/// What all gateways and the server share, over reloads too.
#[derive(Debug)]
pub struct Hub {
    /// What was counted.
    store: Mutex<Store>,
    /// What `GET /ledger` answers.
    pub ledgers: Ledgers,
    /// Gateways that had their first complete ledger.
    ready: Mutex<BTreeSet<String>>,
    gateways: Mutex<Vec<Locked>>,
    started: UnixTime,
}

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Hub {
    fn new() -> Self {
        Self {
            store: Mutex::new(Store::new([])),
            ledgers: Ledgers::default(),
            ready: Mutex::new(BTreeSet::new()),
            gateways: Mutex::new(Vec::new()),
            started: clock::seconds(clock::now()),
        }
    }

    /// What was counted.
    pub fn store(&self) -> MutexGuard<'_, Store> {
        lock(&self.store)
    }

    /// The gateway had its first complete ledger.
    pub fn ready(&self, gateway: &str) {
        lock(&self.ready).insert(gateway.to_owned());
    }

    /// Whether it had.
    pub fn is_ready(&self, gateway: &str) -> bool {
        lock(&self.ready).contains(gateway)
    }
}

impl Answers for Hub {
    fn alive(&self) -> Result<(), String> {
        let now = clock::now();
        for gateway in lock(&self.gateways).iter() {
            let gateway = lock(gateway);
            let silent = now.since(gateway.beat);
            if silent > STUCK {
                return Err(format!(
                    "the loop of {} has not turned for {} s",
                    gateway.config.name,
                    silent / 1000
                ));
            }
        }
        Ok(())
    }

    fn ready(&self) -> Result<(), String> {
        for gateway in lock(&self.gateways).iter() {
            let name = lock(gateway).config.name.clone();
            if !self.is_ready(&name) {
                return Err(format!("{name} has no complete ledger yet"));
            }
        }
        Ok(())
    }

    fn metrics(&self, format: Format) -> String {
        let mut gauges = crate::metrics::Gauges::default();
        gauges.set(&metric::BUILD, &[env!("CARGO_PKG_VERSION")], 1.0);
        let cpu = process::read(&mut gauges);
        for gateway in lock(&self.gateways).iter() {
            show::gauges(&lock(gateway), self, &mut gauges);
        }
        encode::page(&self.store(), &gauges, cpu, format)
    }

    fn state(&self) -> String {
        let state = state::State {
            schema: state::SCHEMA.to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            started: self.started,
            now: clock::seconds(clock::now()),
            gateways: lock(&self.gateways).iter().map(|g| show::state(&lock(g))).collect(),
        };
        serde_json::to_string(&state).unwrap_or_else(|e| format!("{{\"error\": \"{e}\"}}"))
    }

    fn ledger(&self, gateway: &str, part: Option<&str>) -> Option<(Arc<[u8]>, String)> {
        self.ledgers.document(gateway, part)
    }
}

/// Why a generation of the configuration ended.
#[derive(Debug)]
enum End {
    Stop,
    Reload(Box<Config>),
}

/// Runs until it is told to stop.
///
/// # Errors
/// What keeps it from starting: the address, the directory of state, tokens.
pub async fn run(
    path: PathBuf,
    overrides: Overrides,
    mut config: Config,
    level: Level,
) -> Result<(), Vec<Finding>> {
    let hub = Arc::new(Hub::new());
    let mut signals =
        Signals::new().map_err(|e| vec![findings::SIGNALS.on("this process", e.to_string())])?;
    loop {
        match generation(&hub, &config, &level, &mut signals, &path, &overrides).await? {
            End::Stop => return Ok(()),
            End::Reload(next) => {
                if next.log.level != config.log.level {
                    level.set(next.log.level);
                }
                config = *next;
            }
        }
    }
}

async fn generation(
    hub: &Arc<Hub>,
    config: &Config,
    level: &Level,
    signals: &mut Signals,
    path: &std::path::Path,
    overrides: &Overrides,
) -> Result<End, Vec<Finding>> {
    let server = Server::bind(&config.listen).await.map_err(|f| vec![f])?;
    let mut opened = Vec::new();
    for gateway in &config.gateways {
        hub.store().preset(&gateway.name);
        opened.push(Gateway::open(config, gateway.clone(), Arc::clone(hub)).map_err(|f| vec![f])?);
    }
    let (stop, stopped) = watch::channel(false);
    let mut loops = JoinSet::new();
    let mut all = Vec::new();
    for (gateway, effects) in opened {
        let gateway = Arc::new(Mutex::new(gateway));
        all.push(Arc::clone(&gateway));
        loops.spawn(drive::drive(gateway, effects, stopped.clone()));
    }
    *lock(&hub.gateways) = all;
    if let Ok(address) = server.address() {
        tracing::info!(address = %address, gateways = config.gateways.len(), version = env!("CARGO_PKG_VERSION"), "certdrift runs");
    }
    let shared = Shared {
        answers: Arc::clone(hub) as Arc<dyn Answers>,
        level: level.clone(),
        open_metrics: config.listen.open_metrics,
    };
    let serving = tokio::spawn(server.serve(shared, stopped));
    let end = signals.next(hub, path, overrides).await;
    tracing::info!(
        why = if matches!(end, End::Stop) { "told to stop" } else { "configuration changed" },
        "draining"
    );
    let _ = stop.send(true);
    let drained = async {
        while loops.join_next().await.is_some() {}
        let _ = serving.await;
    };
    tokio::select! {
        () = drained => {}
        () = signals.force() => {
            tracing::warn!("told to stop again: ending at once");
            std::process::exit(1);
        }
    }
    let names: BTreeSet<String> = lock(&hub.gateways).iter().map(|g| lock(g).config.name.clone()).collect();
    lock(&hub.gateways).clear();
    if let End::Reload(next) = &end {
        for gone in
            names.iter().filter(|name| !next.gateways.iter().any(|g| g.name == **name && g.publish.serve))
        {
            hub.ledgers.withdraw(gone);
        }
        lock(&hub.ready).clear();
    }
    Ok(end)
}

struct Signals {
    term: tokio::signal::unix::Signal,
    int: tokio::signal::unix::Signal,
    hup: tokio::signal::unix::Signal,
}

impl Signals {
    fn new() -> std::io::Result<Self> {
        Ok(Self {
            term: signal(SignalKind::terminate())?,
            int: signal(SignalKind::interrupt())?,
            hup: signal(SignalKind::hangup())?,
        })
    }

    async fn force(&mut self) {
        tokio::select! {
            _ = self.term.recv() => {}
            _ = self.int.recv() => {}
        }
    }

    /// Waits for the end of this generation.
    async fn next(&mut self, hub: &Hub, path: &std::path::Path, overrides: &Overrides) -> End {
        loop {
            tokio::select! {
                _ = self.term.recv() => return End::Stop,
                _ = self.int.recv() => return End::Stop,
                _ = self.hup.recv() => match config::load(path, overrides) {
                    Ok(next) => {
                        hub.store().add(&metric::RELOADS, &["taken"], 1);
                        return End::Reload(Box::new(next));
                    }
                    Err(wrong) => {
                        hub.store().add(&metric::RELOADS, &["refused"], 1);
                        for finding in &wrong {
                            crate::log::finding("", finding);
                        }
                        tracing::warn!("the configuration is wrong; the running one is kept");
                    }
                }
            }
        }
    }
}
