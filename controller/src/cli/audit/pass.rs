//! The rim: one reading of the cluster and one look at its gateways; and a second where the first looks wrong.
use super::expect::{self, Expected};
use super::find::{self, Chosen, Named};
use super::findings::NO_GATEWAY;
use super::judge::{self, Sights};
use super::look::{self, Hosts, Manner, Seat};
use super::read::{Scope, World};
use super::report::{self, Gateway, Hop, Pod, Report, Verdict};
use super::{Args, Talk};
use crate::cli::Failure;
use crate::cli::output::count;
use crate::clock;
use crate::cluster::{ObjectName, connect};
use crate::config::Config;
use crate::converge::Millis;
use crate::finding::Finding;
use crate::issuance::follow;
use crate::observe::findings::NO_PODS;
use crate::observe::pods;
use crate::source::kubernetes::requests::Issued;
use crate::source::kubernetes::secret::Selection;
use certdrift_contract::UnixTime;
use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

/// Between the first look and the second, at what looked wrong: a renewal that is on its way has arrived by then. Kong's
/// ingress controller pushes every three seconds, cert-manager stores within a fraction of one.
const AGAIN_AFTER: Duration = Duration::from_secs(6);

/// Seconds after which a pod's start is over: one without a configuration then has been left without.
const EMPTY_AFTER: i64 = 30;

/// A gateway, what it has to serve, and where.
struct Scene {
    chosen: Chosen,
    expected: Expected,
    seats: Vec<Seat>,
    ready: BTreeMap<String, bool>,
    told: Vec<Finding>,
}

/// All that one reading has come to.
struct Pass {
    world: World,
    unread: Vec<report::Unread>,
    scenes: Vec<Scene>,
}

/// What is kept from one reading to the next.
#[derive(Default)]
struct Kept {
    issuance: BTreeMap<String, follow::Memory>,
    sights: BTreeMap<String, RefCell<Sights>>,
    /// Pods that were asked whether they have a configuration.
    empty: BTreeMap<String, bool>,
    handshakes: Cell<usize>,
}

pub(super) async fn audit(args: &Args, config: Option<&Config>, talk: &Talk) -> Result<Report, Failure> {
    let kubernetes = config.and_then(|config| config.kubernetes.as_ref());
    let file = args.kubeconfig.as_deref().or_else(|| kubernetes?.kubeconfig.as_deref());
    let context = args.context.as_deref().or_else(|| kubernetes?.context.as_deref());
    let client = connect::client(file, context).await.map_err(Failure::unknown)?;
    let mut kept = Kept::default();
    let begun = clock::instant();
    let first = pass(&client, args, config, &mut kept, talk).await;
    look(&client, args, &first, None, &kept, talk).await;
    let report = reported(args, &first, &kept);
    let wrong = suspicious(&first, &report);
    if wrong.is_empty() {
        return Ok(report);
    }
    talk.tell(&format!("{} look wrong: once more in a moment", wrong.len()));
    clock::sleep(AGAIN_AFTER.saturating_sub(clock::since(begun))).await;
    let second = pass(&client, args, config, &mut kept, talk).await;
    look(&client, args, &second, Some((&first, &wrong)), &kept, talk).await;
    let report = reported(args, &second, &kept);
    let asked = ask_the_empty(&client, args, &second, &report, &mut kept).await;
    Ok(if asked { reported(args, &second, &kept) } else { report })
}

/// Asks pods that serve the default certificate whether they have a configuration at all; whether any was asked.
async fn ask_the_empty(
    client: &kube::Client,
    args: &Args,
    pass: &Pass,
    report: &Report,
    kept: &mut Kept,
) -> bool {
    let seen = report.gateways.iter().flat_map(|g| &g.hosts).flat_map(|host| &host.seen);
    let default: BTreeSet<&str> =
        seen.filter(|seen| seen.class == Some("default")).map(|seen| seen.pod.as_str()).collect();
    let seats = pass.scenes.iter().flat_map(|scene| &scene.seats);
    let seats = seats.filter(|seat| seat.is_old && default.contains(&*seat.pod.to_string()));
    let looks = seats.map(|seat| async move {
        Some((seat.pod.to_string(), look::is_empty(client, seat, manner(args)).await?))
    });
    let said = futures_util::future::join_all(looks).await;
    kept.empty.extend(said.into_iter().flatten());
    !kept.empty.is_empty()
}

fn manner(args: &Args) -> Manner {
    Manner { direct: args.direct, timeout: args.timeout.as_duration(), per_second: args.rate }
}

