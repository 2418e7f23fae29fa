//! The include's server on loopback: the ledger from the controller or from a file, and who may read what.
use certdrift_tests::nginx::{Answer, Nginx, Plan, request};
use certdrift_tests::process::free_port;
use certdrift_tests::wait;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::time::Duration;

const CONTROLLER: &str = "127.0.0.1:9480";
const LOOPBACK: &str = "127.0.0.0/8   1;";

fn plan() -> Plan {
    Nginx::with_workers(1).tap()
}

fn get(nginx: &Nginx, path: &str, headers: &[&str]) -> Answer {
    request(nginx.tap_address(), "GET", path, headers).unwrap()
}

fn header<'a>(answer: &'a Answer, name: &str) -> Option<&'a str> {
    answer.head.lines().find_map(|line| {
        let (key, value) = line.split_once(": ")?;
        key.eq_ignore_ascii_case(name).then_some(value)
    })
}

#[test]
fn the_ledger_is_served_from_its_file_with_an_etag_and_its_parts_beside_it() {
    let nginx = plan().start().unwrap();
    assert_eq!(get(&nginx, "/ledger.json", &[]).status, 404);
    std::fs::write(nginx.folder().join("ledger/ledger.json"), "{\"a\":1}").unwrap();
    let part = certdrift_contract::names::part_path("/ledger.json", "03");
    std::fs::write(nginx.folder().join(format!("ledger{part}")), "{\"part\":3}").unwrap();
    std::fs::write(nginx.folder().join("ledger/secret.txt"), "not for you").unwrap();

    let answer = get(&nginx, "/ledger.json", &[]);
    assert_eq!((answer.status, answer.body.as_str()), (200, "{\"a\":1}"));
    assert_eq!(header(&answer, "content-type"), Some("application/json"));
    assert_eq!(header(&answer, "content-length"), Some("7"), "{}", answer.head);
    let etag = format!("If-None-Match: {}", header(&answer, "etag").unwrap());
    assert_eq!(get(&nginx, "/ledger.json", &[&etag]).status, 304);
    assert_eq!(get(&nginx, &part, &[]).body, "{\"part\":3}");
    for path in ["/secret.txt", "/ledger/../secret.txt", "/ledger-x/../secret.txt", "/nginx.conf"] {
        let answer = get(&nginx, path, &[]);
        assert!(answer.status == 404 && answer.body.starts_with("{\"error\""), "{path}: {answer:?}");
    }
}

#[test]
fn the_controllers_ledger_is_handed_through_with_its_etag_and_the_token() {
    let controller = TcpListener::bind("127.0.0.1:0").unwrap();
    let nginx = plan().edit(CONTROLLER, &controller.local_addr().unwrap().to_string()).start().unwrap();
    std::fs::write(nginx.folder().join("token/token"), "s3cret\n").unwrap();
    let served = std::thread::spawn(move || {
        let mut requests = Vec::new();
        for answer in [
            "200 OK\r\nETag: \"r1\"\r\nContent-Length: 2\r\n\r\n{}",
            "304 Not Modified\r\nETag: \"r1\"\r\n\r\n",
        ] {
            let (mut connection, _) = controller.accept().unwrap();
            let mut request = Vec::new();
            while !request.ends_with(b"\r\n\r\n") {
                let mut byte = [0];
                connection.read_exact(&mut byte).unwrap();
                request.push(byte[0]);
            }
            requests.push(String::from_utf8(request).unwrap());
            connection.write_all(format!("HTTP/1.1 {answer}").as_bytes()).unwrap();
        }
        requests
    });
    let path = certdrift_contract::names::part_path("/ledger/kong", "03");
    let first = get(&nginx, &path, &[]);
    assert_eq!((first.status, first.body.as_str(), header(&first, "etag")), (200, "{}", Some("\"r1\"")));
    assert_eq!(get(&nginx, "/ledger/kong", &["If-None-Match: \"r1\""]).status, 304);
    let requests = served.join().unwrap();
    assert!(requests[0].starts_with("GET /ledger/kong/03 HTTP/1.1\r\n"), "{}", requests[0]);
    assert!(requests[0].contains("x-certdrift-token: s3cret\r\n"), "{}", requests[0]);
    assert!(requests[1].contains("If-None-Match: \"r1\"\r\n"), "{}", requests[1]);
}

#[test]
fn nginx_starts_and_serves_while_nobody_listens_at_the_controllers_port() {
    let nginx = plan().edit(CONTROLLER, &format!("127.0.0.1:{}", free_port())).start().unwrap();
    assert_eq!(get(&nginx, "/ledger/kong", &[]).status, 502);
    assert_eq!(nginx.tap_report().unwrap().observations, []);
}

#[test]
fn nginx_starts_and_serves_while_the_controllers_name_does_not_resolve() {
    // A resolver that does not answer: a socket nobody reads.
    let silent = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let nginx = plan()
        .edit(CONTROLLER, "certdrift.nowhere.svc.cluster.local:9480")
        .edit(
            "resolver 10.96.0.10 valid=10s",
            &format!("resolver {} valid=10s", silent.local_addr().unwrap()),
        )
        .edit("resolver_timeout 2s", "resolver_timeout 100ms")
        .start()
        .unwrap();
    assert_eq!(get(&nginx, "/ledger/kong", &[]).status, 502);
    assert_eq!(nginx.tap_report().unwrap().workers.len(), 1);
}

