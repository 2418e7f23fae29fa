//! In every cell of key × TLS version × server name × full or resumed × HTTP version the tap says of a connection what
//! `openssl s_client` saw on that same connection.
use certdrift_contract::Fingerprint;
use certdrift_contract::tap::{Asked, Connection, Kind};
use certdrift_tests::certs::{Ca, Key, Leaf, wish};
use certdrift_tests::nginx::{Nginx, request};
use certdrift_tests::openssl::{Client, Http, Seen, Version};
use certdrift_tests::process::free_port;
use std::net::SocketAddr;
use std::sync::Mutex;

const SNIS: [Option<&str>; 4] =
    [Some("demo.example.com"), None, Some("a.wild.example.com"), Some("stranger.example.net")];

/// One port: a gateway with these keys, and what it serves for each of `SNIS`.
struct Gateway {
    address: SocketAddr,
    /// Clients that only take RSA, of a pair.
    only_rsa: bool,
    serves: [Fingerprint; 4],
}

struct Cell<'a> {
    gateway: &'a Gateway,
    version: Version,
    sni: usize,
    http: Http,
}

/// The word of the tap in an answer's body.
fn word(output: &str) -> String {
    let from = output.rfind("TAP ").expect("the tap's word") + 4;
    let to = output.rfind(" END").expect("its end");
    output[from..to].to_owned()
}

fn agrees(seen: &Seen, sni: Option<&str>) -> Kind {
    let line = word(&seen.output);
    let said = Connection::parse(line.as_bytes()).unwrap_or_else(|e| panic!("{e}: {line}"));
    assert_eq!(said.sni, sni.map(str::as_bytes), "{line}");
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    let age = i64::try_from(now).unwrap() - said.began.seconds();
    assert!((0..30).contains(&age), "began {age} s ago: {line}");
    match seen.resumed {
        true => assert_eq!((said.kind, said.fingerprint), (Kind::Resumed, None), "{line}"),
        false => assert_eq!((said.kind, said.fingerprint), (Kind::Full, Some(seen.leaf)), "{line}"),
    }
    said.kind
}

#[test]
fn the_tap_says_what_openssl_sees_in_every_cell() {
    let ca = Ca::new("certdrift test CA").unwrap();
    let leaf = |hosts: &[&str], key| ca.issue(&wish(hosts).key(key)).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let mut plan = Nginx::with_workers(2).tap();
    let mut gateways = Vec::new();
    let plain = free_port();
    for keys in [&[Key::Ecdsa][..], &[Key::Rsa], &[Key::Ecdsa, Key::Rsa]] {
        let port = free_port();
        let mut leaves: Vec<Vec<Leaf>> = Vec::new();
        for (i, (names, hosts)) in [
            ("_", "default.example.org"),
            ("demo.example.com", "demo.example.com"),
            ("*.wild.example.com", "*.wild.example.com"),
        ]
        .into_iter()
        .enumerate()
        {
            let of_this: Vec<Leaf> = keys.iter().map(|&key| leaf(&[hosts], key)).collect();
            let mut certificates = String::new();
            for (j, leaf) in of_this.iter().enumerate() {
                let (crt, key) = leaf.write(folder.path(), &format!("{port}-{i}-{j}")).unwrap();
                certificates +=
                    &format!("ssl_certificate {}; ssl_certificate_key {};\n", crt.display(), key.display());
            }
            let default = if i == 0 { "default_server" } else { "" };
            let also_plain =
                if i == 0 && keys.len() == 2 { format!("listen 127.0.0.1:{plain};") } else { String::new() };
            plan = plan.server(&format!(
                "listen 127.0.0.1:{port} ssl http2 {default}; {also_plain} server_name {names}; {certificates}
                 location / {{ return 200 \"TAP $certdrift END\"; }}"
            ));
            leaves.push(of_this);
        }
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        let serves = |member: usize| {
            let [default, demo, wild] = [0, 1, 2].map(|i| leaves[i][member].fingerprint);
            [demo, default, wild, default]
        };
        gateways.push(Gateway { address, only_rsa: false, serves: serves(0) });
        if keys.len() == 2 {
            gateways.push(Gateway { address, only_rsa: true, serves: serves(1) });
        }
    }
    let nginx = plan.start().unwrap();

    let mut cells = Vec::new();
    for gateway in &gateways {
        for version in [Version::V12, Version::V13] {
            for sni in 0..SNIS.len() {
                for http in [Http::H1, Http::H2] {
                    cells.push(Cell { gateway, version, sni, http });
                }
            }
        }
    }
    let total = cells.len();
    let queue = Mutex::new(cells);
    std::thread::scope(|scope| {
        for lane in 0..6 {
            let (queue, folder) = (&queue, folder.path());
            scope.spawn(move || {
                while let Some(cell) = { queue.lock().unwrap().pop() } {
                    let session = folder.join(format!("session-{lane}"));
                    let client = || {
                        let client = Client::new(cell.gateway.address).version(cell.version).http(cell.http);
                        let client = if cell.gateway.only_rsa { client.only_rsa() } else { client };
                        SNIS[cell.sni].map_or(client.clone(), |name| client.clone().sni(name))
                    };
                    let full = client().save(&session).ask(" END").unwrap();
                    assert!(!full.resumed);
                    assert_eq!(full.leaf, cell.gateway.serves[cell.sni], "the test's own gateway");
                    assert_eq!(agrees(&full, SNIS[cell.sni]), Kind::Full);
                    let resumed = client().resume(&session).ask(" END").unwrap();
                    assert!(resumed.resumed, "the session was to be resumed: {}", resumed.output);
                    assert_eq!(agrees(&resumed, SNIS[cell.sni]), Kind::Resumed);
                }
            });
        }
    });

    let answer = request(SocketAddr::from(([127, 0, 0, 1], plain)), "GET", "/", &[]).unwrap();
    let line = word(&answer.body);
    let said = Connection::parse(line.as_bytes()).unwrap();
    assert_eq!((said.kind, said.fingerprint, said.sni), (Kind::Plain, None, None));

    let report = nginx.tap_report().unwrap();
    assert_eq!(report.schema, certdrift_contract::names::TAP_SCHEMA);
    assert_eq!(report.worker_processes, 2);
    let sum = |of: fn(&certdrift_contract::tap::TapWorker) -> u64| report.workers.iter().map(of).sum::<u64>();
    let total = u64::try_from(total).unwrap();
    assert_eq!((sum(|w| w.full), sum(|w| w.resumed)), (total, total), "{report:?}");
    assert_eq!((sum(|w| w.plain), sum(|w| w.unknown), report.dropped), (1, 0, 0), "{report:?}");
    for gateway in &gateways {
        for (sni, served) in SNIS.iter().zip(gateway.serves) {
            let asked = if sni.is_some() { Asked::Name } else { Asked::None };
            let seen: u64 = report
                .observations
                .iter()
                .filter(|o| o.sha256 == served && o.asked == asked && o.host.as_deref() == *sni)
                .map(|o| o.count)
                .sum();
            assert_eq!(seen, 4, "two versions by two protocols of {sni:?}: {report:?}");
        }
    }
    assert!(report.observations.iter().all(|o| !o.placeholder));
    certdrift_guarantee::record("tap-cells", format!("{} cells, all equal", 2 * total));
    assert!(!nginx.error_log().contains("[error]"), "{}", nginx.error_log());
}
