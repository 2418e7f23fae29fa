//! The watch against a server on loopback that refuses to stream, forgets, is busy, hangs, breaks off, and is right again.
use certdrift::cluster::ObjectName;
use certdrift::cluster::ingress::Ingress;
use certdrift::cluster::watch::drive::Watch;
use certdrift::cluster::watch::machine::{Pace, Problem};
use certdrift::cluster::watch::request::Resource;
use certdrift::cluster::watch::wire::objects;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// What the server does with a request.
enum Answer {
    /// Status, a header, and body.
    Whole(u16, &'static str, String),
    /// Lines, and then silence.
    Lines(Vec<String>),
    /// Lines, and the answer ends in good order.
    Ends(Vec<String>),
    /// Lines, the last of which is cut, and the connection breaks.
    Breaks(Vec<String>),
    /// Nothing at all.
    Hangs,
}

/// A server with a script; after its end it hangs.
struct Server {
    address: String,
    asked: Arc<Mutex<Vec<String>>>,
    bell: watch::Receiver<usize>,
}

impl Server {
    async fn with(script: Vec<Answer>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let asked = Arc::new(Mutex::new(Vec::new()));
        let script = Arc::new(Mutex::new(VecDeque::from(script)));
        let (ring, bell) = watch::channel(0);
        let (ring, told) = (Arc::new(ring), Arc::clone(&asked));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(connection(stream, Arc::clone(&script), Arc::clone(&told), Arc::clone(&ring)));
            }
        });
        Self { address, asked, bell }
    }

    /// Waits until so many requests have come, and returns them.
    async fn asked(&mut self, n: usize) -> Vec<String> {
        let came =
            certdrift::clock::timeout(Duration::from_secs(20), self.bell.wait_for(|count| *count >= n))
                .await
                .is_ok();
        let asked = self.asked.lock().unwrap().clone();
        assert!(came, "{n} requests did not come: {asked:#?}");
        asked
    }

    fn watch(&self) -> Arc<Watch<Ingress>> {
        let mut config = kube::Config::new(self.address.parse().unwrap());
        config.default_retry = false;
        let client = kube::Client::try_from(config).unwrap();
        let watch = Watch::new(Resource::new("networking.k8s.io", "v1", "ingresses"));
        let pace = Pace {
            silence: Duration::from_millis(400),
            silent_list: Duration::from_millis(300),
            head: Duration::from_millis(500),
            longest_wait: Duration::from_millis(200),
            forbidden_wait: Duration::from_millis(50),
            absent_wait: Duration::from_millis(50),
        };
        let read = objects(|ingress: &mut Ingress| &mut ingress.metadata);
        tokio::spawn(Arc::clone(&watch).run(client, read, 1, pace));
        watch
    }
}

async fn connection(
    mut stream: TcpStream,
    script: Arc<Mutex<VecDeque<Answer>>>,
    asked: Arc<Mutex<Vec<String>>>,
    ring: Arc<watch::Sender<usize>>,
) {
    loop {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let Ok(byte) = stream.read_u8().await else { return };
            head.push(byte);
        }
        let head = String::from_utf8(head).unwrap();
        asked.lock().unwrap().push(head.split(' ').nth(1).unwrap().to_owned());
        let answer = script.lock().unwrap().pop_front().unwrap_or(Answer::Hangs);
        let chunked =
            "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n";
        let (lines, then) = match answer {
            Answer::Whole(status, header, body) => {
                let whole =
                    format!("HTTP/1.1 {status} X\r\n{header}content-length: {}\r\n\r\n{body}", body.len());
                stream.write_all(whole.as_bytes()).await.unwrap();
                ring.send_modify(|n| *n += 1);
                continue;
            }
            Answer::Hangs => {
                ring.send_modify(|n| *n += 1);
                (None, None)
            }
            Answer::Lines(lines) => (Some(lines), None),
            Answer::Ends(lines) => (Some(lines), Some("0\r\n\r\n".to_owned())),
            Answer::Breaks(mut lines) => {
                let cut = lines.pop().unwrap();
                let half = &cut[..cut.len() / 2];
                (Some(lines), Some(format!("{:x}\r\n{half}\r\n", half.len())))
            }
        };
        if let Some(lines) = lines {
            let _ = stream.write_all(chunked.as_bytes()).await;
            for line in lines {
                // Cut in two, as a network does.
                let line = format!("{line}\n");
                let (a, b) = line.split_at(line.len() / 2);
                for part in [a, b] {
                    let _ = stream.write_all(format!("{:x}\r\n{part}\r\n", part.len()).as_bytes()).await;
                }
            }
            ring.send_modify(|n| *n += 1);
        }
        match then {
            Some(end) if end.starts_with("0\r\n") => stream.write_all(end.as_bytes()).await.unwrap(),
            Some(half) => {
                let _ = stream.write_all(half.as_bytes()).await;
                return;
            }
            // Silent until the other side gives up.
            None => {
                let _ = stream.read_u8().await;
                return;
            }
        }
    }
}

