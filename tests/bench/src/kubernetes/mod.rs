//! A cluster with thousands of TLS Secrets: certdrift beside the floor and a plain reflector of Secrets.
mod objects;
mod programs;

use crate::page::{Of, Row, Section, Target};
use crate::process::{cpu, until};
use crate::running::PATIENCE;
use crate::sample::Samples;
use anyhow::{Context as _, Result};
use certdrift::cluster::ObjectName;
use certdrift::cluster::watch::drive::Watch;
use certdrift::cluster::watch::machine::Pace;
use certdrift::cluster::watch::request::Resource;
use certdrift::publish::config_map::map::{self, There};
use certdrift_cluster::{Kind, Own};
use certdrift_harness::certs::Ca;
use objects::{NAMESPACE, name};
use programs::{Program, Runs};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::runtime::Runtime;

const FEW: usize = 1_000;
const MANY: usize = 10_000;
const OTHERS: usize = 1_000;
const RUNS: usize = 3;
/// Single renewals, one after the other.
const CHANGES: usize = 40;
const AT_ONCE: usize = 500;
const IDLE: Duration = Duration::from_secs(60);
/// Longer than the controller gathers changes, so that each finds it at rest.
const REST: Duration = Duration::from_millis(300);
const MIB: f64 = 1_048_576.0;

/// What following so many Secrets costs a program.
#[derive(Default)]
struct Costs {
    time: Samples,
    cpu: Samples,
    peak: Samples,
    steady: Samples,
    received: Samples,
    requests: Samples,
    server: Samples,
    reaction: Samples,
}

/// The cluster, and the bench's own way to it.
struct Bench {
    cluster: Own,
    runtime: Runtime,
    client: kube::Client,
    ca: Ca,
    /// The ConfigMaps as they are.
    published: Arc<Watch<There>>,
}

