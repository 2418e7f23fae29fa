//! Killed between the intent of a remedy and its act, or during the act: the intent is on disk, so it is told, the
//! wire is looked at first, and neither interval nor budget is forgotten.
use certdrift_tests::certs::{Ca, wish};
use certdrift_tests::controller::{Controller, PATIENCE};
use certdrift_tests::nginx::Nginx;
use certdrift_tests::process::free_port;
use certdrift_tests::wait;
use serde_json::Value;
use std::net::TcpListener;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::PathBuf;
use std::process::Command;

const HOST: &str = "demo.example.com";

struct Scene {
    ca: Ca,
    folder: tempfile::TempDir,
    nginx: Nginx,
    port: u16,
}

impl Scene {
    fn new() -> Self {
        let ca = Ca::new("certdrift test CA").unwrap();
        let folder = tempfile::tempdir().unwrap();
        let port = free_port();
        ca.issue(&wish(&[HOST])).unwrap().write(folder.path(), "demo").unwrap();
        let tls = folder.path().display();
        let nginx = Nginx::with_workers(1)
            .server(&format!(
                "listen 127.0.0.1:{port} ssl; ssl_certificate {tls}/demo.crt; ssl_certificate_key {tls}/demo.key; return 200;"
            ))
            .start()
            .unwrap();
        Self { ca, folder, nginx, port }
    }

    fn renew(&self) {
        self.ca.issue(&wish(&[HOST])).unwrap().write(self.folder.path(), "demo").unwrap();
    }

