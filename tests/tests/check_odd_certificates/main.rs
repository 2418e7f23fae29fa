//! Certificates that TLS libraries refuse, and chains: whatever is served, `certdrift check` says what openssl says it
//! is and what is wrong with it, or that it cannot be seen; never drift, and never a panic.
mod chains;
mod der;
mod draft;
mod keys;
mod kinds;
mod serve;

use certdrift_contract::Fingerprint;
use certdrift_tests::program::{fingerprint, run, s_server};
use chains::{CHAINS, Chain, Keys};
use draft::{Draft, HOST};
use keys::{ODD, Odd};
use kinds::{KINDS, Kind};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use serde_json::Value;
use serve::{Peer, Version, serve};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Mutex;

const CERTDRIFT: &str = env!("CARGO_BIN_EXE_certdrift-under-test");

/// One kind in one version of TLS.
enum Cell {
    Key(&'static Odd, Version),
    Kind(&'static Kind, Version),
    Chain(&'static Chain, Version),
}

/// How a cell went.
#[derive(Default)]
struct Outcome {
    name: String,
    unobservable: bool,
    served_by_openssl: bool,
    wrong: Vec<String>,
}

/// Where something is served, and what.
struct Served<'a> {
    address: SocketAddr,
    host: &'a str,
    version: Version,
    chain: Vec<Fingerprint>,
}

impl Outcome {
    fn holds(&mut self, what: &str, holds: bool, seen: &impl std::fmt::Debug) {
        if !holds {
            self.wrong.push(format!("{}: not so: {what}: {seen:?}", self.name));
        }
    }

    /// Asks `check` in three ways.
    fn judge(&mut self, served: &Served<'_>, findings: &[&str], possession: Option<&str>) {
        let at = served.address.to_string();
        let base = ["check", served.host, "--connect", &at, "--timeout", "60s"];
        let ran = run(CERTDRIFT, &[&base[..], &["-o", "json"]].concat());
        let Ok(report) = serde_json::from_str::<Value>(&ran.stdout) else {
            self.wrong.push(format!("{}: no answer: {ran:?}", self.name));
            return;
        };
        let address = &report["hosts"][0]["addresses"][0];
        self.holds("no drift", address["verdict"] != "drift", address);
        let Some(certificate) = address["certificates"].get(0) else {
            self.unobservable = true;
            self.holds("unknown", ran.code == Some(2) && address["verdict"] == "unknown", &ran);
            self.holds("said why", codes(address) == ["CD-308"], address);
            return;
        };
        self.holds(
            "one certificate",
            address["certificates"].as_array().is_some_and(|c| c.len() == 1),
            address,
        );
        let chain: Vec<Value> = served.chain.iter().map(|f| f.to_string().into()).collect();
        self.holds("the leaf", certificate["sha256"] == chain[0], certificate);
        self.holds("the chain", certificate["chain"] == Value::from(&chain[1..]), certificate);
        self.holds(&format!("findings {findings:?}"), codes(address) == findings, address);
        let wrong = errors(address);
        self.holds("exit code", ran.code == Some(i32::from(!wrong.is_empty())), &ran);
        if let Some(possession) = possession {
            self.holds(possession, certificate["possession"] == possession, certificate);
        }
        // What is expected may lie outside its dates or be without its key; all else that is wrong with it is only told.
        let bad = wrong.iter().any(|code| ["CD-304", "CD-309"].contains(&code.as_str()));
        let ran =
            run(CERTDRIFT, &[&base[..], &["--expect", &served.chain[0].to_string(), "-o", "wide"]].concat());
        self.holds("exit code when expected", ran.code == Some(i32::from(bad)), &ran);
        let harmless = ran.stdout.chars().all(|c| c == '\n' || !c.is_control());
        self.holds("nothing that a terminal would obey", harmless, &ran);
    }

    /// Judged by the root: an untrusted one is told besides.
    fn judge_by_root(&mut self, served: &Served<'_>, root: &Path, findings: &[&str]) {
        let (at, root) = (served.address.to_string(), root.to_str().unwrap());
        let ran = run(
            CERTDRIFT,
            &["check", served.host, "--connect", &at, "--timeout", "60s", "-o", "json", "--roots", root],
        );
        let address = &ran.json()["hosts"][0]["addresses"][0];
        self.holds(&format!("findings by the root {findings:?}"), codes(address) == findings, address);
    }

    /// What `openssl s_client` is shown is what was meant to be served.
    fn witness(&mut self, served: &Served<'_>) {
        let mut command = Command::new("openssl");
        command.args(["s_client", "-connect", &served.address.to_string(), "-showcerts", "-ign_eof"]);
        command.args([served.version.flag(), "-cipher", "ALL:@SECLEVEL=0"]).stdin(Stdio::null());
        let out = command.output().unwrap();
        let shown: Vec<Fingerprint> = CertificateDer::pem_slice_iter(&out.stdout)
            .filter_map(Result::ok)
            .map(|der| Fingerprint::of(&der))
            .collect();
        // Without a session's end it prints the leaf a second time.
        if shown.is_empty() {
            self.holds("nothing is shown to openssl's own client either", self.unobservable, &out);
        } else {
            self.holds("what s_client sees", shown.starts_with(&served.chain), &shown);
        }
    }
}

fn codes(address: &Value) -> Vec<String> {
    let mut codes: Vec<String> = address["findings"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|finding| finding["code"].as_str().map(str::to_owned))
        .collect();
    codes.sort();
    codes
}

fn errors(address: &Value) -> Vec<String> {
    let findings = address["findings"].as_array().into_iter().flatten();
    let errors = findings.filter(|finding| finding["severity"] == "error");
    errors.filter_map(|finding| finding["code"].as_str().map(str::to_owned)).collect()
}

fn look(cell: &Cell, keys: &Keys) -> Outcome {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let (name, version) = match cell {
        Cell::Key(odd, version) => (odd.name, *version),
        Cell::Kind(kind, version) => (kind.name, *version),
        Cell::Chain(chain, version) => (chain.name, *version),
    };
    let mut outcome = Outcome { name: format!("{name} {}", version.flag()), ..Outcome::default() };
    if let Cell::Key(odd, _) = cell {
        keys::make(folder, odd);
        let server = s_server(
            folder,
            &["-cert", "c.pem", "-key", "k.pem", version.flag(), "-cipher", "ALL:@SECLEVEL=0"],
        );
        let chain = vec![fingerprint(&folder.join("c.pem"))];
        let served = Served { address: server.address, host: HOST, version, chain };
        outcome.judge(&served, odd.findings, Some(odd.possession));
        outcome.served_by_openssl = true;
        outcome.witness(&served);
        return outcome;
    }
    let (chain, host, findings) = match cell {
        Cell::Chain(chain, _) => ((chain.make)(keys), HOST, chain.findings),
        Cell::Kind(kind, _) => {
            let mut draft = Draft::leaf();
            (kind.change)(&mut draft);
            (vec![draft.sign(&keys.leaf, &keys.leaf)], kind.host, kind.findings)
        }
        Cell::Key(..) => unreachable!("above"),
    };
    let peer = serve(folder, &chain, &keys.leaf, version);
    let chain = chain.iter().map(|der| Fingerprint::of(der)).collect();
    let served = Served { address: peer.address(), host, version, chain };
    outcome.judge(&served, findings, None);
    if let Cell::Chain(chain, _) = cell
        && !outcome.unobservable
    {
        let root = folder.join("root.pem");
        std::fs::write(&root, der::pem(&keys.root())).unwrap();
        let mut all = [chain.findings, chain.judged].concat();
        all.sort_unstable();
        outcome.judge_by_root(&served, &root, &all);
    }
    if matches!(peer, Peer::Openssl(_)) {
        outcome.served_by_openssl = true;
        outcome.witness(&served);
    }
    outcome
}

#[test]
fn the_fingerprint_is_openssls_in_every_cell_or_the_certificate_is_named_unobservable() {
    let both = || Version::ALL.into_iter();
    let mut cells: Vec<Cell> = Vec::new();
    cells.extend(ODD.iter().flat_map(|odd| both().map(move |version| Cell::Key(odd, version))));
    cells.extend(KINDS.iter().flat_map(|kind| both().map(move |version| Cell::Kind(kind, version))));
    cells.extend(CHAINS.iter().flat_map(|chain| both().map(move |version| Cell::Chain(chain, version))));
    let (keys, queue, outcomes) = (Keys::new(), Mutex::new(cells.iter()), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                loop {
                    let next = queue.lock().unwrap().next();
                    let Some(cell) = next else { return };
                    let outcome = look(cell, &keys);
                    outcomes.lock().unwrap().push(outcome);
                }
            });
        }
    });
    let outcomes = outcomes.into_inner().unwrap();
    let wrong: Vec<&str> = outcomes.iter().flat_map(|o| &o.wrong).map(String::as_str).collect();
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), cells.len(), wrong.join("\n"));
    let named = |which: fn(&Outcome) -> bool| {
        let mut named: Vec<&str> = outcomes.iter().filter(|o| which(o)).map(|o| o.name.as_str()).collect();
        named.sort_unstable();
        named
    };
    let unobservable = named(|o| o.unobservable);
    assert_eq!(unobservable, UNOBSERVABLE);
    let by_openssl = outcomes.iter().filter(|o| o.served_by_openssl).count();
    let figure = format!(
        "{} certificates and chains × 2 versions of TLS, {by_openssl} of the {} cells served by openssl; {} cells unobservable",
        cells.len() / 2,
        cells.len(),
        unobservable.len()
    );
    certdrift_guarantee::record("odd-certificates", figure);
}

