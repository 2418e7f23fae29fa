use super::*;
use crate::config::{Listen, TokenFrom};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::sync::watch;

struct Fixed;

impl Answers for Fixed {
    fn alive(&self) -> Result<(), String> {
        Ok(())
    }
    fn ready(&self) -> Result<(), String> {
        Err("kong has no ledger yet".to_owned())
    }
    fn metrics(&self, format: Format) -> String {
        format!("# {format:?}\n")
    }
    fn state(&self) -> String {
        "{}".to_owned()
    }
    fn ledger(&self, gateway: &str, part: Option<&str>) -> Option<(Arc<[u8]>, String)> {
        (gateway == "kong" && part.is_none_or(|p| p == "03"))
            .then(|| (Arc::from(part.unwrap_or("whole").as_bytes()), "\"e1\"".to_owned()))
    }
}

fn shared() -> Shared {
    Shared { answers: Arc::new(Fixed), level: Level::detached(LogLevel::Info), open_metrics: false }
}

/// One request to a router whose visitor is `visitor`: status and body.
async fn ask(
    visitor: Visitor,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> (u16, String) {
    let mut request = axum::http::Request::builder().method(method).uri(path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let request = request.body(Body::from(body.to_owned())).unwrap();
    let router = router(shared()).layer(axum::Extension(visitor));
    let service = TowerToHyperService::new(router);
    let response = hyper::service::Service::call(&service, request).await.unwrap();
    let status = response.status().as_u16();
    let body = http_body_util::BodyExt::collect(response.into_body()).await.unwrap().to_bytes();
    (status, String::from_utf8(body.to_vec()).unwrap())
}

use hyper_util::service::TowerToHyperService;

fn local() -> Visitor {
    Visitor::new(IpAddr::V4(Ipv4Addr::LOCALHOST), false, None)
}

fn remote(certificate: bool) -> Visitor {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("token");
    std::fs::write(&path, "0123456789abcdef").unwrap();
    let token = TokenFrom::File(path).read().unwrap();
    Visitor::new(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)), certificate, Some(Arc::new(token)))
}

#[tokio::test]
async fn a_stranger_sees_the_probes_and_nothing_else() {
    assert_eq!(ask(remote(false), "GET", "/livez", &[], "").await.0, 200);
    assert_eq!(
        ask(remote(false), "GET", "/readyz", &[], "").await,
        (503, "kong has no ledger yet\n".to_owned())
    );
    let nothing = ask(remote(false), "GET", "/no/such/path", &[], "").await;
    for path in ["/", "/metrics", "/ledger/kong", "/ledger/kong/03", "/debug/state", "/log-level"] {
        assert_eq!(ask(remote(false), "GET", path, &[], "").await, nothing, "{path}");
        assert_eq!(
            ask(remote(false), "PUT", path, &[("x-certdrift-token", "0123456789abcdeX")], "debug").await,
            nothing
        );
    }
}

#[tokio::test]
async fn token_or_client_certificate_open_ledgers_and_metrics_but_not_the_state() {
    for (visitor, headers) in [
        (remote(false), &[("x-certdrift-token", "0123456789abcdef")][..]),
        (remote(true), &[][..]),
        (local(), &[][..]),
    ] {
        assert_eq!(ask(visitor.clone(), "GET", "/ledger/kong", headers, "").await, (200, "whole".to_owned()));
        assert_eq!(ask(visitor.clone(), "GET", "/ledger/kong/03", headers, "").await, (200, "03".to_owned()));
        assert_eq!(ask(visitor.clone(), "GET", "/ledger/other", headers, "").await.0, 404);
        assert_eq!(ask(visitor.clone(), "GET", "/metrics", headers, "").await.0, 200);
    }
    assert_eq!(ask(remote(true), "GET", "/debug/state", &[], "").await.0, 404);
    assert_eq!(ask(local(), "GET", "/debug/state", &[], "").await, (200, "{}".to_owned()));
}

#[tokio::test]
async fn a_browser_lured_to_a_name_that_points_here_is_a_stranger() {
    let lured = [("host", "evil.example.com:9480")];
    assert_eq!(ask(local(), "GET", "/debug/state", &lured, "").await.0, 404);
    assert_eq!(ask(local(), "PUT", "/log-level", &lured, "trace").await.0, 404);
    for host in ["localhost:9480", "127.0.0.1:9480", "[::1]:9480"] {
        assert_eq!(ask(local(), "GET", "/debug/state", &[("host", host)], "").await.0, 200, "{host}");
    }
}