impl Bench {
    fn begin(cluster: Own) -> Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let client = runtime.block_on(async {
            let read = kube::config::Kubeconfig::read_from(cluster.kubeconfig())?;
            let mut config = kube::Config::from_custom_kubeconfig(read, &Default::default()).await?;
            config.headers.push((http::header::USER_AGENT, "certdrift-bench".parse()?));
            anyhow::Ok(certdrift::cluster::connect::from(config)?)
        })?;
        runtime.block_on(objects::begin(&client, OTHERS))?;
        let resource =
            Resource::new("", "v1", "configmaps").within(NAMESPACE).labelled("certdrift.dev/gateway=kong");
        let published = Watch::new(resource);
        runtime.spawn(Arc::clone(&published).run(client.clone(), map::reader(), 0, Pace::default()));
        Ok(Self { cluster, runtime, client, ca: Ca::new("certdrift bench")?, published })
    }

    fn server(&self) -> Result<Duration> {
        cpu(self.cluster.daemon("kube-apiserver").context("no kube-apiserver")?)
    }

    /// How many requests were noted since `mark` that are not the bench's own nor the cluster's.
    fn requests(&self, mark: certdrift_cluster::audit::Mark) -> Result<usize> {
        let theirs = |agent: &str| {
            !["certdrift-bench", "kube-controller-manager", "kube-apiserver", "kubectl"]
                .iter()
                .any(|own| agent.starts_with(own))
        };
        let noted = self.cluster.audit_since(mark)?;
        // A watch is noted twice: when it begins, and when it ends.
        Ok(noted
            .iter()
            .filter(|r| theirs(&r.user_agent) && (r.verb != "watch" || r.stage == "ResponseStarted"))
            .count())
    }

    /// From nothing to all Secrets, and at rest after that.
    fn follow(&self, program: Program, costs: &mut Costs) -> Result<Runs> {
        self.runtime.block_on(objects::forget(&self.client))?;
        let (mark, server) = (self.cluster.audit_mark()?, self.server()?);
        let mut runs = Runs::start(program, &self.cluster)?;
        let time = runs.complete().with_context(|| runs.log())?;
        costs.time.push(time.as_secs_f64());
        costs.cpu.push(runs.cpu()?.as_secs_f64());
        until("it to be at rest", 2 * PATIENCE, || {
            let (before, began) = (runs.cpu()?, Instant::now());
            std::thread::park_timeout(Duration::from_millis(1_000));
            let used = runs.cpu()?.saturating_sub(before);
            Ok((used.as_secs_f64() < 0.02 * began.elapsed().as_secs_f64()).then_some(()))
        })?;
        costs.received.push(runs.received(self.cluster.api_address())? / MIB);
        costs.requests.push(self.requests(mark)? as f64);
        costs.server.push(self.server()?.saturating_sub(server).as_secs_f64());
        let memory = runs.memory()?;
        costs.peak.push(memory.peak as f64 / MIB);
        costs.steady.push(memory.now as f64 / MIB);
        Ok(runs)
    }

    fn version(&self) -> Option<Box<str>> {
        let index = ObjectName::new(NAMESPACE, "certdrift-ledger-kong");
        self.published.known().store.get(&index).map(|there| there.version.clone())
    }

    /// Renews one after the other among so many; milliseconds from sending a Secret until its ledger's ConfigMap has changed,
    /// or a peer has told that it saw it.
    fn reactions(&self, among: usize, runs: &Runs) -> Result<Samples> {
        self.runtime.block_on(async {
            let mut changes = self.published.changes();
            let mut all = Samples::default();
            for change in 0..CHANGES {
                let n = change * 37 % among;
                let renewal = objects::renewal(&self.ca, n)?;
                tokio::time::sleep(REST).await;
                let (before, began) = (self.version(), Instant::now());
                renewal.send(&self.client).await?;
                let seen = async {
                    match runs {
                        Runs::Ours(_) => {
                            while self.version() == before {
                                changes.changed().await?;
                            }
                        }
                        Runs::Other { process, .. } => {
                            let told = format!("changed {} ", name(n));
                            while !format!("{} ", process.log().replace('\n', " ")).contains(&told) {
                                tokio::time::sleep(Duration::from_millis(1)).await;
                            }
                        }
                    }
                    anyhow::Ok(())
                };
                tokio::time::timeout(PATIENCE, seen).await.context("the change is not seen")??;
                all.push(began.elapsed().as_secs_f64() * 1000.0);
            }
            Ok(all)
        })
    }

    /// Many renewals together: seconds until all of them are published, writes, CPU seconds.
    fn together(&self, runs: &Runs, costs: &mut Special) -> Result<()> {
        let renewals: Vec<objects::Renewal> =
            (0..AT_ONCE).map(|n| objects::renewal(&self.ca, n * 7)).collect::<Result<_>>()?;
        let leaves: Vec<String> = renewals.iter().map(|r| r.leaf.to_string()).collect();
        let (mark, used, began) = (self.cluster.audit_mark()?, runs.cpu()?, Instant::now());
        self.runtime.block_on(async {
            objects::together(&self.client, renewals).await?;
            costs.together_sent.push(began.elapsed().as_secs_f64());
            loop {
                let published = objects::published(&self.client).await?;
                if leaves.iter().all(|leaf| published.contains(leaf)) {
                    return Ok(());
                }
                anyhow::ensure!(began.elapsed() < PATIENCE, "not all are published");
                // All of the ledger is read each time: more often, the asking would be much of the work.
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        })?;
        costs.together_time.push(began.elapsed().as_secs_f64());
        std::thread::park_timeout(REST);
        costs.together_cpu.push(runs.cpu()?.saturating_sub(used).as_secs_f64());
        let noted = self.cluster.audit_since(mark)?;
        let writes = noted.iter().filter(|r| r.verb == "patch" && r.object.resource == "configmaps").count();
        costs.together_writes.push(writes as f64);
        Ok(())
    }

    /// What only certdrift is asked, when it follows so many.
    fn special(&self, among: usize, runs: &Runs, costs: &mut Special) -> Result<()> {
        let Runs::Ours(running) = runs else { return Ok(()) };
        for _ in 0..5 {
            let began = Instant::now();
            let page = running.get("/metrics")?;
            costs.page_time.push(began.elapsed().as_secs_f64() * 1000.0);
            costs.page_bytes.push(page.body.len() as f64);
        }
        let used = runs.cpu()?;
        let reactions = self.reactions(among, runs)?;
        costs.change_cpu.push(runs.cpu()?.saturating_sub(used).as_secs_f64() * 1000.0 / CHANGES as f64);
        costs.p95.push(reactions.quantile(0.95));
        costs.reaction = reactions;
        if among == MANY {
            self.together(runs, costs)?;
            std::thread::park_timeout(REST * 10);
            let mark = self.cluster.audit_mark()?;
            std::thread::park_timeout(IDLE);
            costs.idle_requests.push(self.requests(mark)? as f64 * 60.0 / IDLE.as_secs_f64());
        }
        Ok(())
    }
}

/// What only certdrift is asked.
#[derive(Default)]
struct Special {
    reaction: Samples,
    p95: Samples,
    change_cpu: Samples,
    page_bytes: Samples,
    page_time: Samples,
    idle_requests: Samples,
    together_sent: Samples,
    together_time: Samples,
    together_writes: Samples,
    together_cpu: Samples,
}

const PROGRAMS: [Program; 3] = [Program::Ours, Program::Floor, Program::Reflector];