#[test]
fn a_chain_longer_than_a_message_may_be_is_told_as_that_and_not_as_no_tls() {
    let folder = tempfile::tempdir().unwrap();
    let keys = Keys::new();
    let chain = CHAINS.iter().find(|chain| chain.name.starts_with("100 KB")).unwrap();
    let peer = serve(folder.path(), &(chain.make)(&keys), &keys.leaf, Version::V13);
    let ran = run(CERTDRIFT, &["check", HOST, "--connect", &peer.address().to_string(), "--timeout", "60s"]);
    assert!(ran.code == Some(2) && ran.stdout.contains("more than 64 KB of certificates"), "{ran:?}");
}

/// openssl shows a curve only to who has it among its groups, in TLS 1.2 nothing at all of a certificate whose
/// extensions it cannot read or which is not for signing, and rustls takes no message over 64 KB.
const UNOBSERVABLE: &[&str] = &[
    "100 KB, more than rustls and Go take -tls1_2",
    "100 KB, more than rustls and Go take -tls1_3",
    "basic constraints with a path length of −1 -tls1_2",
    "brainpoolP256r1 -tls1_2",
    "brainpoolP256r1 -tls1_3",
    "ed448 -tls1_2",
    "for signing certificates only -tls1_2",
    "list of names that is no DER -tls1_2",
    "list of names twice -tls1_2",
    "p-224 -tls1_2",
    "p-224 -tls1_3",
    "p-521 -tls1_2",
    "rsa-pss -tls1_2",
    "secp256k1 -tls1_2",
    "secp256k1 -tls1_3",
];
