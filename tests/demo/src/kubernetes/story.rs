//! The story, scene by scene. Each of its claims is looked at before it is told.
use super::renewal::{Watched, now};
use super::scene::{CERTDRIFT, HOST, KONG, PATIENCE, SHOP, STATUS, Scene};
use crate::show::Show;
use anyhow::{Context as _, Result, bail, ensure};
use serde_json::{Value, json};

/// The role by which cert-manager writes Secrets.
const ROLE: &str = "cert-manager-controller-certificates";

/// Tells it, and puts everything away.
pub(crate) fn tell(show: &mut Show, keep: bool) -> Result<()> {
    show.line("certdrift demo in a real cluster: a certificate is renewed, and each hop of its way breaks in silence");
    let scene = Scene::set(show)?;
    let name = scene.cluster().place().name().to_owned();
    show.line("  Certificate web, renewed every 30 s  namespace shop");
    show.line("  gateway, two pods with the tap       namespace kong: nginx that takes pushes as Kong does");
    show.line("  ingress controller                   namespace kong: a stand-in for Kong's");
    show.line("  certdrift (tells, until it may heal) namespace certdrift, by deploy/chart");
    show.line(&format!("  to look for yourself                 cargo xtask cluster exec {name} -- bash"));
    let result = acts(show, &scene);
    if result.is_ok() && keep {
        show.heading("It goes on running until Ctrl-C");
        show.line(&format!("  cargo xtask cluster exec {name} -- bash, then:"));
        show.line(&format!("       {STATUS} -o wide"));
        show.line(&format!("       kubectl get events -n {SHOP}"));
        show.until_interrupted();
    }
    if let Err(error) = &result
        && show.interrupted().is_ok()
    {
        let log = show.quietly(&format!("kubectl -n {CERTDRIFT} logs deploy/certdrift --tail=20"));
        eprintln!(
            "{error:#}; the logs:\n{}\n{}",
            log.map(|log| log.output).unwrap_or_default(),
            scene.kong.log()
        );
    }
    result
}

fn acts(show: &Show, scene: &Scene) -> Result<()> {
    let set_up = show.seconds();
    show.heading(&format!("1  Both pods serve {HOST} as it is stored"));
    show.within(PATIENCE, "both pods to be proven", || served(show, scene, None))?;
    status(show)?;
    let requests = Watched::requests(scene.cluster(), SHOP)?;
    natural(show, scene, &requests)?;
    not_stored(show, scene, &requests)?;
    missed(show, scene)?;
    show.line(&format!(
        "\nSet up in {set_up:.0} s, told in {:.0} s more. Nothing of it is left behind.",
        show.seconds() - set_up
    ));
    Ok(())
}

fn natural(show: &Show, scene: &Scene, requests: &Watched) -> Result<()> {
    show.heading("2  A natural renewal, hop by hop");
    let before = scene.stored()?;
    let secret = Watched::secret(scene.cluster(), SHOP, "web-tls")?;
    let begun = now();
    let renewal = show.within(PATIENCE, "a renewal to be proven", || {
        let state = scene.state(show)?;
        let newest = state.pointer("/renewals/0").context("none yet")?.clone();
        ensure!(newest.get("stored").and_then(Value::as_i64).is_some_and(|at| at >= begun), "{newest}");
        Ok(newest)
    })?;
    let (request, issued) = requests.newest().context("no CertificateRequest was heard of")?;
    let after = scene.stored()?;
    show.run(&format!("kubectl -n {SHOP} get certificate,certificaterequest"), |line| !line.is_empty())?;
    let at = |hop: &str| renewal.get(hop).and_then(Value::as_i64);
    let (_, stored) = secret.newest().context("nothing was heard of the Secret")?;
    show.line("  hop        after issued");
    let row = |hop: &str, time: Option<i64>, what: &str| {
        let seconds = time.map_or("-".to_owned(), |time| {
            let millis = (time - issued).max(0);
            format!("{}.{:02} s", millis / 1000, millis % 1000 / 10)
        });
        show.line(&format!("  {hop:<9}  {seconds:>12}  {what}"));
    };
    row("issued", Some(issued), &format!("CertificateRequest {request} is Ready"));
    row("stored", Some(stored), "the Secret holds it");
    row("published", at("published"), "certdrift expects it");
    row("loaded", at("loaded"), "every pod runs by another configuration");
    row("served", at("served"), "proven by full handshakes with every pod");
    show.mark(true, &format!("{} -> {}", short(&before), short(&after)));
    Ok(())
}

