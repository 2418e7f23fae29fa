use super::view::Shown;
use crate::cli::Exit;
use crate::cli::output::{Marks, View as _};
use crate::converge::Mode;
use crate::run::state::{Endpoint, Gateway, Host, LedgerState, SCHEMA, Seen, State};
use certdrift_contract::UnixTime;

const NOW: UnixTime = UnixTime::from_seconds(1_795_478_400);

fn endpoint(name: &str, answers: Option<bool>) -> Endpoint {
    let why = if answers == Some(false) { "connection refused".to_owned() } else { String::new() };
    Endpoint {
        name: name.into(),
        address: "127.0.0.1:8443".into(),
        edge: false,
        answers,
        why,
        workers: None,
        loaded: None,
    }
}

fn seen(endpoint: &str, verdict: &str, class: Option<&str>) -> Seen {
    Seen {
        endpoint: endpoint.into(),
        verdict: verdict.into(),
        class: class.map(str::to_owned),
        evidence: "handshake".into(),
        served: Some("3f9c".repeat(16)),
        not_after: None,
        possession: Some("proven".into()),
        at: NOW,
        since: NOW.plus(-840),
        blind: None,
        proof: Some("all 2 workers seen".into()),
        proven: true,
        workers: Vec::new(),
        cause: None,
        lacks: Vec::new(),
        waits: class.map(|_| "a human, because mode is observe".to_owned()),
        acknowledged: None,
    }
}

fn host(name: &str, seen: Vec<Seen>) -> Host {
    Host {
        host: name.into(),
        source: "file:/etc/tls/demo".into(),
        expected: vec!["ab12".repeat(16)],
        not_after: Some(NOW.plus(86_400)),
        stored: true,
        not_stored: false,
        broken: None,
        issuance_watched: false,
        seen,
    }
}

fn state(endpoints: Vec<Endpoint>, hosts: Vec<Host>) -> State {
    let ledger =
        LedgerState { revision: 7, published_at: NOW, hosts: hosts.len(), file: "ledger.json".into() };
    let gateway = Gateway {
        canary: None,
        name: "kong".into(),
        mode: Mode::Observe,
        ledger: Some(ledger),
        endpoints,
        hosts,
        remedy: None,
        findings: Vec::new(),
        diagnoses: Vec::new(),
        renewals: Vec::new(),
        history: Vec::new(),
    };
    State { schema: SCHEMA.into(), version: "1".into(), started: NOW, now: NOW, gateways: vec![gateway] }
}

fn page(shown: &Shown, wide: bool) -> String {
    let mut text = Vec::new();
    shown.human(&mut anstream::StripStream::new(&mut text), wide, Marks::ASCII).unwrap();
    String::from_utf8(text).unwrap()
}

#[test]
fn the_verdict_comes_first_then_the_worst_host_then_the_mend() {
    let up = || vec![endpoint("a", Some(true)), endpoint("b", Some(true))];
    let good = host("good.example.com", vec![seen("a", "match", None), seen("b", "match", None)]);
    let bad = host("shop.example.com", vec![seen("a", "match", None), seen("b", "drift", Some("previous"))]);
    let shown = Shown::new(state(up(), vec![good, bad]), None, &[]);
    assert_eq!(shown.exit(), Exit::Drift);
    assert_eq!(
        page(&shown, false),
        "DRIFT shop.example.com: 1 of 2 endpoints of kong serve the old certificate (since 14 min)\n\
         \n\
         kong tells only; ledger 7 of 2026-11-24T00:00:00Z, 2 hosts\n\
         HOST              ISSUED  STORED  BOUND  LOADED  SERVED  DETAIL\n\
         shop.example.com  -       +       +      ?       x 1/2   b serves the old certificate 3f9c3f9c, waits for a human, because mode is observe\n\
         good.example.com  -       +       +      +       + 2/2\n\
         \n\
         To mend it: reload the gateway, or let certdrift do it with `policy: {mode: heal}` and a remedy.\n"
    );
    assert_eq!(shown.short().len(), 1);
    assert_eq!(shown.names(), ["kong/good.example.com", "kong/shop.example.com"]);
}

