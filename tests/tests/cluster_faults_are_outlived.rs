//! An API server that is slow, busy, forgetful or silent. Nothing is lost, nobody asks without a pause, and what has
//! changed meanwhile is published within 30 s of the fault's end.
#[expect(dead_code, reason = "shared by several tests")]
mod cluster;

use certdrift_cluster::{Cluster, Namespace};
use certdrift_contract::Fingerprint;
use certdrift_tests::controller::{Controller, PATIENCE};
use certdrift_tests::wait;
use cluster::proxy::{Asked, Fault, Proxy};
use cluster::{ingress, inside, renewed, sections_of, start, until_published};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// Within so long of its end, nothing of a fault is left.
const CONVERGED: Duration = Duration::from_secs(30);
/// How long faults last here.
const LASTS: Duration = Duration::from_secs(20);

struct Scene {
    cluster: Cluster,
    namespace: Namespace,
    proxy: Proxy,
    controller: Controller,
    _folder: tempfile::TempDir,
}

fn pass(time: Duration) {
    let until = Instant::now() + time;
    wait::until("time to pass", time + PATIENCE, || if Instant::now() >= until { Ok(()) } else { Err(()) });
}

impl Scene {
    /// A replica that leads and has published, its way to the API server through a proxy.
    fn new(cluster: Cluster, name: &str) -> Self {
        let (namespace, folder) = (cluster.namespace(name).unwrap(), tempfile::tempdir().unwrap());
        let n = namespace.name();
        let leaf = renewed(&cluster, n);
        cluster.apply(&ingress(n, "x.example", "s")).unwrap();
        let proxy = Proxy::start(&cluster);
        let controller = start(n, &sections_of(&proxy.kubeconfig(folder.path(), name), n, ""));
        until_published(&cluster, n, leaf, PATIENCE, &controller);
        controller.until_metric("certdrift_leader", 1.0);
        Self { cluster, namespace, proxy, controller, _folder: folder }
    }

    fn renew(&self) -> Fingerprint {
        renewed(&self.cluster, self.namespace.name())
    }

    #[track_caller]
    fn until_published(&self, leaf: Fingerprint, within: Duration) {
        let began = Instant::now();
        until_published(&self.cluster, self.namespace.name(), leaf, within, &self.controller);
        eprintln!("published after {:?}", began.elapsed());
    }

    /// Nothing was asked for more often than this since; paths are counted, without their queries.
    #[track_caller]
    fn asked_at_most(&self, each: usize, began: Instant) {
        let mut counts: BTreeMap<String, usize> = BTreeMap::new();
        for asked in self.proxy.asked().into_iter().filter(|asked| asked.at >= began) {
            let path = asked.uri.split('?').next().unwrap_or_default();
            *counts.entry(format!("{} {path}", asked.method)).or_default() += 1;
        }
        eprintln!("asked in {:?}: {counts:#?}", began.elapsed());
        assert!(!counts.is_empty() && counts.values().all(|count| *count <= each), "{counts:#?}");
    }