#[test]
fn the_tap_answers_reads_only_and_nothing_is_cacheable() {
    let nginx = plan().start().unwrap();
    let ask = |method: &str, path: &str| request(nginx.tap_address(), method, path, &[]).unwrap();
    let head = ask("HEAD", "/tap");
    assert_eq!((head.status, head.body.as_str()), (200, ""));
    for method in ["POST", "PUT", "DELETE", "OPTIONS"] {
        let answer = ask(method, "/tap");
        assert_eq!((answer.status, header(&answer, "allow")), (405, Some("GET, HEAD")), "{method}");
        assert!(answer.body.starts_with("{\"error\""));
    }
    assert_eq!(ask("POST", "/ledger/kong").status, 405);
    for path in ["/tap", "/elsewhere"] {
        let answer = ask("GET", path);
        assert_eq!(header(&answer, "cache-control"), Some("no-store"), "{path}");
        assert_eq!(header(&answer, "content-type"), Some("application/json"), "{path}");
    }
    assert_eq!(ask("GET", "/tap/").status, 404);
}

#[test]
fn a_stranger_may_read_neither_tap_nor_ledger_but_the_token_opens_the_tap() {
    let nginx = plan().edit(LOOPBACK, "").start().unwrap();
    std::fs::write(nginx.folder().join("ledger/ledger.json"), "{}").unwrap();
    let refused = get(&nginx, "/tap", &["x-certdrift-token: s3cret"]);
    assert_eq!(refused.status, 403, "there is no token: {refused:?}");
    assert!(refused.body.starts_with("{\"error\""), "{refused:?}");
    assert_eq!(header(&refused, "cache-control"), Some("no-store"));

    std::fs::write(nginx.folder().join("token/token"), "s3cret\n").unwrap();
    for wrong in ["", "s3cre", "s3crets", "S3cret", "s3cret\0"] {
        let answer = request(nginx.tap_address(), "GET", "/tap", &[&format!("x-certdrift-token: {wrong}")]);
        assert!(answer.is_err() || answer.is_ok_and(|a| a.status == 403 || a.status == 400), "{wrong:?}");
    }
    let forwarded = ["X-Forwarded-For: 127.0.0.1", "X-Real-IP: 127.0.0.1", "Forwarded: for=127.0.0.1"];
    assert_eq!(get(&nginx, "/tap", &forwarded).status, 403);
    for path in ["/ledger.json", "/ledger/kong"] {
        assert_eq!(get(&nginx, path, &["x-certdrift-token: s3cret"]).status, 403, "{path}");
    }
    assert_eq!(get(&nginx, "/tap", &["x-certdrift-token: s3cret"]).status, 200);

    std::fs::write(nginx.folder().join("token/token"), "rotated").unwrap();
    assert_eq!(get(&nginx, "/tap", &["x-certdrift-token: s3cret"]).status, 403);
    assert_eq!(get(&nginx, "/tap", &["x-certdrift-token: rotated"]).status, 200);
}

#[test]
fn the_tap_can_be_opened_on_a_port_of_the_pod_for_a_range_of_addresses() {
    let port = free_port();
    let _nginx = plan()
        .edit("# listen 8788;", &format!("listen {port}; listen [::]:{port};"))
        .edit(LOOPBACK, "127.0.0.2 1;")
        .start()
        .unwrap();
    let ask = |from: &str| {
        let out = std::process::Command::new("curl")
            .args(["-s", "-o", "/dev/null", "-w", "%{http_code}", "--interface", from])
            .arg(format!("http://127.0.0.1:{port}/tap"))
            .output()
            .expect("curl: install Debian's package curl");
        String::from_utf8(out.stdout).unwrap()
    };
    assert_eq!((ask("127.0.0.2").as_str(), ask("127.0.0.3").as_str()), ("200", "403"));
    let v6: SocketAddr = format!("[::1]:{port}").parse().unwrap();
    assert_eq!(request(v6, "GET", "/tap", &[]).unwrap().status, 200);
}

#[test]
fn a_listener_that_comes_up_later_is_found() {
    let port = free_port();
    let nginx = plan().edit(CONTROLLER, &format!("127.0.0.1:{port}")).start().unwrap();
    assert_eq!(get(&nginx, "/ledger/kong", &[]).status, 502);
    let controller = TcpListener::bind(("127.0.0.1", port)).unwrap();
    std::thread::spawn(move || {
        for connection in controller.incoming() {
            let mut connection = connection.unwrap();
            let _ = connection.read(&mut [0u8; 1024]);
            let _ = connection.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}");
        }
    });
    wait::until("the controller through nginx", Duration::from_secs(15), || {
        let answer = get(&nginx, "/ledger/kong", &[]);
        if answer.status == 200 { Ok(()) } else { Err(answer) }
    });
}
