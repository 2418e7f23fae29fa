//! The story, scene by scene. Each of its claims is looked at before it is told.
use crate::scene::{HOST, Scene, short};
use crate::show::Show;
use anyhow::{Context as _, Result, bail, ensure};
use certdrift_harness::certs::Leaf;
use serde_json::Value;
use std::collections::BTreeSet;

/// Tells it, and puts everything away.
pub(crate) fn tell(show: &Show, keep: bool) -> Result<()> {
    show.line("certdrift demo: a certificate is renewed, and the gateways do not notice");
    let (scene, old) = Scene::set(show)?;
    show.line(&format!("  nginx, two workers, with the tap     https://{}", scene.nginx_address));
    show.line(&format!("  Envoy with the filter                https://{}", scene.envoy.address()));
    show.line(&format!("  certdrift run (tells, does nothing)  {}", scene.controller_url()));
    show.line(&format!("  certificates, configuration, logs    {}", scene.folder().display()));
    let result = acts(show, &scene, &old);
    if result.is_ok() && keep {
        show.heading("It goes on running until Ctrl-C");
        show.line(&format!("  try: {} status --url {} -o wide", scene.certdrift(), scene.controller_url()));
        show.line(&format!(
            "       {}",
            scene.curl(scene.envoy.address(), "/certdrift/report?hosts=all", "")
        ));
        show.line(&format!("       curl -s {}", scene.nginx.tap_url()));
        show.line(&format!("       curl -s {}/metrics", scene.controller_url()));
        show.until_interrupted();
    }
    scene.put_away();
    result
}

fn acts(show: &Show, scene: &Scene, old: &Leaf) -> Result<()> {
    before(show, scene, old)?;
    let (new, moments) = renewal(show, scene, old)?;
    let workers = drift(show, scene, old, &new)?;
    only_tells(show, scene, &workers)?;
    healing(show, scene, &new, &workers)?;
    times(show, scene, moments)?;
    show.line(&format!("\nThe whole way, proven, in {:.0} s. Nothing of it is left behind.", show.seconds()));
    Ok(())
}

fn before(show: &Show, scene: &Scene, old: &Leaf) -> Result<()> {
    show.heading(&format!("1  Both gateways serve {HOST} as stored: {}", short(old.fingerprint)));
    show.until("both gateways to be proven", || proven(show, scene, old))?;
    status(show, scene)?;
    // A change is published at once, unless one was just published: a renewal seldom comes while the controller starts.
    show.until("the controller to have settled", || {
        let age = scene.ledger_file().metadata()?.modified()?.elapsed().unwrap_or_default();
        ensure!(age > std::time::Duration::from_secs(4), "published {age:?} ago");
        Ok(())
    })
}

/// Milliseconds since 1970.
#[derive(Clone, Copy, Debug)]
struct Moments {
    stored: i64,
    published: i64,
}

fn now() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

fn renewal(show: &Show, scene: &Scene, old: &Leaf) -> Result<(Leaf, Moments)> {
    let stored = now();
    let new = scene.renew()?;
    let ledger = scene.ledger_file();
    show.until("the ledger to list it", || {
        let text = std::fs::read_to_string(&ledger)?;
        ensure!(text.contains(&new.fingerprint.to_string()), "{text}");
        Ok(())
    })?;
    let moments = Moments { stored, published: now() };
    show.heading(&format!(
        "2  The certificate is renewed on disk: {} -> {}",
        short(old.fingerprint),
        short(new.fingerprint)
    ));
    let certificate = scene.folder().join("certs/shop.crt");
    show.run(&format!("openssl x509 -in {} -noout -fingerprint -sha256", certificate.display()), |_| true)?;
    show.line("  Files alone reload nothing. This is how sites go down, weeks later.");
    Ok((new, moments))
}

