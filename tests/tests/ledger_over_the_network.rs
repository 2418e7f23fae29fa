//! `/ledger/GATEWAY` from another address than loopback: nothing without a token or a client certificate, the ledger
//! with either, and a bound on what a stranger can hold. In a network namespace of its own: no packet leaves it.
use certdrift_tests::certs::{Ca, wish};
use certdrift_tests::process::Process;
use certdrift_tests::wait;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(60);
/// For documentation (RFC 5737); put on the namespace's own loopback device.
const ADDRESS: &str = "192.0.2.1";
/// Another.
const OTHER: &str = "192.0.2.2";
const TOKEN: &str = "0123456789abcdef";
const INSIDE: &str = "CERTDRIFT_TEST_NAMESPACE";

/// Runs the test of this name again, in a namespace of its own; true when this is that run.
fn inside(test: &str) -> bool {
    if std::env::var_os(INSIDE).is_some() {
        return true;
    }
    let program = std::env::current_exe().unwrap();
    let script = format!(
        "ip link set lo up && ip addr add {ADDRESS}/32 dev lo && ip addr add {OTHER}/32 dev lo && exec \"$0\" \"$@\""
    );
    let out = Command::new("unshare")
        .args(["--map-root-user", "--net", "--", "sh", "-c", &script])
        .arg(program)
        .args([test, "--exact", "--nocapture", "--test-threads=1"])
        .env(INSIDE, "1")
        .output()
        .expect("unshare: install Debian's package util-linux");
    let told = [out.stdout, out.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
    assert!(
        out.status.success() && told.contains("1 passed"),
        "in a namespace of its own (unshare --map-root-user --net; where the system forbids that to users, allow it: \
         sysctl kernel.unprivileged_userns_clone=1, or run the test as root; `ip` is in Debian's iproute2):\n{told}"
    );
    false
}

struct Scene {
    folder: tempfile::TempDir,
    address: SocketAddr,
    _controller: Process,
}

impl Scene {
    /// A controller that listens on [`ADDRESS`] with TLS (a token is never taken in clear text), and a token.
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name).display().to_string();
        std::fs::create_dir(at("certificates")).unwrap();
        let ca = Ca::new("certdrift test CA").unwrap();
        let leaf = ca.issue(&wish(&["demo.example.com"])).unwrap();
        leaf.write(Path::new(&at("certificates")), "demo").unwrap();
        std::fs::write(at("token"), TOKEN).unwrap();
        let (clients, other) = (Ca::new("clients of ours").unwrap(), Ca::new("somebody else").unwrap());
        std::fs::write(at("clients.pem"), clients.pem()).unwrap();
        ca.issue(&wish(&["certdrift.example.com"])).unwrap().write(folder.path(), "server").unwrap();
        clients.issue(&wish(&["gateway.example.com"])).unwrap().write(folder.path(), "client").unwrap();
        other.issue(&wish(&["gateway.example.com"])).unwrap().write(folder.path(), "stranger").unwrap();
        let port = std::net::TcpListener::bind((ADDRESS, 0)).unwrap().local_addr().unwrap().port();
        let address: SocketAddr = format!("{ADDRESS}:{port}").parse().unwrap();
        let text = format!(
            "state_dir: {}\nlisten: {{address: \"{address}\", token: {{file: {}}}, tls: {{certificate: {}, key: {}, client_ca: {}}}}}\ngateways:\n- name: kong\n  sources: [{{directory: {}}}]\n  endpoints: [{{name: a, address: \"127.0.0.1:9\"}}]\n",
            at("state"),
            at("token"),
            at("server.crt"),
            at("server.key"),
            at("clients.pem"),
            at("certificates"),
        );
        std::fs::write(at("certdrift.yaml"), text).unwrap();
        let mut command = Command::new(xtask::build::certdrift().unwrap());
        command.args(["run", "--config", &at("certdrift.yaml")]);
        let controller = Process::start("controller", &mut command, folder.path()).unwrap();
        let ledger = folder.path().join("state/kong/ledger.json");
        wait::until("the first ledger", PATIENCE, || {
            (ledger.exists() && TcpStream::connect(address).is_ok())
                .then_some(())
                .ok_or_else(|| controller.log())
        });
        Self { folder, address, _controller: controller }
    }

    /// curl's word for the answer: its status, and its body.
    fn ask(&self, scheme: &str, path: &str, more: &[&str]) -> (String, String) {
        let out = Command::new("curl")
            .args([
                "--silent",
                "--noproxy",
                "*",
                "--insecure",
                "--max-time",
                "30",
                "--write-out",
                "\n%{http_code}",
            ])
            .args(more)
            .arg(format!("{scheme}://{}{path}", self.address))
            .current_dir(self.folder.path())
            .output()
            .expect("curl: install Debian's package curl");
        let text = String::from_utf8(out.stdout).unwrap();
        let (body, status) = text.rsplit_once('\n').unwrap();
        (status.to_owned(), body.to_owned())
    }
}

