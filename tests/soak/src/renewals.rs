//! Renewals by the thousand, while controllers are killed and the lead changes hands: each must be seen published.
//!
//! What *seen* means here. A renewal is written to its Secret, and the next one of that host is not written before the
//! ledger's ConfigMap, as the API server keeps it, names its fingerprint as the host's current one; that must be within
//! [`PATIENCE`]. So each renewal is seen by itself. (Renewals that follow each other sooner than that are one convergence
//! by design: of those only the newest must be published; the fault `five-reissues` holds that.) Every version that the
//! ConfigMaps ever had is read from a watch: no revision may be lower than one before, and what `/ledger` answers of each
//! replica may not go back either, over all its restarts.
use crate::api::{self, Api};
use crate::chance::Chance;
use crate::follow::{Follower, Versions};
use crate::scene::{Ground, ingress, parse};
use crate::stand_in::StandIn;
use anyhow::{Result, bail};
use base64::Engine as _;
use certdrift_contract::Fingerprint;
use certdrift_contract::ledger::Content;
use certdrift_harness::certs::wish;
use certdrift_harness::controller::Controller;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// A renewal is published within so long, whoever is killed meanwhile: the Lease of a leader that was killed lasts 15 s,
/// and changes that come close after each other are held together for up to 10 s.
const PATIENCE: Duration = Duration::from_secs(90);
/// Hosts of a gateway: their ledger with all predecessors is one document.
const HOSTS: usize = 60;

/// How much of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Measure {
    pub(crate) renewals: usize,
    pub(crate) kills: usize,
    pub(crate) moves: usize,
    pub(crate) gateways: usize,
}