    fn has_stepped_down(&self) -> bool {
        self.controller.log().contains(r#""leads":false"#)
    }
}

#[test]
fn slow_answers_delay_a_renewal_and_cost_nobody_the_lead() {
    inside(|cluster| {
        let scene = Scene::new(cluster, "slow");
        let slow = scene.proxy.fault(Fault::Slow(Duration::from_secs(2)), |_| true);
        // Every watch is begun anew, slowly.
        scene.proxy.end_answers();
        let (began, leaf) = (Instant::now(), scene.renew());
        scene.until_published(leaf, CONVERGED);
        pass(LASTS.saturating_sub(began.elapsed()));
        assert!(!scene.has_stepped_down(), "{}", scene.controller.log());
        scene.asked_at_most(14, began);
        slow.ends();
        let leaf = scene.renew();
        scene.until_published(leaf, CONVERGED);
    });
}

#[test]
fn watches_whose_version_is_too_old_begin_anew_with_pauses_that_grow() {
    inside(|cluster| {
        let scene = Scene::new(cluster, "gone");
        let gone = scene.proxy.fault(Fault::Gone, Asked::is_watch);
        scene.proxy.end_answers();
        let (began, leaf) = (Instant::now(), scene.renew());
        gone.until_met(PATIENCE);
        pass(LASTS);
        scene.asked_at_most(14, began);
        gone.ends();
        scene.until_published(leaf, CONVERGED);
        // To those only who go on from a version: what was lost meanwhile is in the list.
        let goes_on = |asked: &Asked| asked.is_watch() && asked.uri.contains("&resourceVersion=");
        let gone = scene.proxy.fault(Fault::Gone, goes_on);
        scene.proxy.end_answers();
        gone.until_met(PATIENCE);
        let leaf = scene.renew();
        scene.until_published(leaf, CONVERGED);
    });
}

#[test]
fn a_busy_server_is_asked_no_sooner_than_it_says() {
    inside(|cluster| {
        let scene = Scene::new(cluster, "busy");
        let busy = scene.proxy.fault(Fault::Status(429), |_| true);
        scene.proxy.end_answers();
        let (began, leaf) = (Instant::now(), scene.renew());
        busy.until_met(PATIENCE);
        pass(LASTS);
        // It says a second each time.
        scene.asked_at_most(23, began);
        for path in ["/livez", "/readyz"] {
            assert_eq!(scene.controller.get(path).unwrap().status, 200, "{}", scene.controller.log());
        }
        busy.ends();
        scene.until_published(leaf, CONVERGED);
    });
}

#[test]
fn a_server_too_busy_for_a_ledger_gets_it_when_it_is_not() {
    inside(|cluster| {
        let scene = Scene::new(cluster, "full");
        let busy =
            scene.proxy.fault(Fault::Status(429), |asked| asked.method == "PATCH" && !asked.is_lease());
        let (began, leaf) = (Instant::now(), scene.renew());
        busy.until_met(PATIENCE);
        pass(LASTS);
        scene.asked_at_most(23, began);
        busy.ends();
        scene.until_published(leaf, CONVERGED);
    });
}

#[test]
fn a_server_that_fails_is_asked_with_pauses_that_grow() {
    inside(|cluster| {
        let scene = Scene::new(cluster, "broken");
        let broken = scene.proxy.fault(Fault::Status(500), |_| true);
        scene.proxy.end_answers();
        let (began, leaf) = (Instant::now(), scene.renew());
        broken.until_met(PATIENCE);
        pass(LASTS);
        scene.asked_at_most(14, began);
        broken.ends();
        scene.until_published(leaf, CONVERGED);
    });
}

#[test]
fn a_server_that_takes_requests_and_answers_none_is_waited_for() {
    inside(|cluster| {
        let scene = Scene::new(cluster, "held");
        let held = scene.proxy.fault(Fault::HoldRequest, |_| true);
        scene.proxy.end_answers();
        let (began, leaf) = (Instant::now(), scene.renew());
        held.until_met(PATIENCE);
        pass(LASTS);
        scene.asked_at_most(8, began);
        for path in ["/livez", "/readyz"] {
            assert_eq!(scene.controller.get(path).unwrap().status, 200, "{}", scene.controller.log());
        }
        held.ends();
        scene.until_published(leaf, CONVERGED);
    });
}

/// Bookmarks come about every minute; after 100 s without a word a watch is begun anew.
const SILENT: Duration = Duration::from_secs(115);

#[test]
fn a_watch_that_falls_silent_on_a_connection_that_lives_is_begun_anew() {
    inside(|cluster| {
        let scene = Scene::new(cluster, "mute");
        // Whoever is in between lives on, and answers what the system asks at the level of TCP.
        scene.proxy.mute();
        let (began, leaf) = (Instant::now(), scene.renew());
        scene.until_published(leaf, SILENT);
        // The Lease every 2 s.
        scene.asked_at_most(70, began);
        assert!(!scene.has_stepped_down(), "{}", scene.controller.log());
    });
}

#[test]
fn a_list_whose_stream_stays_silent_is_asked_for_in_pages() {
    inside(|cluster| {
        let scene = Scene::new(cluster, "dumb");
        let streams = |asked: &Asked| asked.uri.contains("sendInitialEvents");
        let dumb = scene.proxy.fault(Fault::Silence, streams);
        let gone = scene.proxy.fault(Fault::Gone, move |asked| asked.is_watch() && !streams(asked));
        scene.proxy.end_answers();
        dumb.until_met(PATIENCE);
        gone.ends();
        let leaf = scene.renew();
        scene.until_published(leaf, CONVERGED);
    });
}