fn drift(show: &Show, scene: &Scene, old: &Leaf, new: &Leaf) -> Result<BTreeSet<u32>> {
    show.heading("3  Drift: in the response, in the health answer, in the tap, in status");
    let envoy = scene.envoy.address();
    let header = scene.curl(envoy, "/", "-o /dev/null -D -");
    show.until("the header", || match show.quietly(&header)?.output {
        head if head.contains("x-certdrift: drift") => Ok(()),
        head => {
            let report = scene.curl(envoy, "/certdrift/report?hosts=all", "");
            bail!("{head}\n{}\n{}", show.quietly(&report)?.output, scene.envoy.log())
        }
    })?;
    show.run(&header, |line| line.starts_with("x-certdrift"))?;
    let health = scene.curl(envoy, "/certdrift/healthz", "-w '%{http_code}\\n'");
    let answered = show.run(&health, |_| true)?;
    ensure!(answered.output.ends_with("503"), "healthz: {}", answered.output);
    show.line(
        "    (evidence is \"declared\": Envoy tells what it was configured with. nginx tells what it did:)",
    );

    // Enough connections that both workers took some.
    let address = scene.nginx_address;
    let seen = show.until("both workers in the tap", || {
        show.quietly(&scene.curl(address, "/", "-o /dev/null"))?;
        let seen = tap(show, scene)?;
        let workers: BTreeSet<u32> = seen.iter().map(|(pid, _)| *pid).collect();
        ensure!(workers.len() == 2, "{workers:?}");
        Ok(seen)
    })?;
    show.typed(&format!("curl -s {}", scene.nginx.tap_url()));
    for (pid, sha256) in &seen {
        ensure!(*sha256 == old.fingerprint.to_string(), "worker {pid} serves {sha256}");
        show.line(&format!("    worker {pid} served {}", sha256.get(..16).unwrap_or(sha256)));
    }
    show.until("both gateways to be told", || {
        for gateway in scene.state(show)? {
            ensure!(
                verdicts(&gateway).iter().all(|verdict| verdict == "drift"),
                "{}: {:?}",
                name(&gateway),
                verdicts(&gateway)
            );
            // Its cause takes a few handshakes to be told: of Envoy nobody tells when it has started.
            let text = |seen: &Value, key: &str| {
                seen.get(key).and_then(Value::as_str).unwrap_or_default().to_owned()
            };
            for seen in all_seen(&gateway) {
                let is_told = name(&gateway) != "nginx" || text(seen, "cause") == "file-not-reloaded";
                ensure!(is_told && text(seen, "waits").starts_with("a human"), "{seen}");
            }
        }
        Ok(())
    })?;
    status(show, scene)?;
    let check = format!(
        "{} check {HOST} --connect {address} --expect {}/certs/shop.crt",
        scene.certdrift(),
        scene.folder().display(),
    );
    let checked = show.run(&check, |_| true)?;
    ensure!(checked.code == Some(1), "check exits {:?}", checked.code);
    show.mark(
        false,
        &format!("exit code 1: expected {}, served {}", short(new.fingerprint), short(old.fingerprint)),
    );
    Ok(seen.into_iter().map(|(pid, _)| pid).collect())
}

fn only_tells(show: &Show, scene: &Scene, workers: &BTreeSet<u32>) -> Result<()> {
    show.heading("4  It only tells: that is the default");
    ensure!(scene.nginx.worker_pids() == *workers, "nginx was reloaded by somebody else");
    for gateway in scene.state(show)? {
        ensure!(told(&gateway, "remedy", 0).is_none(), "a remedy was started while observing");
    }
    show.mark(true, &format!("nginx has the same workers {workers:?}; no remedy was started"));
    Ok(())
}