    fn gateway(&self, limits: &str, remedy: &str) -> String {
        format!(
            "- name: nginx
  sources: [{{directory: {}}}]
  publish: {{grace: 1s}}
  observe: {{per_second: 200}}
  endpoints: [{{name: a, address: \"127.0.0.1:{}\", workers: 1}}]
  policy: {{mode: heal, grace: 1s, settle: 1s, {limits}, remedies: [{{name: mend, {remedy}}}]}}
",
            self.folder.path().display(),
            self.port,
        )
    }
}

/// A program that says it was started, and then waits for a word through a pipe; told `reload`, it reloads the gateway.
struct Blocking {
    folder: tempfile::TempDir,
}

impl Blocking {
    fn new(scene: &Scene) -> Self {
        let mend = Self { folder: tempfile::tempdir().unwrap() };
        assert!(Command::new("mkfifo").arg(mend.at("pipe")).status().unwrap().success());
        let text = format!(
            "echo $CERTDRIFT_INTENT >> {}\nread word < {}\n[ \"$word\" = reload ] && kill -HUP $(cat {}/pid)\n",
            mend.at("runs").display(),
            mend.at("pipe").display(),
            scene.nginx.folder().display(),
        );
        std::fs::write(mend.at("mend.sh"), text).unwrap();
        mend
    }

    fn at(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn remedy(&self, timeout: &str) -> String {
        format!("timeout: {timeout}, command: {{argv: [sh, {}]}}", self.at("mend.sh").display())
    }

    fn runs(&self) -> usize {
        std::fs::read_to_string(self.at("runs")).unwrap_or_default().lines().count()
    }

    /// Says a word to the one that waits; nothing when none does.
    fn say(&self, word: &str) -> std::io::Result<()> {
        let nonblocking = rustix::fs::OFlags::NONBLOCK.bits().cast_signed();
        let pipe = std::fs::OpenOptions::new().write(true).custom_flags(nonblocking).open(self.at("pipe"));
        std::io::Write::write_all(&mut pipe?, format!("{word}\n").as_bytes())
    }
}

impl Drop for Blocking {
    fn drop(&mut self) {
        // What waits still, ends.
        let _ = self.say("end");
    }
}

fn history(controller: &Controller, what: &str) -> Vec<Value> {
    let text = std::fs::read_to_string(controller.state().join("nginx/history.jsonl")).unwrap_or_default();
    let all = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    all.filter(|record| record["what"] == what).collect()
}

fn in_flight(controller: &Controller) -> Value {
    let text = std::fs::read_to_string(controller.state().join("nginx/convergence.json")).unwrap();
    serde_json::from_str::<Value>(&text).unwrap()["in_flight"].clone()
}

fn until_waits(controller: &Controller, wanted: &str) {
    wait::until(wanted, PATIENCE, || {
        let (_, state) = controller.status().map_err(|e| format!("{e:#}"))?;
        let waits = state["gateways"][0]["hosts"][0]["seen"][0]["waits"].clone();
        (waits == wanted).then_some(()).ok_or(format!("{state}\n{}", controller.log()))
    });
}

/// What was in flight when it was killed is told once: CD-406 in the log, an end that is not known in the history.
fn until_told(controller: &Controller) {
    wait::until("the interrupted remedy to be told", PATIENCE, || {
        controller.log().contains("CD-406").then_some(()).ok_or_else(|| controller.log())
    });
    let ended = history(controller, "ended");
    assert_eq!(ended.len(), 1, "{ended:?}");
    assert_eq!(ended[0]["ok"], false, "{ended:?}");
    assert!(ended[0]["said"].as_str().unwrap().contains("not known"), "{ended:?}");
    assert_eq!(in_flight(controller), Value::Null);
}

#[test]
fn during_the_act_it_is_told_and_not_repeated_within_its_interval() {
    let scene = Scene::new();
    let mend = Blocking::new(&scene);
    let gateway = scene.gateway("min_interval: 1h", &mend.remedy("20s"));
    let mut controller = Controller::start(&gateway).unwrap();
    controller.until_status(0);
    scene.renew();
    wait::until("the act", PATIENCE, || (mend.runs() == 1).then_some(()).ok_or_else(|| controller.log()));
    assert_eq!(in_flight(&controller)["intent"]["remedy"], "mend");
    controller.kill();
    controller.run().unwrap();
    until_told(&controller);
    until_waits(&controller, "a human, because every remedy for its cause was tried");
    // Another remedy is configured, so that there is something to try: the interval stands all the same.
    controller.configure(&gateway.replace("name: mend", "name: again")).unwrap();
    controller.signal(rustix::process::Signal::HUP);
    until_waits(&controller, "the minimum interval between remedies");
    assert_eq!((mend.runs(), history(&controller, "remedy").len()), (1, 1));
}

#[test]
fn during_the_act_the_budget_is_not_forgotten() {
    let scene = Scene::new();
    let mend = Blocking::new(&scene);
    let gateway = scene.gateway("min_interval: 1s, budget_per_hour: 1", &mend.remedy("20s"));
    let mut controller = Controller::start(&gateway).unwrap();
    controller.until_status(0);
    scene.renew();
    wait::until("the act", PATIENCE, || (mend.runs() == 1).then_some(()).ok_or_else(|| controller.log()));
    controller.kill();
    controller.configure(&gateway.replace("name: mend", "name: again")).unwrap();
    controller.run().unwrap();
    until_told(&controller);
    until_waits(&controller, "the hourly budget of remedies");
    controller.kill();
    controller.run().unwrap();
    until_waits(&controller, "the hourly budget of remedies");
    assert_eq!((mend.runs(), history(&controller, "remedy").len()), (1, 1));
}

#[test]
fn an_act_that_went_on_alone_is_proven_on_the_wire_and_not_done_again() {
    let scene = Scene::new();
    let mend = Blocking::new(&scene);
    let gateway = scene.gateway("min_interval: 1s", &mend.remedy("40s"));
    let mut controller = Controller::start(&gateway).unwrap();
    controller.until_status(0);
    scene.renew();
    wait::until("the act", PATIENCE, || (mend.runs() == 1).then_some(()).ok_or_else(|| controller.log()));
    controller.kill();
    controller.run().unwrap();
    until_told(&controller);
    until_waits(&controller, "the wire to be seen after the last remedy");
    mend.say("reload").unwrap();
    controller.until_status(0);
    let converged = wait::until("the proof", PATIENCE, || history(&controller, "converged").pop().ok_or(()));
    assert_eq!(converged["after"], "mend", "{converged}");
    assert_eq!((mend.runs(), history(&controller, "remedy").len()), (1, 1));
}

#[test]
fn between_the_intent_and_the_act_it_is_told_and_the_wire_is_looked_at_first() {
    let scene = Scene::new();
    // It takes the connection and never shakes hands: the request cannot be sent, so the intent stands and nothing
    // was done.
    let receiver = TcpListener::bind("127.0.0.1:0").unwrap();
    let hook = format!("timeout: 20s, webhook: {{url: \"https://{}/mend\"}}", receiver.local_addr().unwrap());
    let mut controller = Controller::start(&scene.gateway("min_interval: 1s", &hook)).unwrap();
    controller.until_status(0);
    scene.renew();
    receiver.set_nonblocking(true).unwrap();
    let (connection, _) = wait::until("the act to begin", PATIENCE, || receiver.accept());
    assert_eq!(in_flight(&controller)["intent"]["kind"], "webhook", "the intent is on disk before the act");
    controller.kill();
    drop(connection);
    // Meanwhile somebody else has mended it.
    scene.nginx.reload().unwrap();
    controller.run().unwrap();
    until_told(&controller);
    controller.until_status(0);
    wait::until("the proof", PATIENCE, || history(&controller, "converged").pop().ok_or(()));
    let again = receiver.accept().map(|_| ()).unwrap_err();
    assert_eq!(again.kind(), std::io::ErrorKind::WouldBlock, "nobody is told to act again");
    assert_eq!(history(&controller, "remedy").len(), 1);
}