#[tokio::test]
async fn an_unchanged_ledger_is_304() {
    for tag in ["\"e1\"", "W/\"e1\"", "\"e0\", \"e1\"", "*"] {
        assert_eq!(ask(local(), "GET", "/ledger/kong", &[("if-none-match", tag)], "").await.0, 304, "{tag}");
    }
    assert_eq!(ask(local(), "GET", "/ledger/kong", &[("if-none-match", "\"e0\"")], "").await.0, 200);
    assert_eq!(ask(local(), "HEAD", "/ledger/kong", &[], "").await, (200, String::new()));
    assert_eq!(ask(local(), "POST", "/ledger/kong", &[], "").await.0, 405);
}

#[tokio::test]
async fn the_log_level_is_set_and_nonsense_refused() {
    assert_eq!(ask(local(), "PUT", "/log-level", &[], "debug\n").await, (200, "debug\n".to_owned()));
    assert_eq!(ask(local(), "PUT", "/log-level", &[], "loud").await.0, 400);
    assert_eq!(ask(local(), "PUT", "/log-level", &[], &"x".repeat(5000)).await.0, 413);
    assert_eq!(ask(local(), "GET", "/log-level", &[], "").await, (200, "info\n".to_owned()));
}

#[tokio::test]
async fn a_listening_server_answers_and_ends_when_told_although_a_client_is_silent() {
    let listen = Listen { address: SocketAddr::from(([127, 0, 0, 1], 0)), ..Listen::default() };
    let server = listen::Server::bind(&listen, None).await.unwrap();
    let address = server.address().unwrap();
    let (stop, stopped) = watch::channel(false);
    let served = tokio::spawn(server.serve(shared(), stopped));
    let silent = tokio::net::TcpStream::connect(address).await.unwrap();
    let mut client = tokio::net::TcpStream::connect(address).await.unwrap();
    client.write_all(b"GET /livez HTTP/1.1\r\nhost: localhost\r\n\r\n").await.unwrap();
    let mut answer = [0; 12];
    client.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"HTTP/1.1 200");
    stop.send(true).unwrap();
    crate::clock::timeout(std::time::Duration::from_secs(10), served).await.unwrap().unwrap();
    drop(silent);
}

#[tokio::test]
async fn a_port_that_is_taken_is_said_so() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let listen = Listen { address: taken.local_addr().unwrap(), ..Listen::default() };
    let finding = listen::Server::bind(&listen, None).await.unwrap_err();
    assert_eq!(finding.code, "CD-510");
}

fn write_certificate(folder: &std::path::Path, name: &str) {
    let made = rcgen::generate_simple_self_signed([name.to_owned()]).unwrap();
    std::fs::write(folder.join("tls.crt"), made.cert.pem()).unwrap();
    std::fs::write(folder.join("tls.key"), made.signing_key.serialize_pem()).unwrap();
}

/// What the port serves to a client that trusts anything: the leaf's DER.
async fn leaf(address: SocketAddr) -> Vec<u8> {
    let stream = tokio::net::TcpStream::connect(address).await.unwrap();
    let connector = tokio_rustls::TlsConnector::from(crate::observe::tls::any());
    let name = rustls_pki_types::ServerName::try_from("localhost").unwrap();
    let mut stream = connector.connect(name, stream).await.unwrap();
    stream.write_all(b"GET /livez HTTP/1.1\r\nhost: localhost\r\n\r\n").await.unwrap();
    let mut answer = [0; 12];
    stream.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"HTTP/1.1 200");
    stream.get_ref().1.peer_certificates().unwrap()[0].to_vec()
}

#[tokio::test]
async fn its_own_renewed_certificate_is_served_without_a_restart_and_a_torn_one_never() {
    let folder = tempfile::tempdir().unwrap();
    write_certificate(folder.path(), "one.example");
    let tls = crate::config::ListenTls {
        certificate: folder.path().join("tls.crt"),
        key: folder.path().join("tls.key"),
        client_ca: Some(folder.path().join("tls.crt")),
    };
    let address = SocketAddr::from(([127, 0, 0, 1], 0));
    let server =
        listen::Server::bind(&Listen { address, tls: Some(tls), ..Listen::default() }, None).await.unwrap();
    let address = server.address().unwrap();
    let (_stop, stopped) = watch::channel(false);
    tokio::spawn(server.serve(shared(), stopped));
    let first = leaf(address).await;
    write_certificate(folder.path(), "two.example");
    let second = leaf(address).await;
    assert_ne!(first, second);
    std::fs::write(folder.path().join("tls.crt"), "-----BEGIN CERTIFICATE-----\nMII").unwrap();
    assert_eq!(leaf(address).await, second);
}