fn healing(show: &Show, scene: &Scene, new: &Leaf, old_workers: &BTreeSet<u32>) -> Result<()> {
    show.heading("5  Healing is switched on: one word in the configuration, and SIGHUP");
    show.run(&scene.heal_command(), |_| true)?;
    let served = new.fingerprint.to_string();
    show.until("both gateways to be healed and proven", || {
        for gateway in scene.state(show)? {
            let converged = told(&gateway, "converged", 0);
            let proof = converged.and_then(|line| line.get("served")).and_then(Value::as_str);
            ensure!(proof == Some(served.as_str()), "{}: {:?}", name(&gateway), gateway.get("history"));
        }
        Ok(())
    })?;
    status(show, scene)?;

    // Who served clients is told by clients: until one comes, filter and tap have nothing new to say.
    let nginx = scene.curl(scene.nginx_address, "/", "-o /dev/null");
    let envoy = scene.curl(scene.envoy.address(), "/", "-o /dev/null -D -");
    show.until("every worker of nginx to be named", || {
        show.quietly(&nginx)?;
        let answer = show.quietly(&envoy)?.output;
        ensure!(!answer.contains("x-certdrift"), "{answer}");
        let gateways = scene.state(show)?;
        let workers: Vec<(String, String)> = gateways
            .iter()
            .filter(|gateway| name(gateway) == "nginx")
            .flat_map(all_seen)
            .flat_map(workers_of)
            .collect();
        ensure!(workers.len() == 2 && workers.iter().all(|(_, verdict)| verdict == "match"), "{workers:?}");
        Ok(())
    })?;

    show.heading("6  Proof, on the wire, every worker named");
    let workers = scene.nginx.worker_pids();
    ensure!(workers.is_disjoint(old_workers), "nginx still has old workers");
    for gateway in scene.state(show)? {
        let converged = told(&gateway, "converged", 0).context("nothing converged")?;
        let text =
            |value: Option<&Value>| value.map(|value| value.to_string().replace('"', "")).unwrap_or_default();
        show.mark(
            true,
            &format!(
                "{:<5}  serves {} after \"{}\", by {} full handshakes",
                name(&gateway),
                text(converged.get("served")).get(..16).unwrap_or("?"),
                text(converged.get("after")),
                text(converged.get("handshakes")),
            ),
        );
        // Envoy's workers are threads behind one declaration, which is never proof: its handshakes are.
        if name(&gateway) == "nginx" {
            for (worker, verdict) in all_seen(&gateway).into_iter().flat_map(workers_of) {
                show.line(&format!("            worker {worker}: {verdict}"));
            }
        }
    }
    for address in [scene.nginx_address, scene.envoy.address()] {
        let check = format!(
            "{} check {HOST} --connect {address} --expect {}/certs/shop.crt -o short",
            scene.certdrift(),
            scene.folder().display(),
        );
        let checked = show.run(&check, |_| true)?;
        ensure!(checked.code == Some(0), "check exits {:?}: {}", checked.code, checked.output);
    }
    show.mark(true, "nothing to say, exit code 0");
    let health = scene.curl(scene.envoy.address(), "/certdrift/healthz", "-o /dev/null -w '%{http_code}\\n'");
    show.until("healthz to be 200", || match show.quietly(&health)?.output.as_str() {
        "200" => Ok(()),
        other => {
            let path = "/certdrift/report?hosts=all";
            bail!("{other}: {}", show.quietly(&scene.curl(scene.envoy.address(), path, ""))?.output)
        }
    })?;
    show.run(&health, |_| true)?;
    Ok(())
}

fn times(show: &Show, scene: &Scene, moments: Moments) -> Result<()> {
    show.heading("7  Hop by hop, in seconds since the new file was there");
    show.line("  gateway  published  drift told  remedy begun  remedy done  proven");
    let seconds = |time: i64| {
        let millis = (time - moments.stored).max(0);
        format!("{}.{:02}", millis / 1000, millis % 1000 / 10)
    };
    for gateway in scene.state(show)? {
        let at = |what: &str| -> Result<String> {
            let line = told(&gateway, what, moments.stored)
                .with_context(|| format!("{}: not {what}", name(&gateway)))?;
            Ok(seconds(line.get("at").and_then(Value::as_i64).context("at")?))
        };
        show.line(&format!(
            "  {:<7}  {:>9}  {:>10}  {:>12}  {:>11}  {:>6}",
            name(&gateway),
            seconds(moments.published),
            at("drifted")?,
            at("remedy")?,
            at("ended")?,
            at("converged")?,
        ));
    }
    show.line("  (between told and begun lies scene 3: until then nothing was allowed to act)");
    Ok(())
}