fn ingress(name: &str, version: u32, secret: &str) -> String {
    format!(
        r#"{{"metadata":{{"name":"{name}","namespace":"n","resourceVersion":"{version}"}},"spec":{{"tls":[{{"hosts":["x.example"],"secretName":"{secret}"}}]}}}}"#
    )
}

fn added(name: &str, version: u32) -> String {
    format!(r#"{{"type":"ADDED","object":{}}}"#, ingress(name, version, "s"))
}

fn deleted(name: &str, version: u32) -> String {
    format!(r#"{{"type":"DELETED","object":{}}}"#, ingress(name, version, "s"))
}

fn ends(version: u32) -> String {
    format!(
        r#"{{"type":"BOOKMARK","object":{{"metadata":{{"resourceVersion":"{version}","annotations":{{"k8s.io/initial-events-end":"true"}}}}}}}}"#
    )
}

fn status(code: u16, message: &str) -> String {
    format!(r#"{{"kind":"Status","status":"Failure","code":{code},"message":"{message}"}}"#)
}

/// Waits until the names are these, and the list is complete.
async fn known(watch: &Watch<Ingress>, names: &[&str]) {
    let mut changes = watch.changes();
    let mut seen = Vec::new();
    let reached = async {
        loop {
            let complete = {
                let known = watch.known();
                seen = known.store.iter().map(|(n, _)| n.name.to_string()).collect::<Vec<_>>();
                known.store.is_complete()
            };
            if complete && seen == names {
                return;
            }
            changes.changed().await.unwrap();
        }
    };
    if certdrift::clock::timeout(Duration::from_secs(20), reached).await.is_err() {
        let known = watch.known();
        panic!("{names:?} did not come: {known:?}");
    }
}

#[tokio::test]
async fn the_list_comes_as_a_stream_and_changes_follow_on_it() {
    let mut server = Server::with(vec![Answer::Lines(vec![
        added("a", 1),
        added("b", 2),
        ends(3),
        added("c", 4),
        deleted("a", 5),
    ])])
    .await;
    let watch = server.watch();
    known(&watch, &["b", "c"]).await;
    let asked = server.asked(1).await;
    assert!(
        asked[0].contains("sendInitialEvents=true") && asked[0].contains("resourceVersionMatch=NotOlderThan"),
        "{asked:?}"
    );
    // Silence: on from the last version, with no new list.
    let asked = server.asked(2).await;
    assert!(asked[1].contains("resourceVersion=5&"), "{asked:?}");
}

#[tokio::test]
async fn a_server_that_refuses_to_stream_is_asked_for_pages() {
    let refusal =
        status(422, "sendInitialEvents is forbidden for watch unless the WatchList feature gate is enabled");
    let page = |next: &str, name: &str| {
        format!(
            r#"{{"kind":"List","metadata":{{"resourceVersion":"9","continue":"{next}"}},"items":[{}]}}"#,
            ingress(name, 1, "s")
        )
    };
    let mut server = Server::with(vec![
        Answer::Whole(422, "", refusal),
        Answer::Whole(200, "", page("more", "a")),
        Answer::Whole(200, "", page("", "b")),
        Answer::Ends(vec![added("c", 10)]),
    ])
    .await;
    let watch = server.watch();
    known(&watch, &["a", "b", "c"]).await;
    let asked = server.asked(5).await;
    assert!(asked[1].contains("limit=50") && asked[2].contains("continue=more"), "{asked:?}");
    assert!(asked[3].contains("resourceVersion=9&") && asked[4].contains("resourceVersion=10&"), "{asked:?}");
}

#[tokio::test]
async fn a_page_mark_that_is_too_old_begins_the_list_anew() {
    let page = |next: &str, name: &str| {
        format!(
            r#"{{"metadata":{{"resourceVersion":"9","continue":"{next}"}},"items":[{}]}}"#,
            ingress(name, 1, "s")
        )
    };
    let server = Server::with(vec![
        Answer::Whole(422, "", String::new()),
        Answer::Whole(200, "", page("more", "gone-since")),
        Answer::Whole(410, "", status(410, "The provided continue parameter is too old")),
        Answer::Whole(200, "", page("", "b")),
    ])
    .await;
    known(&server.watch(), &["b"]).await;
}

#[tokio::test]
async fn a_version_that_is_too_old_lists_again_and_what_was_deleted_meanwhile_is_gone() {
    let gone = format!(r#"{{"type":"ERROR","object":{}}}"#, status(410, "too old resource version"));
    let server = Server::with(vec![
        Answer::Ends(vec![added("a", 1), added("b", 2), ends(3)]),
        Answer::Ends(vec![gone]),
        Answer::Lines(vec![added("b", 2), added("c", 8), ends(9)]),
    ])
    .await;
    known(&server.watch(), &["b", "c"]).await;
}

#[tokio::test]
async fn a_list_that_breaks_off_takes_nothing_away() {
    let gone = format!(r#"{{"type":"ERROR","object":{}}}"#, status(410, "too old resource version"));
    let mut server = Server::with(vec![
        Answer::Ends(vec![added("a", 1), added("b", 2), ends(3)]),
        Answer::Ends(vec![gone]),
        Answer::Breaks(vec![added("b", 2), added("c", 8)]),
        Answer::Whole(500, "", "etcd is away".into()),
    ])
    .await;
    let watch = server.watch();
    server.asked(5).await;
    known(&watch, &["a", "b"]).await;
    assert!(matches!(watch.known().problem, Some(Problem::Broken(_))));
}

#[tokio::test]
async fn busy_broken_forbidden_and_silent_servers_are_asked_until_they_are_right() {
    let server = Server::with(vec![
        Answer::Whole(429, "retry-after: 0\r\n", status(429, "too many requests")),
        Answer::Whole(503, "", String::new()),
        Answer::Whole(403, "", status(403, "ingresses is forbidden: User cannot list")),
        Answer::Whole(401, "", status(401, "Unauthorized")),
        Answer::Breaks(vec!["x".repeat(20)]),
        Answer::Ends(vec![]),
        Answer::Hangs,
        Answer::Lines(vec![added("a", 1), ends(2)]),
    ])
    .await;
    let watch = server.watch();
    known(&watch, &["a"]).await;
    assert_eq!(watch.known().problem, None);
}

#[tokio::test]
async fn what_is_forbidden_is_told_in_the_servers_words() {
    let forbidden = || Answer::Whole(403, "", status(403, "ingresses is forbidden: User cannot list"));
    let mut server = Server::with((0..3).map(|_| forbidden()).collect()).await;
    let watch = server.watch();
    server.asked(3).await;
    let problem = watch.known().problem.clone();
    assert_eq!(problem, Some(Problem::Forbidden("ingresses is forbidden: User cannot list".into())));
    assert!(!watch.known().store.is_complete());
}

#[tokio::test]
async fn a_kind_that_is_not_installed_is_empty_and_found_when_it_comes() {
    let absent = || Answer::Whole(404, "", "404 page not found".into());
    let mut server =
        Server::with(vec![absent(), absent(), Answer::Lines(vec![added("a", 1), ends(2)])]).await;
    let watch = server.watch();
    server.asked(2).await;
    known(&watch, &["a"]).await;
}

#[tokio::test]
async fn a_stream_that_stays_silent_is_given_up_for_pages() {
    let list = r#"{"metadata":{"resourceVersion":"9"},"items":[]}"#;
    let mut server =
        Server::with(vec![Answer::Lines(vec![added("a", 1)]), Answer::Whole(200, "", list.into())]).await;
    let watch = server.watch();
    known(&watch, &[]).await;
    assert!(server.asked(2).await[1].contains("limit=50"));
}

#[tokio::test]
async fn an_object_that_cannot_be_read_is_told_and_the_others_are_read() {
    let bad = r#"{"type":"ADDED","object":{"metadata":{"name":"bad","namespace":"n","resourceVersion":"2"},"spec":7}}"#;
    let server = Server::with(vec![Answer::Lines(vec![added("a", 1), bad.into(), ends(3)])]).await;
    let watch = server.watch();
    known(&watch, &["a"]).await;
    let faults: Vec<ObjectName> = watch.known().store.faults().map(|(n, _)| n.clone()).collect();
    assert_eq!(faults, [ObjectName::new("n", "bad")]);
}

#[tokio::test]
async fn a_line_without_end_is_not_read_without_end() {
    let server = Server::with(vec![
        Answer::Lines(vec!["x".repeat(12 << 20)]),
        Answer::Lines(vec![added("a", 1), ends(2)]),
    ])
    .await;
    known(&server.watch(), &["a"]).await;
}