fn header(token: &str) -> String {
    format!("x-certdrift-token: {token}")
}

#[test]
fn a_token_opens_it_and_nothing_else_does() {
    if !inside("a_token_opens_it_and_nothing_else_does") {
        return;
    }
    let scene = Scene::new();
    let nothing = scene.ask("https", "/no/such/path", &[]);
    assert_eq!(nothing.0, "404");
    for path in ["/ledger/kong", "/metrics", "/debug/state", "/log-level"] {
        // What a stranger may not see does not exist.
        assert_eq!(scene.ask("https", path, &[]), nothing, "{path}");
        for wrong in ["0123456789abcdeX", "0123456789abcde", "0123456789abcdef0", ""] {
            assert_eq!(scene.ask("https", path, &["-H", &header(wrong)]), nothing, "{path} {wrong:?}");
        }
        let bearer = format!("authorization: Bearer {TOKEN}");
        assert_eq!(scene.ask("https", path, &["-H", &bearer]), nothing, "{path}");
        // Forwarded addresses are only claimed.
        assert_eq!(
            scene.ask("https", path, &["-H", "x-forwarded-for: 127.0.0.1", "-H", "host: localhost"]),
            nothing
        );
    }
    let right = header(TOKEN);
    let (status, ledger) = scene.ask("https", "/ledger/kong", &["-H", &right]);
    assert_eq!(status, "200");
    assert!(ledger.contains("demo.example.com"), "{ledger}");
    let file = std::fs::read_to_string(scene.folder.path().join("state/kong/ledger.json")).unwrap();
    assert_eq!(file, ledger, "the file and the port say the same");
    // The state is for its own machine, and its own machine speaks by loopback.
    for path in ["/debug/state", "/log-level"] {
        assert_eq!(scene.ask("https", path, &["-H", &right]), nothing, "{path}");
    }
    assert_eq!(scene.ask("https", "/livez", &[]), ("200".to_owned(), "ok\n".to_owned()));
}

#[test]
fn a_client_certificate_of_the_named_authority_opens_it() {
    if !inside("a_client_certificate_of_the_named_authority_opens_it") {
        return;
    }
    let scene = Scene::new();
    let path = "/ledger/kong";
    assert_eq!(scene.ask("https", path, &[]).0, "404", "no certificate, no token");
    let shown = |name: &str| [format!("{name}.crt"), format!("{name}.key")];
    let [certificate, key] = shown("client");
    let (status, ledger) = scene.ask("https", path, &["--cert", &certificate, "--key", &key]);
    assert_eq!(status, "200");
    assert!(ledger.contains("demo.example.com"), "{ledger}");
    assert_eq!(scene.ask("https", "/debug/state", &["--cert", &certificate, "--key", &key]).0, "404");
    let [certificate, key] = shown("stranger");
    // Refused in the handshake: curl has no status to tell.
    assert_eq!(scene.ask("https", path, &["--cert", &certificate, "--key", &key]).0, "000");
    assert_eq!(scene.ask("https", path, &["-H", &header(TOKEN)]).0, "200", "the token opens it with TLS too");
    assert_eq!(
        scene.ask("http", path, &["-H", &header(TOKEN)]).0,
        "000",
        "and never in clear text where TLS is set"
    );
}

#[test]
fn strangers_that_hold_connections_shut_nobody_out() {
    if !inside("strangers_that_hold_connections_shut_nobody_out") {
        return;
    }
    let scene = Scene::new();
    let held: Vec<TcpStream> = (0..600).map_while(|_| TcpStream::connect(scene.address).ok()).collect();
    assert_eq!(held.len(), 600);
    for stream in &held {
        let _ = (&*stream).write_all(b"\x16");
    }
    wait::until("connections beyond the bound to be closed", PATIENCE, || {
        let closed = held.iter().filter(|stream| is_closed(stream)).count();
        if closed >= 500 { Ok(()) } else { Err(closed) }
    });
    // From another address, while they are held: a probe and a reader of the ledger.
    assert_eq!(scene.ask("https", "/livez", &["--interface", OTHER]).0, "200");
    assert_eq!(scene.ask("https", "/ledger/kong", &["--interface", OTHER, "-H", &header(TOKEN)]).0, "200");
    // A head without end is cut off.
    let long = scene.folder.path().join("long");
    std::fs::write(&long, format!("x-long: {}", "a".repeat(1 << 20))).unwrap();
    let (status, _) =
        scene.ask("https", "/livez", &["--interface", OTHER, "-H", &format!("@{}", long.display())]);
    assert!(["431", "000"].contains(&status.as_str()), "{status}");
}

fn is_closed(stream: &TcpStream) -> bool {
    let _ = stream.set_nonblocking(true);
    match (&*stream).read(&mut [0; 64]) {
        Ok(0) => true,
        Ok(_) => false,
        Err(e) => e.kind() != std::io::ErrorKind::WouldBlock,
    }
}