#[test]
fn a_certificate_that_is_signed_and_not_stored_does_not_pass_as_served() {
    let waiting = Host { not_stored: true, ..host("shop.example.com", vec![seen("a", "match", None)]) };
    let shown = Shown::new(state(vec![endpoint("a", Some(true))], vec![waiting]), None, &[]);
    assert_eq!(shown.exit(), Exit::Drift);
    let text = page(&shown, false);
    assert!(
        text.starts_with("NOT STORED shop.example.com")
            && text.contains("shop.example.com  -       x       +      +       + 1/1"),
        "{text}"
    );
    assert!(shown.short()[0].starts_with("not-stored kong/shop.example.com"), "{:?}", shown.short());
}

#[test]
fn an_endpoint_that_does_not_answer_never_passes_as_good() {
    let one = host("a.example.com", vec![seen("a", "match", None)]);
    let shown =
        Shown::new(state(vec![endpoint("a", Some(true)), endpoint("b", Some(false))], vec![one]), None, &[]);
    assert_eq!(shown.exit(), Exit::Unknown);
    let text = page(&shown, false);
    assert!(
        text.starts_with("UNKNOWN 1 of 1 hosts") && text.contains("b (127.0.0.1:8443) does not answer"),
        "{text}"
    );
}

#[test]
fn what_is_only_declared_is_no_proof() {
    let declared = Seen { evidence: "declared".into(), ..seen("a", "match", None) };
    let shown = Shown::new(
        state(vec![endpoint("a", Some(true))], vec![host("a.example.com", vec![declared])]),
        None,
        &[],
    );
    assert_eq!(shown.exit(), Exit::Unknown);
}

#[test]
fn no_host_at_all_and_a_host_that_is_not_listed_could_not_be_told() {
    let one = || host("a.example.com", vec![seen("a", "match", None)]);
    assert_eq!(Shown::new(state(vec![endpoint("a", Some(true))], vec![]), None, &[]).exit(), Exit::Unknown);
    let other =
        Shown::new(state(vec![endpoint("a", Some(true))], vec![one()]), None, &["b.example.com".into()]);
    assert_eq!(other.exit(), Exit::Unknown);
    assert!(page(&other, false).starts_with("UNKNOWN no ledger lists b.example.com"));
    let both = ["a.example.com".into(), "b.example.com".into()];
    let both = Shown::new(state(vec![endpoint("a", Some(true))], vec![one()]), None, &both);
    assert_eq!(
        (both.exit(), both.short().len()),
        (Exit::Unknown, 1),
        "one that is well does not speak for the other"
    );
    let none = Shown::new(state(vec![endpoint("a", Some(true))], vec![one()]), Some("kogn"), &[]);
    assert_eq!(none.exit(), Exit::Unknown);
    assert!(page(&none, false).contains("no gateway is called kogn; there are: kong"));
    let asked =
        Shown::new(state(vec![endpoint("a", Some(true))], vec![one()]), None, &["a.example.com".into()]);
    assert_eq!(asked.exit(), Exit::Good);
}

#[test]
fn a_gateway_without_a_ledger_never_passes_as_good() {
    let up = || vec![endpoint("a", Some(true))];
    let mut two = state(up(), vec![host("a.example.com", vec![seen("a", "match", None)])]);
    let mut empty = state(up(), vec![]).gateways.remove(0);
    (empty.name, empty.ledger) = ("second".into(), None);
    two.gateways.push(empty);
    let shown = Shown::new(two, None, &[]);
    assert_eq!(shown.exit(), Exit::Unknown);
    assert!(page(&shown, false).starts_with("UNKNOWN second has no ledger yet"));
}

#[test]
fn a_fleet_that_is_well_is_counted_and_not_listed() {
    let hosts =
        (0..500).map(|n| host(&format!("h{n}.example.com"), vec![seen("a", "match", None)])).collect();
    let shown = Shown::new(state(vec![endpoint("a", Some(true))], hosts), None, &[]);
    let text = page(&shown, false);
    assert!(text.contains("and 480 hosts more that are as expected"), "{text}");
    assert!(text.lines().count() < 30 && page(&shown, true).lines().count() > 500);
}