/// What came of it.
#[derive(Debug, Default)]
struct Came {
    renewals: AtomicUsize,
    kills: AtomicUsize,
    /// Of those that led.
    moves: AtomicUsize,
    /// What must not be, as it was seen.
    wrong: Mutex<Vec<String>>,
    /// Milliseconds from the write to the ledger, each.
    took: Mutex<Vec<u64>>,
    /// What was told, over all runs: code by how often.
    told: Mutex<BTreeMap<String, usize>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Plays it; gives the figure.
///
/// # Errors
/// Something was not as it must be.
pub(crate) fn run(ground: &'static Ground, measure: Measure, seed: u64) -> Result<String> {
    let (cluster, api) = ground.api();
    let (gateway, came, began) = (StandIn::start(), Came::default(), Instant::now());
    let names: Vec<String> =
        (0..measure.gateways).map(|n| format!("renewals-{}-{n}", std::process::id())).collect();
    for n in &names {
        api.namespace(n)?;
        for host in 0..HOSTS {
            renew(ground, api, &gateway, n, host, 0)?;
            let (name, tls) = (format!("i{host}"), format!("s{host}"));
            api.apply(&api::ingress(n, &name), &ingress(n, &name, &self::host(n, host), &tls))?;
        }
    }
    let own = &names[0];
    let sections = format!(
        "kubernetes: {{kubeconfig: {}, namespace: {own}, reach: namespaces, namespaces: [{}]}}",
        cluster.kubeconfig().display(),
        names.join(", ")
    );
    let gateways: String = names.iter().map(|n| section(n, &gateway)).collect();
    let mut replicas = [0, 1].map(|_| Controller::start_with(&sections, &gateways));
    let [Ok(one), Ok(other)] = &mut replicas else { bail!("a controller does not start: {replicas:?}") };
    let replicas = [Mutex::new(one), Mutex::new(other)];
    let followers: Vec<Follower> = names.iter().map(|n| api.follow(n)).collect();
    let enough = || {
        let (renewals, kills) = (came.renewals.load(Ordering::SeqCst), came.kills.load(Ordering::SeqCst));
        let moves = came.moves.load(Ordering::SeqCst);
        (renewals >= measure.renewals && kills >= measure.kills && moves >= measure.moves)
            || !lock(&came.wrong).is_empty()
    };
    std::thread::scope(|scope| {
        for (n, follower) in names.iter().zip(&followers) {
            let (gateway, came, enough) = (&gateway, &came, &enough);
            scope.spawn(move || {
                let mut chance = Chance::new(seed, n);
                let mut rounds = 0;
                while !enough() {
                    rounds += 1;
                    if let Err(why) = round(ground, api, gateway, n, follower, came, &mut chance, rounds) {
                        lock(&came.wrong).push(format!("{n} round {rounds}: {why}"));
                    }
                }
            });
        }
        scope.spawn(|| kill(api, own, &replicas, &came, measure, &enough, seed));
    });
    let (renewals, kills) = (came.renewals.load(Ordering::SeqCst), came.kills.load(Ordering::SeqCst));
    let moves = came.moves.load(Ordering::SeqCst);
    let mut wrong = std::mem::take(&mut *lock(&came.wrong));
    wrong.extend(followers.iter().flat_map(|follower| follower.versions().wrong.clone()));
    let versions: usize = followers.iter().map(|follower| follower.versions().seen).sum();
    wrong.extend(quiet(api, &names, &gateway, &replicas, &came)?);
    let told = lock(&came.told).clone();
    let mut took = std::mem::take(&mut *lock(&came.took));
    took.sort_unstable();
    let at = |share: usize| took.get(took.len().saturating_sub(1) * share / 100).copied().unwrap_or_default();
    eprintln!(
        "renewals: {renewals}, kills {kills}, of leaders {moves}, {versions} versions of ledgers; published after {} ms (median), {} (99 %), {} (all); told {told:?}; {:?}",
        at(50),
        at(99),
        at(100),
        began.elapsed()
    );
    for n in &names {
        let _ = api.delete(&format!("/api/v1/namespaces/{n}"));
    }
    if !wrong.is_empty() {
        bail!("renewals: {} things were wrong:\n{}", wrong.len(), wrong[..wrong.len().min(5)].join("\n"));
    }
    Ok(format!(
        "{renewals} renewals, {kills} times a controller was killed, {moves} changes of leaders: each renewal current in the ledger before the next (median {} ms, longest {:.1} s), {versions} versions of ledgers and none went back, 0 remedies, 0 drifts told, 0 Events of drift",
        at(50),
        f64::from(u32::try_from(at(100)).unwrap_or(u32::MAX)) / 1_000.0
    ))
}

fn host(n: &str, host: usize) -> String {
    format!("h{host}.{n}.example")
}

fn section(n: &str, gateway: &StandIn) -> String {
    format!(
        "- name: {n}
  kubernetes: {{namespace: {n}, bindings: {{kong_ingress: {{namespaces: [{n}]}}}}}}
  endpoints: [{{name: a, address: \"{}\", workers: 1}}]
  publish: {{grace: 30s}}
  observe: {{per_second: 500}}
  policy: {{mode: heal, grace: 5s, remedies: [{{name: mend, timeout: 3s, webhook: {{url: \"http://{}/mend\"}}}}]}}
",
        gateway.address, gateway.hook
    )
}

/// Stores a new certificate, and the gateway loads it by itself: a moment before, or after.
fn renew(
    ground: &Ground,
    api: &Api,
    gateway: &StandIn,
    n: &str,
    at: usize,
    after: u64,
) -> Result<Fingerprint> {
    let name = host(n, at);
    let leaf = ground.ca.issue(&wish(&[&name]))?;
    let encoded = |text: &str| base64::engine::general_purpose::STANDARD.encode(text);
    let secret = format!("s{at}");
    let object = json!({"apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/tls",
        "metadata": {"name": secret, "namespace": n},
        "data": {"tls.crt": encoded(&leaf.chain_pem()), "tls.key": encoded(&leaf.key_pem)}});
    if after == 0 {
        gateway.loads(&name, &leaf);
    }
    api.apply(&api::secret(n, &secret), &object)?;
    if after > 0 {
        gateway.loads(&name, &leaf);
    }
    Ok(leaf.fingerprint)
}

/// Renews each host of a gateway once, and waits until the ledger has all of them.
#[expect(clippy::too_many_arguments, reason = "it is the body of a thread")]
fn round(
    ground: &Ground,
    api: &Api,
    gateway: &StandIn,
    n: &str,
    follower: &Follower,
    came: &Came,
    chance: &mut Chance,
    rounds: u64,
) -> Result<(), String> {
    let mut open: BTreeMap<String, (Fingerprint, Instant)> = BTreeMap::new();
    for at in 0..HOSTS {
        let stored = renew(ground, api, gateway, n, at, chance.below(2)).map_err(|e| format!("{e:#}"))?;
        open.insert(host(n, at), (stored, Instant::now()));
    }
    let deadline = Instant::now() + PATIENCE;
    let mut version = 0;
    while !open.is_empty() {
        let current = follower.after(&mut version, deadline);
        let Some(current) = current else {
            return Err(format!("after {PATIENCE:?} of round {rounds} not published: {open:?}"));
        };
        open.retain(|host, (leaf, written)| {
            let seen = current.get(host) == Some(leaf);
            if seen {
                came.renewals.fetch_add(1, Ordering::SeqCst);
                lock(&came.took).push(u64::try_from(written.elapsed().as_millis()).unwrap_or(u64::MAX));
            }
            !seen
        });
    }
    Ok(())
}

/// Kills one replica after the other, now and then the one that leads.
fn kill(
    api: &Api,
    n: &str,
    replicas: &[Mutex<&mut Controller>; 2],
    came: &Came,
    measure: Measure,
    enough: &(impl Fn() -> bool + Sync),
    seed: u64,
) {
    let mut chance = Chance::new(seed, "kill");
    let mut revisions: [BTreeMap<String, u64>; 2] = Default::default();
    while !enough() {
        let leader = (0..2).find(|at| leads(&lock(&replicas[*at])));
        let wants_move = came.moves.load(Ordering::SeqCst) * measure.kills.max(1)
            < came.kills.load(Ordering::SeqCst) * measure.moves + measure.moves;
        let who = match leader {
            Some(leader) if wants_move => leader,
            Some(leader) => 1 - leader,
            // The Lease has to end by itself.
            None => usize::try_from(chance.below(2)).unwrap_or_default(),
        };
        let mut replica = lock(&replicas[who]);
        note(&replica, came);
        replica.kill();
        came.kills.fetch_add(1, Ordering::SeqCst);
        if leader == Some(who) {
            let moves = came.moves.fetch_add(1, Ordering::SeqCst);
            // Every twentieth time its Lease is left to end by itself, after 15 s.
            if moves % 20 != 19 {
                let _ = api.merge(&api::lease(n), &json!({"spec": {"holderIdentity": ""}}));
            }
        }
        std::thread::sleep(chance.ms(0, 200));
        let again = replica.run();
        let ready = Instant::now() + PATIENCE;
        while again.is_ok()
            && !replica.get("/readyz").is_ok_and(|answer| answer.status == 200)
            && Instant::now() < ready
        {
            std::thread::sleep(Duration::from_millis(20));
        }
        if let Err(why) = again {
            lock(&came.wrong).push(format!("a replica does not start again: {why:#}"));
        }
        drop(replica);
        for (at, revisions) in revisions.iter_mut().enumerate() {
            served(&lock(&replicas[at]), n, revisions, came);
        }
        std::thread::sleep(chance.ms(0, 300));
    }
}

/// What a replica serves never goes back.
fn served(replica: &Controller, n: &str, revisions: &mut BTreeMap<String, u64>, came: &Came) {
    let Ok(answer) = replica.get(&format!("/ledger/{n}")) else { return };
    let Ok(ledger) = parse(&answer.body) else { return };
    let before = revisions.insert(n.to_owned(), ledger.revision.0).unwrap_or_default();
    if before > ledger.revision.0 {
        lock(&came.wrong).push(format!("/ledger went from {before} back to {}", ledger.revision.0));
    }
}

fn leads(controller: &Controller) -> bool {
    controller.metric("certdrift_leader").is_ok_and(|value| value > 0.5)
}

/// What it has told so far.
fn note(controller: &Controller, came: &Came) {
    let log = controller.log();
    let codes = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let mut told = lock(&came.told);
    for line in codes.filter(|line| line["code"].is_string()) {
        let code = format!(
            "{} {}",
            line["code"].as_str().unwrap_or_default(),
            line["level"].as_str().unwrap_or_default()
        );
        *told.entry(code).or_default() += 1;
    }
}

/// At the end: everything is served as it is stored; nothing was done, and nothing told that was not.
fn quiet(
    api: &Api,
    names: &[String],
    gateway: &StandIn,
    replicas: &[Mutex<&mut Controller>; 2],
    came: &Came,
) -> Result<Vec<String>> {
    let mut wrong = Vec::new();
    for replica in replicas {
        let replica = lock(replica);
        let deadline = Instant::now() + PATIENCE;
        loop {
            let answer = replica.get("/debug/state")?;
            let state: Value = serde_json::from_str(&answer.body)?;
            let hosts = || state["gateways"].as_array().into_iter().flatten();
            let hosts = hosts().flat_map(|g| g["hosts"].as_array().into_iter().flatten());
            let off: Vec<&Value> = hosts.filter(|host| host["seen"][0]["verdict"] != "match").collect();
            if off.is_empty() {
                break;
            }
            if Instant::now() > deadline {
                wrong.push(format!("at the end not served as stored: {:#}", off[0]));
                break;
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        note(&replica, came);
        for n in names {
            let file = replica.state().join(n).join("history.jsonl");
            let text = std::fs::read_to_string(file).unwrap_or_default();
            wrong.extend(
                text.lines()
                    .filter(|line| !line.contains("\"what\":\"converged\""))
                    .map(|line| format!("in a history: {line}")),
            );
        }
    }
    wrong.extend(gateway.acts().iter().map(|act| format!("a remedy: {act:?}")));
    let mut reasons: BTreeSet<String> = BTreeSet::new();
    for n in names {
        let events = api.get(&format!("/apis/events.k8s.io/v1/namespaces/{n}/events"))?;
        let all = events["items"].as_array().cloned().unwrap_or_default();
        reasons.extend(all.iter().map(|event| format!("{} {}", event["reason"], event["note"])));
    }
    wrong.extend(reasons.into_iter().map(|reason| format!("an Event: {reason}")));
    Ok(wrong)
}

/// What is current by host, of a ledger's text.
pub(crate) fn current(text: &str) -> Result<(u64, BTreeMap<String, Fingerprint>), String> {
    let ledger = parse(text)?;
    let Content::Entries(entries) = &ledger.content else { return Err("it has parts".to_owned()) };
    let of = entries.iter().flat_map(|entry| {
        entry.hosts.iter().filter_map(|host| Some((host.as_str().to_owned(), entry.current.first()?.sha256)))
    });
    Ok((ledger.revision.0, of.collect()))
}

/// Takes in a version of a ledger's ConfigMap.
pub(crate) fn take(versions: &mut Versions, text: &str) {
    match current(text) {
        Ok((revision, current)) => {
            if revision < versions.revision {
                versions.wrong.push(format!("a revision went from {} back to {revision}", versions.revision));
            }
            versions.seen += 1;
            versions.revision = revision;
            versions.current = current;
        }
        Err(why) => versions.wrong.push(format!("a ledger that cannot be read: {why}")),
    }
}