fn measured(cluster: Own) -> Result<Vec<Row>> {
    let bench = Bench::begin(cluster)?;
    let mut costs: [[Costs; 3]; 2] = Default::default();
    let mut special: [Special; 2] = Default::default();
    let mut there = 0;
    for (size, count) in [FEW, MANY].into_iter().enumerate() {
        bench.runtime.block_on(objects::fill(&bench.client, &bench.ca, there..count))?;
        there = count;
        for run in crate::sample::interleaved(PROGRAMS.len(), RUNS).into_iter().enumerate() {
            let (nth, which) = run;
            let costs = &mut costs[size][which];
            let runs = bench.follow(PROGRAMS[which], costs)?;
            // Once each, in the first round.
            if nth < PROGRAMS.len() {
                match PROGRAMS[which] {
                    Program::Ours => bench.special(count, &runs, &mut special[size])?,
                    Program::Floor | Program::Reflector => costs.reaction = bench.reactions(count, &runs)?,
                }
            }
        }
    }
    let [few, many] = &costs;
    let [few_special, many_special] = &special;
    let mut rows = Vec::new();
    for (which, of, name) in [(0, Of::Ours, "certdrift"), (1, Of::Floor, "floor"), (2, Of::Peer, "reflector")]
    {
        let (few, many) = (&few[which], &many[which]);
        let mut row = |what: &str, unit, samples: &Samples, target: Option<f64>| {
            let row = Row::new(of, format!("{name}: {what}"), unit, samples.clone());
            rows.push(match target.filter(|_| which == 0) {
                Some(most) => row.target(Target::AtMost(most)),
                None => row,
            });
        };
        row("peak memory", "MiB", &many.peak, Some(20.0));
        row("steady memory", "MiB", &many.steady, Some(16.0));
        row("steady memory, 1,000 Secrets", "MiB", &few.steady, None);
        let further = (many.steady.median() - few.steady.median()) * 1024.0 / (MANY - FEW) as f64;
        row("memory for each further Secret", "KiB", &Samples::exact(further), Some(1.0));
        row("CPU until all are known", "s", &many.cpu, Some(0.8));
        row("time until all are known", "s", &many.time, Some(2.5));
        row("CPU of the API server until it is at rest", "s", &many.server, None);
        row("received", "MiB", &many.received, None);
        row("requests until it is at rest", "", &many.requests, None);
        if which == 0 {
            row("Secret sent → ConfigMap changed", "ms", &many_special.reaction, Some(25.0));
            row("the same, 95th percentile", "ms", &many_special.p95, Some(60.0));
            row("Secret sent → ConfigMap changed, 1,000 Secrets", "ms", &few_special.reaction, Some(25.0));
            row("the same, 95th percentile, 1,000 Secrets", "ms", &few_special.p95, Some(60.0));
            row("CPU a renewal", "ms", &many_special.change_cpu, None);
            row("CPU a renewal, 1,000 Secrets", "ms", &few_special.change_cpu, None);
            row("500 renewals together: sent after", "s", &many_special.together_sent, None);
            row("500 renewals together: all published after", "s", &many_special.together_time, None);
            row("500 renewals together: ConfigMaps written", "", &many_special.together_writes, None);
            row("500 renewals together: CPU", "s", &many_special.together_cpu, None);
            row("requests a minute, nothing changes", "", &many_special.idle_requests, None);
            row("`/metrics`", "bytes", &many_special.page_bytes, Some(50_000.0));
            row("`/metrics`, time", "ms", &many_special.page_time, Some(5.0));
        } else {
            row("Secret sent → seen", "ms", &many.reaction, None);
        }
    }
    Ok(rows)
}

pub(crate) fn section() -> Result<Section> {
    let cluster = Own::start("bench", Kind::ApiOnly)?;
    // The programs and the bench's own requests are in the cluster's network.
    let run = std::thread::spawn(move || {
        cluster.enter()?;
        measured(cluster)
    });
    let rows = run.join().map_err(|_| anyhow::anyhow!("the measuring has panicked"))??;
    Ok(Section {
        name: "kubernetes",
        title: "In a cluster",
        how: format!(
            "etcd, kube-apiserver and kube-controller-manager on this machine; {MANY} TLS Secrets of 10 KB, bound by Ingresses of ten hosts, among \
             {OTHERS} others. `certdrift run` as it ships, one gateway, which publishes to ConfigMaps; the floor is a kube-rs program that streams \
             the Secrets, hashes and forgets them (`tests/bench/kube`); the peer a plain reflector of TLS Secrets. One after the other, interleaved; \
             CPU and memory as the kernel accounts them; a renewal is one Secret changed by a merge patch, {CHANGES} of them, {} ms apart.",
            REST.as_millis()
        ),
        rows,
        notes: vec![
            "Known elsewhere, on the same number of Secrets (design): Reloader 199 MiB, 4.7 s of CPU, reacts after 16 ms; \
             x509-certificate-exporter 244 MiB, 7 s, `/metrics` of 34.9 MB.".to_owned(),
            "API server, etcd and programs share this machine's cores. The time from a Secret to its ConfigMap holds both writes.".to_owned(),
        ],
    })
}