/// Hosts, by gateway, that a second look may find otherwise: they drift, or a renewal is on its way.
fn suspicious(pass: &Pass, report: &Report) -> BTreeSet<(String, String)> {
    let issued = Issued::new(&pass.world.certificates, &pass.world.requests);
    let on_its_way: Vec<String> = issued
        .certificates()
        .filter(|certificate| issued.on_its_way(certificate).is_some())
        .map(|certificate| certificate.secret().to_string())
        .collect();
    let hosts = report.gateways.iter().flat_map(|g| g.hosts.iter().map(move |host| (g, host)));
    let wrong = hosts.filter(|(_, host)| {
        host.served == Hop::Bad
            || host.stored == Hop::Bad
            || host.source.split('+').any(|member| on_its_way.iter().any(|secret| secret == member))
    });
    wrong.map(|(gateway, host)| (gateway.name.clone(), host.host.clone())).collect()
}

fn named(args: &Args) -> Named {
    Named {
        namespace: args.namespace.clone(),
        labels: args.selector.clone().unwrap_or_default(),
        service: args.service.clone(),
        port: args.port.clone(),
        proxy_protocol: args.proxy_protocol,
        kind: args.kind,
        class: args.ingress_class.clone(),
    }
}

/// Where to read, and which Secrets.
fn scope(args: &Args, config: Option<&Config>) -> Scope {
    let kubernetes = config.and_then(|config| config.kubernetes.as_ref());
    let mut within = args.within.clone();
    if let (true, Some(kubernetes)) = (within.is_empty(), kubernetes) {
        within.clone_from(&kubernetes.namespaces);
    }
    let chosen: Vec<Chosen> = config.map(find::configured).unwrap_or_default();
    let mut pods: Vec<String> = chosen.into_iter().map(|chosen| chosen.finder.namespace).collect();
    pods.extend(args.namespace.clone());
    pods.sort();
    pods.dedup();
    let selection = kubernetes.map_or_else(Selection::default, |kubernetes| kubernetes.selection());
    Scope { within, pods, selection }
}

/// Reads all, and makes of it what has to be served where.
async fn pass(
    client: &kube::Client,
    args: &Args,
    config: Option<&Config>,
    kept: &mut Kept,
    talk: &Talk,
) -> Pass {
    talk.tell("reading what is stored, and what binds it");
    let scope = scope(args, config);
    let world = World::read(client, &scope).await;
    let unread = expect::costs(&world);
    let chosen = match config {
        Some(config) => find::configured(config),
        None => find::choose(&named(args), &world),
    };
    let now = clock::now().seconds();
    let pods: Vec<_> = world.pods.iter().map(|seen| &seen.pod).collect();
    let services: Vec<_> = world.services.iter().collect();
    let mut scenes = Vec::new();
    for chosen in chosen {
        let memory = kept.issuance.entry(chosen.name.clone()).or_default();
        kept.sights.entry(chosen.name.clone()).or_default();
        let (found, mut told) = pods::find(&chosen.finder, &pods, &services);
        let expected = match expect::expected(&world, &unread, &chosen, &scope.selection, memory, now) {
            Ok(expected) => expected,
            Err(why) => {
                tracing::error!(gateway = chosen.name, why, "no ledger");
                continue;
            }
        };
        let seats = found.values().filter_map(|pod| {
            let endpoint = &pod.endpoint;
            let address: SocketAddr = endpoint.address.parse().ok()?;
            let usual = || {
                let its = pods.iter().find(|p| p.metadata.object().to_string() == endpoint.name)?;
                Some(format!("http://{}/status", SocketAddr::new(address.ip(), its.port("status")?)))
            };
            let started = pod.started.map(Millis::seconds);
            Some(Seat {
                pod: ObjectName::parse(&endpoint.name)?,
                address,
                proxy_protocol: endpoint.proxy_protocol,
                status: endpoint.status.clone().or_else(usual).and_then(|url| url.parse().ok()),
                is_old: started.is_some_and(|started| now.since(started) > EMPTY_AFTER),
            })
        });
        if world.is_unread("pods") {
            // Not one of them is missing: they may not be seen.
            told.retain(|finding| finding.code != NO_PODS.code);
        }
        let ready = found.iter().map(|(name, pod)| (name.clone(), pod.ready)).collect();
        scenes.push(Scene { seats: seats.collect(), ready, chosen, expected, told });
    }
    Pass { world, unread, scenes }
}