fn not_stored(show: &Show, scene: &Scene, requests: &Watched) -> Result<()> {
    show.heading(
        "3  cert-manager may not patch Secrets any more. The next renewal is signed, and not stored",
    );
    let role = scene.cluster().get("", &format!("clusterrole/{ROLE}"))?;
    let rules = role.get("rules").and_then(Value::as_array).context("rules")?;
    let secrets = |rule: &Value| rule.get("resources").is_some_and(|all| all == &json!(["secrets"]));
    let index = rules.iter().position(secrets).context("no rule for Secrets")?;
    let all =
        rules.get(index).and_then(|rule| rule.get("verbs")).and_then(Value::as_array).context("verbs")?;
    let fewer: Vec<&Value> = all.iter().filter(|verb| *verb != "patch" && *verb != "update").collect();
    let patch = |verbs: &Value| {
        let patch = json!([{"op": "replace", "path": format!("/rules/{index}/verbs"), "value": verbs}]);
        format!("kubectl patch clusterrole {ROLE} --type=json -p '{patch}'")
    };
    let before = scene.stored()?;
    let last = requests.newest().map(|(name, _)| name);
    must(show, &patch(&json!(fewer)))?;
    let (request, _) = show.within(PATIENCE, "the next renewal to be signed", || {
        let newest = requests.newest().context("none")?;
        ensure!(Some(&newest.0) != last.as_ref(), "{newest:?}");
        Ok(newest)
    })?;
    let told = show.within(PATIENCE, "certdrift to name the verb", || {
        let state = scene.state(show)?;
        let findings = state.get("findings").and_then(Value::as_array).cloned().unwrap_or_default();
        let named = |f: &&Value| f.get("code") == Some(&json!("CD-172")) && f.to_string().contains("may not");
        findings.iter().find(named).cloned().with_context(|| format!("{findings:?}"))
    })?;
    ensure!(scene.stored()? == before, "it was stored nevertheless");
    show.line(&format!("  What the cluster says: {request} is signed, and all is well."));
    show.run(&format!("kubectl -n {SHOP} get certificate,certificaterequest"), |line| !line.is_empty())?;
    show.run(&format!("kubectl -n {SHOP} get secrets --sort-by=.type"), |_| true)?;
    show.line("  (web-… holds the next private key; web-tls still holds the old certificate)");
    show.line("  What certdrift says:");
    status(show)?;
    show.within(PATIENCE, "the Event", || {
        let events = show.quietly(&format!("kubectl -n {SHOP} get events"))?.output;
        ensure!(events.contains("CD-172"), "{events}");
        Ok(())
    })?;
    show.run(
        &format!("kubectl -n {SHOP} get events --field-selector reason=CD-172 -o custom-columns=ON:.involvedObject.kind,NAME:.involvedObject.name,REASON:.reason,MESSAGE:.message"),
        |_| true,
    )?;
    let why = told.get("why").and_then(Value::as_str).unwrap_or_default();
    show.mark(false, &format!("hop stored: {why}"));
    show.line("  The permission comes back.");
    must(show, &patch(&json!(all)))?;
    let back = now();
    show.within(PATIENCE, "the renewal to be stored", || {
        let stored = scene.stored()?;
        ensure!(stored != before, "still {stored}");
        Ok(())
    })?;
    let stored = now();
    show.within(PATIENCE, "both pods to serve it", || {
        let state = scene.state(show)?;
        ensure!(!state.to_string().contains("CD-172"), "CD-172 is still told");
        served(show, scene, Some(&state))
    })?;
    show.mark(true, &format!("stored {} s after the permission came back (cert-manager tries again by itself), told no more, and served {} s later", seconds(back, stored), seconds(stored, now())));
    Ok(())
}

