//! A thousand private keys go through a controller with trace logs, in a cluster and as files; then they are looked for
//! wherever something of them could be: in the memory of the process (all that a core dump holds), its logs, metrics,
//! state, ledgers, history, ConfigMaps and Events, and in a support archive.
mod needles;

use crate::api;
use crate::scene::{Ground, ingress};
use crate::stand_in::StandIn;
use anyhow::{Context as _, Result, bail, ensure};
use base64::Engine as _;
use certdrift_harness::certs::{Leaf, wish};
use certdrift_harness::controller::Controller;
use needles::{Found, Needles};
use serde_json::{Value, json};
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(240);

/// Plays it; gives the figure.
///
/// # Errors
/// A key was found anywhere but in memory, or the search finds nothing where there is something.
pub(crate) fn run(ground: &'static Ground, keys: usize) -> Result<String> {
    let began = Instant::now();
    let mut needles = Needles::new();
    let rsa = keys / 50;
    let leaves = (0..keys).map(|n| made(ground, n, n < rsa)).collect::<Result<Vec<Leaf>>>()?;
    for (n, leaf) in leaves.iter().enumerate() {
        add(&mut needles, leaf, n < rsa)?;
    }
    control(&needles, &leaves)?;
    let in_cluster = cluster(ground, &leaves, &needles)?;
    let with_files = files(&leaves, &needles)?;
    let mut wrong = Vec::new();
    let mut figure = Vec::new();
    for (where_, of) in [("in a cluster", &in_cluster), ("with files", &with_files)] {
        for (place, bytes, found) in of {
            eprintln!("  {where_}, {place}: {bytes} bytes, {} keys {:?}", found.keys.len(), found.forms);
            if !found.keys.is_empty() && *place != MEMORY {
                wrong.push(format!("{where_}, in {place}: {} keys, {:?}", found.keys.len(), found.forms));
            }
        }
        let memory = of.iter().find(|(place, ..)| *place == MEMORY).map_or(0, |(.., found)| found.keys.len());
        let bytes: usize = of.iter().map(|(_, bytes, _)| bytes).sum();
        figure.push(format!(
            "{where_}: {memory} in the process's memory and 0 elsewhere, {} MiB searched",
            bytes >> 20
        ));
    }
    eprintln!("keys: {:?}", began.elapsed());
    if !wrong.is_empty() {
        bail!("private keys were found: {}", wrong.join("; "));
    }
    Ok(format!("{keys} keys ({rsa} of them RSA), each found where it was planted; {}", figure.join("; ")))
}

const MEMORY: &str = "memory";

