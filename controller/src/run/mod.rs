//! The running controller: one loop a gateway, the server, signals; all on one thread.
//!
//! ```text
//! sources (watched) ─> publish ─> probers look ─> judged ─> machine ─> remedy ─> probers look (proof)
//! ```
//! SIGTERM and SIGINT drain (a remedy in flight is waited for and its end recorded), a second one forces. SIGHUP reads
//! the configuration again; one that is wrong is told, and the running one kept.
pub mod cluster;
pub mod drive;
pub mod events;
pub mod findings;
pub mod gateway;
pub mod origin;
pub mod renewals;
#[cfg(test)]
mod scenarios;
pub mod show;
pub mod sights;
pub mod sources;
pub mod state;
pub mod stored_at;
pub mod tell;

use crate::clock;
use crate::config::{self, Config, Overrides};
use crate::finding::Finding;
use crate::log::Level;
use crate::metrics::{Format, Store, catalogue as metric, encode, process};
use crate::publish::serve::Ledgers;
use crate::server::listen::{Port, Server};
use crate::server::{Answers, Shared};
use certdrift_contract::UnixTime;
use cluster::{Cluster, Wanted};
use gateway::{Gateway, Kept};
use std::collections::{BTreeMap, BTreeSet};
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
    /// What gateways hand on to themselves over a reload.
    kept: Mutex<BTreeMap<String, Kept>>,
    /// The cluster that gateways are in.
    cluster: Mutex<Option<Arc<Cluster>>>,
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
            kept: Mutex::new(BTreeMap::new()),
            cluster: Mutex::new(None),
            started: clock::now().seconds(),
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

    /// What the gateway of this name kept when the configuration before this one ended.
    fn kept(&self, gateway: &str) -> Kept {
        lock(&self.kept).remove(gateway).unwrap_or_default()
    }

    /// The cluster that gateways are in.
    pub fn cluster(&self) -> Option<Arc<Cluster>> {
        lock(&self.cluster).clone()
    }

    /// Joins the cluster that is wanted, and leaves the one of before, if that is another.
    async fn join(&self, wanted: Option<Wanted>) -> Result<(), Finding> {
        let stays = self.cluster().is_some_and(|cluster| wanted.as_ref().is_some_and(|w| cluster.serves(w)));
        if stays {
            return Ok(());
        }
        self.leave().await;
        if let Some(wanted) = wanted {
            let cluster = Arc::new(Cluster::join(wanted).await?);
            *lock(&self.cluster) = Some(cluster);
        }
        Ok(())
    }

    async fn leave(&self) {
        let before = lock(&self.cluster).take();
        if let Some(before) = before {
            Cluster::leave(before).await;
        }
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
        if let Some(cluster) = self.cluster() {
            gauges.set(&metric::LEADS, &[], f64::from(u8::from(cluster.leads())));
        }
        let now = clock::now().seconds();
        for gateway in lock(&self.gateways).iter() {
            show::gauges(&lock(gateway), self, now, &mut gauges);
        }
        encode::page(&self.store(), &gauges, cpu, format)
    }

    fn state(&self) -> String {
        let now = clock::now().seconds();
        let state = state::State {
            schema: state::SCHEMA.to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            started: self.started,
            now,
            gateways: lock(&self.gateways).iter().map(|g| show::state(&lock(g), now)).collect(),
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
    let mut signals = Signals::new(path, overrides)
        .map_err(|e| vec![findings::SIGNALS.on("this process", e.to_string())])?;
    let mut port = None;
    // What ran before the configuration that is begun now: gone back to when that cannot be begun.
    let mut before: Option<Config> = None;
    loop {
        let reloads = before.is_some();
        match generation(&hub, &config, reloads, &mut port, &level, &mut signals).await {
            Ok(End::Stop) => return Ok(()),
            Ok(End::Reload(next)) => {
                if next.log.level != config.log.level {
                    level.set(next.log.level);
                }
                before = Some(std::mem::replace(&mut config, *next));
            }
            Err(wrong) => {
                let Some(last) = before.take() else { return Err(wrong) };
                refused(&hub, &wrong);
                config = last;
            }
        }
    }
}

fn refused(hub: &Hub, wrong: &[Finding]) {
    hub.store().add(&metric::RELOADS, &["refused"], 1);
    for finding in wrong {
        crate::log::finding("", finding);
    }
    tracing::warn!("the configuration is wrong; the running one is kept");
}

/// One configuration, from its beginning to its end. An error means that it was not begun.
async fn generation(
    hub: &Arc<Hub>,
    config: &Config,
    reloads: bool,
    port: &mut Option<Port>,
    level: &Level,
    signals: &mut Signals,
) -> Result<End, Vec<Finding>> {
    let server = Server::bind(&config.listen, port.as_ref()).await.map_err(|f| vec![f])?;
    hub.join(Wanted::of(config)).await.map_err(|f| vec![f])?;
    let mut opened = Vec::new();
    for gateway in &config.gateways {
        hub.store().preset(&gateway.name);
        if gateway.canary.is_some() {
            hub.store().preset_canary(&gateway.name);
        }
        opened.push(
            Gateway::open(config, gateway.clone(), Arc::clone(hub), clock::now()).map_err(|f| vec![f])?,
        );
    }
    *port = Some(server.port());
    if reloads {
        hub.store().add(&metric::RELOADS, &["taken"], 1);
    }
    let (stop, stopped) = watch::channel(false);
    let (close, closed) = watch::channel(false);
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
    let serving = tokio::spawn(server.serve(shared, closed));
    let mut end = signals.next(hub).await;
    tracing::info!(
        why = if matches!(end, End::Stop) { "told to stop" } else { "configuration changed" },
        "draining"
    );
    let _ = stop.send(true);
    loop {
        tokio::select! {
            none = loops.join_next() => if none.is_none() { break },
            () = signals.force() => match end {
                End::Stop => at_once(),
                End::Reload(_) => {
                    tracing::info!(why = "told to stop", "draining");
                    end = End::Stop;
                }
            }
        }
    }
    // Until here probes, metrics and ledgers were answered.
    let _ = close.send(true);
    let ended: Vec<Locked> = std::mem::take(&mut *lock(&hub.gateways));
    match &end {
        End::Stop => {
            drop(ended);
            tokio::select! {
                () = hub.leave() => {}
                () = signals.force() => at_once(),
            }
            *port = None;
            tokio::select! {
                _ = serving => {}
                () = signals.force() => at_once(),
            }
        }
        End::Reload(next) => {
            let serves = |name: &str| next.gateways.iter().any(|g| g.name == name && g.publish.serve);
            for gateway in &ended {
                let mut gateway = lock(gateway);
                let name = gateway.config.name.clone();
                if !serves(&name) {
                    hub.ledgers.withdraw(&name);
                }
                lock(&hub.kept).insert(name, gateway.keep());
            }
            lock(&hub.ready).retain(|name| next.gateways.iter().any(|g| g.name == *name));
        }
    }
    Ok(end)
}

fn at_once() -> ! {
    tracing::warn!("told to stop again: ending at once");
    std::process::exit(1)
}

/// What tells this process to end or to read its configuration again, and where that is.
struct Signals {
    path: PathBuf,
    overrides: Overrides,
    term: tokio::signal::unix::Signal,
    int: tokio::signal::unix::Signal,
    hup: tokio::signal::unix::Signal,
}

impl Signals {
    fn new(path: PathBuf, overrides: Overrides) -> std::io::Result<Self> {
        Ok(Self {
            path,
            overrides,
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
    async fn next(&mut self, hub: &Hub) -> End {
        loop {
            tokio::select! {
                _ = self.term.recv() => return End::Stop,
                _ = self.int.recv() => return End::Stop,
                _ = self.hup.recv() => match config::load(&self.path, &self.overrides) {
                    Ok(next) => return End::Reload(Box::new(next)),
                    Err(wrong) => refused(hub, &wrong),
                }
            }
        }
    }
}