fn missed(show: &Show, scene: &Scene) -> Result<()> {
    show.heading("4  A pod misses its push: its admin port refuses, for the ingress controller");
    let pods = scene.pods()?;
    let pod = pods.last().context("no pod")?.clone();
    let name = format!("{KONG}/{}", pod.name);
    scene.kong.faults(&json!({"miss": [pod.name]}))?;
    show.within(PATIENCE, "the pod to be named", || {
        let state = scene.state(show)?;
        let findings = state.get("findings").and_then(Value::as_array).cloned().unwrap_or_default();
        let named =
            |f: &Value| f.get("code") == Some(&json!("CD-321")) && f.get("object") == Some(&json!(name));
        ensure!(findings.iter().any(named), "{findings:?}");
        Ok(())
    })?;
    show.line("  What the cluster says:");
    show.run(&format!("kubectl -n {KONG} get pods -l app=kong"), |_| true)?;
    show.line("  What certdrift says:");
    status(show)?;
    let events = format!(
        "kubectl -n {KONG} get events --field-selector reason=CD-321,involvedObject.name={} -o custom-columns=REASON:.reason,MESSAGE:.message",
        pod.name
    );
    show.within(PATIENCE, "the Event", || {
        let said = show.quietly(&events)?.output;
        ensure!(said.contains("CD-321"), "{said}");
        Ok(())
    })?;
    show.run(&events, |line| line.starts_with("CD-") || line.starts_with("REASON"))?;
    show.mark(false, &format!("{} serves the certificate before; its fellow serves the new one", pod.name));
    show.line("  Healing is opted into, gateway by gateway. Its one remedy here has the pod replaced.");
    show.line("  $ helm upgrade certdrift deploy/chart -n certdrift -f values.yaml");
    show.line("    gateways: [{name: kong, policy: {mode: heal, grace: 5s, remedies: [{name: replace, evict: {}}]}, …}]");
    scene.heal()?;
    let state = show.within(PATIENCE, "both pods to serve it", || {
        let state = scene.state(show)?;
        let findings = state.get("findings").and_then(Value::as_array).cloned().unwrap_or_default();
        ensure!(findings.is_empty(), "{findings:?}");
        served(show, scene, Some(&state))?;
        Ok(state)
    })?;
    let history = state.get("history").and_then(Value::as_array).cloned().unwrap_or_default();
    let ended = history.iter().find(|record| record.get("what") == Some(&json!("ended")));
    let ended = ended.with_context(|| format!("no remedy: {history:?}"))?;
    let told = ended.get("said").and_then(Value::as_str).unwrap_or_default();
    let at = ended.get("at").and_then(Value::as_i64).unwrap_or_default();
    // The one that goes may be a moment longer there.
    let stays = |line: &str| !line.is_empty() && !line.contains("Terminating");
    show.run(&format!("kubectl -n {KONG} get pods -l app=kong"), stays)?;
    status(show)?;
    show.mark(
        true,
        &format!("{told}; {} s later every pod was proven to serve what is stored", seconds(at, now())),
    );
    Ok(())
}

/// Every pod that there is serves what is expected, by handshakes, as far as can be proven.
fn served(show: &Show, scene: &Scene, state: Option<&Value>) -> Result<()> {
    let asked;
    let state = match state {
        Some(state) => state,
        None => {
            asked = scene.state(show)?;
            &asked
        }
    };
    let hosts = state.get("hosts").and_then(Value::as_array).context("hosts")?;
    let host = hosts.iter().find(|host| host.get("host") == Some(&json!(HOST))).context(HOST)?;
    let seen = host.get("seen").and_then(Value::as_array).context("seen")?;
    let mut right = Vec::new();
    for seen in seen {
        let proven = seen.get("verdict") == Some(&json!("match")) && seen.get("proven") == Some(&json!(true));
        ensure!(proven, "{seen}");
        right.push(seen.get("endpoint").and_then(Value::as_str).unwrap_or_default().to_owned());
    }
    let there: Vec<String> = scene.pods()?.iter().map(|pod| format!("{KONG}/{}", pod.name)).collect();
    if right == there && right.len() == 2 { Ok(()) } else { bail!("{right:?} of {there:?}") }
}

/// `certdrift status`, as anybody would ask.
fn status(show: &Show) -> Result<()> {
    show.run(STATUS, |line| !line.trim().is_empty() && !line.starts_with("command terminated")).map(drop)
}

fn must(show: &Show, command: &str) -> Result<()> {
    let ran = show.run(command, |_| false)?;
    ensure!(ran.code == Some(0), "{command}: {}", ran.output);
    Ok(())
}

fn short(fingerprint: &str) -> &str {
    fingerprint.get(..16).unwrap_or(fingerprint)
}

fn seconds(from: i64, to: i64) -> String {
    let millis = (to - from).max(0);
    format!("{}.{}", millis / 1000, millis % 1000 / 100)
}