type Searched = Vec<(&'static str, usize, Found)>;

fn host(n: usize) -> String {
    format!("h{n}.keys.example")
}

fn made(ground: &Ground, n: usize, rsa: bool) -> Result<Leaf> {
    let host = host(n);
    if !rsa {
        return ground.ca.issue(&wish(&[&host]));
    }
    // The harness shares its few RSA keys; each of these is one of its own.
    let mut openssl = Command::new("openssl");
    openssl.args(["genpkey", "-quiet", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"]);
    let key = format!("{}\n", xtask::workspace::output(&mut openssl)?);
    ground.ca.issue_for(&wish(&[&host]), &key)
}

fn der(pem: &str) -> Result<Vec<u8>> {
    let body: String = pem.lines().filter(|line| !line.starts_with("-----")).collect();
    base64::engine::general_purpose::STANDARD.decode(body).context("PEM")
}

fn add(needles: &mut Needles, leaf: &Leaf, rsa: bool) -> Result<()> {
    let der = der(&leaf.key_pem)?;
    if rsa {
        // Behind the modulus and the exponent, which are public: pieces of the private exponent, of both primes, and of
        // what is computed from them.
        let pieces: Vec<&[u8]> =
            [400, 600, 740, 860, 1_000].iter().filter_map(|at| der.get(*at..*at + 48)).collect();
        needles.add(&pieces, &leaf.key_pem);
        return Ok(());
    }
    // OCTET STRING of 32 bytes, behind the version of ECPrivateKey.
    let at = der.windows(5).position(|bytes| bytes == [2, 1, 1, 4, 32]).context("an EC key")? + 5;
    needles.add(&[der.get(at..at + 32).context("its scalar")?], &leaf.key_pem);
    Ok(())
}

/// The search finds what is there: each key, in each form, among other bytes.
fn control(needles: &Needles, leaves: &[Leaf]) -> Result<()> {
    let encoded = |bytes: &[u8]| base64::engine::general_purpose::STANDARD.encode(bytes).into_bytes();
    let pem: Vec<u8> = leaves.iter().flat_map(|leaf| leaf.key_pem.bytes()).collect();
    let der = leaves.iter().map(|leaf| der(&leaf.key_pem)).collect::<Result<Vec<_>>>()?.concat();
    let as_api: Vec<u8> = leaves.iter().flat_map(|leaf| encoded(leaf.key_pem.as_bytes())).collect();
    for (form, hay) in
        [("PEM", &pem), ("DER", &der), ("base64 of DER", &encoded(&der)), ("base64 of PEM", &as_api)]
    {
        let found = needles.find(hay).keys.len();
        if found != needles.keys() {
            bail!("of {} keys the search finds {found} as {form}", needles.keys());
        }
    }
    let certificates: Vec<u8> = leaves.iter().flat_map(|leaf| leaf.chain_pem().into_bytes()).collect();
    let false_alarms =
        needles.find(&certificates).keys.len() + needles.find(&encoded(&certificates)).keys.len();
    if false_alarms > 0 {
        bail!("{false_alarms} keys are found in certificates");
    }
    Ok(())
}

/// It starts again, and tells everything that it does.
fn traced(controller: &mut Controller) -> Result<()> {
    controller.kill();
    let file = controller.configuration();
    let text = std::fs::read_to_string(&file)?;
    std::fs::write(&file, text.replace("level: debug", "level: trace"))?;
    controller.run()
}

/// Waits until every host is served as it should be; gives how many there are.
fn until_served(controller: &Controller, wanted: usize) -> Result<()> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let state: Value = serde_json::from_str(&controller.get("/debug/state")?.body)?;
        let hosts = state["gateways"][0]["hosts"].as_array().cloned().unwrap_or_default();
        let right = hosts.iter().filter(|host| host["seen"][0]["verdict"] == "match").count();
        if right == wanted && hosts.len() == wanted {
            return Ok(());
        }
        if Instant::now() > deadline {
            let off = hosts.iter().find(|host| host["seen"][0]["verdict"] != "match");
            bail!("{right} of {wanted} hosts served, {} listed: {off:#?}", hosts.len());
        }
        std::thread::sleep(Duration::from_millis(200));
    }
}

fn endpoint(gateway: &StandIn) -> String {
    format!(
        "  endpoints: [{{name: a, address: \"{}\", workers: 1}}]
  publish: {{grace: 1s}}
  observe: {{per_second: 500}}
  policy: {{mode: heal, grace: 1s, settle: 1s, remedies: [{{name: mend, timeout: 3s, webhook: {{url: \"http://{}/mend\"}}}}]}}
",
        gateway.address, gateway.hook
    )
}

fn cluster(ground: &'static Ground, leaves: &[Leaf], needles: &Needles) -> Result<Searched> {
    let (cluster, api) = ground.api();
    let n = format!("keys-{}", std::process::id());
    api.namespace(&n)?;
    let gateway = StandIn::start();
    let encoded = |text: &str| base64::engine::general_purpose::STANDARD.encode(text);
    let store = |at: usize, leaf: &Leaf| {
        let object = json!({"apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/tls",
            "metadata": {"name": format!("s{at}"), "namespace": n},
            "data": {"tls.crt": encoded(&leaf.chain_pem()), "tls.key": encoded(&leaf.key_pem)}});
        api.apply(&api::secret(&n, &format!("s{at}")), &object)
    };
    // A tenth of them comes while it runs, as renewals.
    let (late, at_start) = leaves.split_at(leaves.len() / 10);
    for (at, leaf) in leaves.iter().enumerate() {
        gateway.loads(&host(at), leaf);
        let name = format!("i{at}");
        api.apply(&api::ingress(&n, &name), &ingress(&n, &name, &host(at), &format!("s{at}")))?;
        if at >= late.len() {
            store(at, leaf)?;
        } else {
            let first = ground.ca.issue(&wish(&[&host(at)]))?;
            gateway.loads(&host(at), &first);
            store(at, &first)?;
        }
    }
    let sections = format!(
        "kubernetes: {{kubeconfig: {}, namespace: {n}, reach: namespaces, namespaces: [{n}]}}",
        cluster.kubeconfig().display()
    );
    let gateways = format!(
        "- name: kong\n  kubernetes: {{namespace: {n}, bindings: {{kong_ingress: {{namespaces: [{n}]}}}}}}\n{}",
        endpoint(&gateway)
    );
    let mut controller = Controller::start_with(&sections, &gateways)?;
    traced(&mut controller)?;
    until_served(&controller, late.len() + at_start.len())?;
    for (at, leaf) in late.iter().enumerate() {
        gateway.store(&host(at), leaf);
        store(at, leaf)?;
    }
    // A drift, a remedy, and its proof: what that writes is searched, too.
    let deadline = Instant::now() + PATIENCE;
    while gateway.acts().is_empty() {
        if Instant::now() > deadline {
            bail!("no remedy for the renewals: nothing that it writes can be searched");
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    until_served(&controller, leaves.len())?;
    let mut searched = of_process(&controller, needles)?;
    let mut look =
        |what: &'static str, text: String| searched.push((what, text.len(), needles.find(text.as_bytes())));
    look(
        "the ledger's and the history's ConfigMaps",
        api.get(&format!("/api/v1/namespaces/{n}/configmaps"))?.to_string(),
    );
    look("Events", api.get(&format!("/apis/events.k8s.io/v1/namespaces/{n}/events"))?.to_string());
    look("the Lease", api.get(&api::lease(&n))?.to_string());
    look("/ledger", controller.get("/ledger/kong")?.body);
    let archive = controller.folder().join("bundle.tar.gz");
    let kubeconfig = cluster.kubeconfig();
    let said = Command::new(xtask::build::certdrift()?)
        .args(["bundle", "--yes", "--file"])
        .arg(&archive)
        .env("CERTDRIFT_URL", format!("http://{}", controller.address()))
        .env("CERTDRIFT_CONFIG", controller.configuration())
        .env("KUBECONFIG", kubeconfig)
        .output()?;
    let bytes = std::fs::read(&archive)
        .with_context(|| format!("no support archive: {}", String::from_utf8_lossy(&said.stderr).trim()))?;
    let whole = unpacked(&archive)?;
    ensure!(!whole.is_empty(), "nothing is in the support archive");
    searched.push(("the support archive", bytes.len() + whole.len(), needles.find(&whole)));
    let _ = api.delete(&format!("/api/v1/namespaces/{n}"));
    Ok(searched)
}

fn unpacked(archive: &Path) -> Result<Vec<u8>> {
    let out = Command::new("tar").arg("-xzOf").arg(archive).output()?;
    Ok(out.stdout)
}

fn files(leaves: &[Leaf], needles: &Needles) -> Result<Searched> {
    let (folder, gateway) = (tempfile::tempdir()?, StandIn::start());
    for (at, leaf) in leaves.iter().enumerate() {
        gateway.loads(&host(at), leaf);
        leaf.write(folder.path(), &format!("h{at}"))?;
    }
    let gateways = format!(
        "- name: kong\n  sources: [{{directory: {}}}]\n{}",
        folder.path().display(),
        endpoint(&gateway)
    );
    let mut controller = Controller::start(&gateways)?;
    traced(&mut controller)?;
    until_served(&controller, leaves.len())?;
    of_process(&controller, needles)
}

/// Its memory, and all that it has written.
fn of_process(controller: &Controller, needles: &Needles) -> Result<Searched> {
    let pid = controller.pid().context("it runs")?;
    // What it was doing is over: nothing of it is held any more for good reason.
    std::thread::sleep(Duration::from_secs(3));
    let (bytes, found) = memory(pid, needles)?;
    let mut searched = vec![(MEMORY, bytes, found)];
    let mut look = |what: &'static str, bytes: &[u8]| searched.push((what, bytes.len(), needles.find(bytes)));
    let log = controller.log();
    let level = controller.get("/log-level")?.body;
    if !level.contains("trace") {
        bail!("it logs from level {level} on");
    }
    look("logs of level trace", log.as_bytes());
    look("/metrics", controller.get("/metrics")?.body.as_bytes());
    look("/debug/state", controller.get("/debug/state")?.body.as_bytes());
    let mut state = Vec::new();
    every_file(&controller.state(), &mut state)?;
    look("its directory of state, history and ledger in it", &state);
    Ok(searched)
}

fn every_file(folder: &Path, into: &mut Vec<u8>) -> Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            every_file(&path, into)?;
        } else {
            into.extend(std::fs::read(&path)?);
        }
    }
    Ok(())
}

/// All memory of a process that can be read and is its own: what a core dump would hold, and what it maps of files.
fn memory(pid: u32, needles: &Needles) -> Result<(usize, Found)> {
    let (maps, mut mem) = (
        std::fs::read_to_string(format!("/proc/{pid}/maps"))?,
        std::fs::File::open(format!("/proc/{pid}/mem"))?,
    );
    let (mut bytes, mut found) = (0, Found::default());
    for line in maps.lines() {
        let mut words = line.split_whitespace();
        let (Some(range), Some(rights)) = (words.next(), words.next()) else { continue };
        let Some((from, to)) = range.split_once('-') else { continue };
        let (from, to) = (u64::from_str_radix(from, 16)?, u64::from_str_radix(to, 16)?);
        if !rights.starts_with("rw") || line.contains("[vvar") {
            continue;
        }
        let mut hay = vec![0; usize::try_from(to - from)?];
        let at = mem.seek(SeekFrom::Start(from)).and_then(|_| mem.read_exact(&mut hay));
        if at.is_ok() {
            bytes += hay.len();
            found.add(needles.find(&hay));
        }
    }
    Ok((bytes, found))
}