/// Makes the handshakes: all, or what is to be seen again and what is expected otherwise than before.
async fn look(
    client: &kube::Client,
    args: &Args,
    pass: &Pass,
    again: Option<(&Pass, &BTreeSet<(String, String)>)>,
    kept: &Kept,
    talk: &Talk,
) {
    let manner = Manner { direct: args.direct, timeout: args.timeout.as_duration(), per_second: args.rate };
    let mut work: Vec<(&Scene, &Seat, Hosts)> = Vec::new();
    for scene in &pass.scenes {
        let expectations = &scene.expected.expectations;
        let changed = again.map(|(before, _)| changed(before, scene)).unwrap_or_default();
        for seat in &scene.seats {
            let sights = kept.sights.get(&scene.chosen.name).map(RefCell::borrow);
            let wanted = |host: &&Arc<str>| {
                let Some((_, wrong)) = again else { return true };
                let known = |sights: &Sights| sights.contains_key(&(seat.pod.to_string(), Arc::clone(host)));
                wrong.contains(&(scene.chosen.name.clone(), host.to_string()))
                    || !sights.as_deref().is_some_and(known)
                    || changed.contains(*host)
            };
            let hosts: Hosts = expectations
                .hosts
                .iter()
                .filter(wanted)
                .map(|host| (Arc::clone(host), expectations.offers(host)))
                .collect();
            work.push((scene, seat, hosts));
        }
    }
    let all: usize = work.iter().flat_map(|(.., hosts)| hosts).map(|(_, offers)| offers.len()).sum();
    let made = Cell::new(0usize);
    let done = |n: usize| {
        made.set(made.get().saturating_add(n));
        kept.handshakes.set(kept.handshakes.get().saturating_add(n));
        talk.tell(&format!("looking: {} of {all} handshakes", made.get()));
    };
    let looks = work.iter().filter_map(|(scene, seat, hosts)| {
        let to = kept.sights.get(&scene.chosen.name)?;
        Some(look::at(client, seat, hosts, manner, to, &done))
    });
    futures_util::future::join_all(looks).await;
}

/// Hosts of which something else is expected than before.
fn changed(before: &Pass, scene: &Scene) -> BTreeSet<Arc<str>> {
    let now = &scene.expected.expectations;
    let old = before.scenes.iter().find(|old| old.chosen.name == scene.chosen.name);
    let changed = old.map(|old| now.differing(&old.expected.expectations));
    changed.unwrap_or_else(|| Arc::clone(&now.hosts)).iter().cloned().collect()
}

fn reported(args: &Args, pass: &Pass, kept: &Kept) -> Report {
    let now = clock::now().seconds();
    let gateways: Vec<Gateway> = pass.scenes.iter().map(|scene| shown(pass, scene, kept, now)).collect();
    let costs = pass.unread.iter().any(|unread| unread.costs.is_some());
    let rest = if costs || gateways.is_empty() { Verdict::Unknown } else { Verdict::Match };
    let verdict = gateways.iter().map(judge::comes_to).fold(rest, Verdict::max);
    let expected: Vec<&Expected> = pass.scenes.iter().map(|scene| &scene.expected).collect();
    Report {
        verdict,
        exit_code: verdict.exit().code(),
        at: now,
        read: pass.world.read.iter().map(|(kind, n)| ((*kind).to_owned(), *n)).collect(),
        unread: pass.unread.clone(),
        way: if args.direct { "direct" } else { "port-forward" },
        per_second: args.rate,
        handshakes: kept.handshakes.get(),
        findings: gateways.is_empty().then(|| no_gateway(args, pass)).into_iter().collect(),
        gateways,
        unbound: judge::unbound(&pass.world, &expected),
    }
}

fn no_gateway(args: &Args, pass: &Pass) -> Finding {
    let place = args.namespace.as_ref().map_or("the cluster".to_owned(), |n| format!("namespace {n}"));
    let why = match pass.world.unread.iter().find(|unread| unread.kind == "pods") {
        Some(unread) => format!("its pods could not be read: {}", unread.why),
        None => format!("none of {} is one that is known", count(pass.world.pods.len(), "pod", "pods")),
    };
    NO_GATEWAY.on(place, why)
}

fn shown(pass: &Pass, scene: &Scene, kept: &Kept, now: UnixTime) -> Gateway {
    let empty = Sights::default();
    let sights = kept.sights.get(&scene.chosen.name).map(RefCell::borrow);
    let sights = sights.as_deref().unwrap_or(&empty);
    let pods = scene.seats.iter().map(|seat| {
        let name = seat.pod.to_string();
        Pod {
            port: seat.address.port(),
            ready: scene.ready.get(&name).copied().unwrap_or_default(),
            empty: kept.empty.get(&name).copied(),
            why: judge::silence(sights, &name),
            name,
        }
    });
    judge::gateway(
        &pass.world,
        &scene.chosen,
        &scene.expected,
        pods.collect(),
        scene.told.clone(),
        sights,
        now,
    )
}
