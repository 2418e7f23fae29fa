//! How `certdrift audit` ends where there is no answer to be had: bad usage, no cluster, Ctrl-C in the middle.
use certdrift_tests::program::run;
use certdrift_tests::wait;
use std::io::Read as _;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

const CERTDRIFT: &str = env!("CARGO_BIN_EXE_certdrift-under-test");

fn kubeconfig(folder: &Path, server: &str) -> String {
    let file = folder.join("kubeconfig");
    let text = format!(
        "apiVersion: v1\nkind: Config\ncurrent-context: c\nclusters: [{{name: k, cluster: {{server: \"{server}\"}}}}]\nusers: [{{name: u, user: {{token: t}}}}]\ncontexts: [{{name: c, context: {{cluster: k, user: u}}}}]\n"
    );
    std::fs::write(&file, text).unwrap();
    file.display().to_string()
}

#[test]
fn what_is_typed_wrong_is_64() {
    for wrong in [
        &["--selector", "app=kong"][..],
        &["--namespace", "n", "--selector", "kong"],
        &["--namespace", "n", "--service", "s", "--selector", "a=b"],
        &["--rate", "0"],
        &["--timeout", "0s"],
        &["--port", "99999"],
        &["--config", "/nowhere.yaml"],
    ] {
        let ran = run(CERTDRIFT, &[&["audit"][..], wrong].concat());
        assert_eq!(ran.code, Some(64), "{wrong:?}: {ran:?}");
        assert!(!ran.stderr.is_empty(), "{wrong:?}");
    }
}

#[test]
fn without_a_cluster_it_could_not_tell() {
    let folder = tempfile::tempdir().unwrap();
    let none = run(CERTDRIFT, &["audit", "--kubeconfig", "/nowhere"]);
    assert_eq!(none.code, Some(2), "{none:?}");
    assert!(none.stderr.contains("CD-136"), "{none:?}");
    // Nothing listens there.
    let away = run(
        CERTDRIFT,
        &["audit", "--kubeconfig", &kubeconfig(folder.path(), "http://127.0.0.1:9"), "-o", "json"],
    );
    assert_eq!(away.code, Some(2), "{away:?}");
    let report = away.json();
    assert_eq!((report["verdict"].as_str(), report["exit_code"].as_u64()), (Some("unknown"), Some(2)));
    let unread: Vec<&str> =
        report["unread"].as_array().unwrap().iter().filter_map(|u| u["kind"].as_str()).collect();
    assert!(unread.contains(&"secrets") && unread.contains(&"pods"), "{unread:?}");
}

#[test]
fn ctrl_c_ends_it_at_once_and_says_that_nothing_is_left() {
    // A server that takes connections and never answers.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let server = format!("http://{}", listener.local_addr().unwrap());
    let (tell, asked) = mpsc::channel();
    std::thread::spawn(move || {
        let mut kept = Vec::new();
        for mut stream in listener.incoming().flatten() {
            let _ = stream.read(&mut [0; 16]);
            let _ = tell.send(());
            kept.push(stream);
        }
    });
    let folder = tempfile::tempdir().unwrap();
    let mut child = Command::new(CERTDRIFT)
        .args(["audit", "--kubeconfig", &kubeconfig(folder.path(), &server)])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    asked.recv_timeout(Duration::from_secs(60)).unwrap();
    let id = child.id().to_string();
    assert!(Command::new("kill").args(["-INT", &id]).status().unwrap().success());
    let status = wait::until("it to end", Duration::from_secs(10), || {
        child.try_wait().map_err(|e| e.to_string())?.ok_or("it runs still".to_owned())
    });
    assert_eq!(status.code(), Some(130));
    let (mut out, mut err) = (String::new(), String::new());
    child.stdout.take().unwrap().read_to_string(&mut out).unwrap();
    child.stderr.take().unwrap().read_to_string(&mut err).unwrap();
    assert_eq!(
        (out.as_str(), err.as_str()),
        ("", "interrupted: nothing was written, and nothing is left behind\n")
    );
}