/// The line of the gateway's history about `what`, not older than `since`: of drift the first (a reload of the configuration tells
/// it anew), of all else the newest.
fn told<'a>(gateway: &'a Value, what: &str, since: i64) -> Option<&'a Value> {
    let mut lines = gateway.get("history")?.as_array()?.iter().filter(|line| {
        line.get("what").and_then(Value::as_str) == Some(what)
            && line.get("at").and_then(Value::as_i64).is_some_and(|at| at >= since)
    });
    if what == "drifted" { lines.next() } else { lines.next_back() }
}

/// `certdrift status`, as anybody would ask.
fn status(show: &Show, scene: &Scene) -> Result<()> {
    let command = format!("{} status --url {}", scene.certdrift(), scene.controller_url());
    show.run(&command, |line| !line.trim().is_empty()).map(drop)
}

/// Every endpoint of every gateway serves `leaf` by handshake, and all its workers were seen.
fn proven(show: &Show, scene: &Scene, leaf: &Leaf) -> Result<()> {
    for gateway in scene.state(show)? {
        let seen = all_seen(&gateway);
        ensure!(!seen.is_empty(), "{} has not been seen", name(&gateway));
        for seen in seen {
            let served =
                seen.get("served").and_then(Value::as_str) == Some(leaf.fingerprint.to_string().as_str());
            let proven = seen.get("proven").and_then(Value::as_bool) == Some(true);
            ensure!(served && proven, "{}: {seen}", name(&gateway));
        }
    }
    Ok(())
}

/// Worker and fingerprint, of the demo's host, as nginx's tap tells them.
fn tap(show: &Show, scene: &Scene) -> Result<Vec<(u32, String)>> {
    let answer = show.quietly(&format!("curl -s {}", scene.nginx.tap_url()))?;
    let report: certdrift_contract::tap::TapReport =
        serde_json::from_str(&answer.output).context(answer.output)?;
    let mut seen: Vec<(u32, String)> = report
        .observations
        .iter()
        .filter(|row| row.host.as_deref() == Some(HOST))
        .map(|row| (row.pid, row.sha256.to_string()))
        .collect();
    seen.sort();
    seen.dedup();
    Ok(seen)
}

fn name(gateway: &Value) -> &str {
    gateway.get("name").and_then(Value::as_str).unwrap_or("?")
}

/// What was seen of the demo's host, endpoint by endpoint.
fn all_seen(gateway: &Value) -> Vec<&Value> {
    let hosts = gateway.get("hosts").and_then(Value::as_array).into_iter().flatten();
    hosts
        .filter(|host| host.get("host").and_then(Value::as_str) == Some(HOST))
        .filter_map(|host| host.get("seen").and_then(Value::as_array))
        .flatten()
        .collect()
}

/// The workers that tap or filter named, and what they serve.
fn workers_of(seen: &Value) -> Vec<(String, String)> {
    let named = seen.get("workers").and_then(Value::as_array).into_iter().flatten();
    named
        .filter_map(|worker| Some((worker.get(0)?.as_str()?.to_owned(), worker.get(1)?.as_str()?.to_owned())))
        .collect()
}

fn verdicts(gateway: &Value) -> Vec<String> {
    let seen = all_seen(gateway);
    seen.iter().filter_map(|seen| Some(seen.get("verdict")?.as_str()?.to_owned())).collect()
}
