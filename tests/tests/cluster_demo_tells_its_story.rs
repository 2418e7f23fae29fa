//! `cargo xtask demo --kubernetes`, in a cluster of its own: it comes to its end in time, each of its claims looked at before
//! it is told; docs/demo-kubernetes.md shows what it prints; and nothing of it is left.
mod shown;

use std::process::Command;
use std::time::{Duration, Instant};

#[test]
fn the_demo_in_a_cluster_comes_to_its_end_and_leaves_nothing() {
    let program = xtask::build::certdrift().expect("certdrift is built");
    let demo = program.with_file_name("certdrift-demo");
    let began = Instant::now();
    let mut demo = Command::new(&demo);
    demo.arg("--kubernetes").env(xtask::build::BINARY, &program);
    for (name, file) in [(xtask::build::CLUSTER, "certdrift-cluster"), (xtask::build::KIC, "certdrift-kic")] {
        demo.env(name, program.with_file_name(file));
    }
    let demo = demo
        .env("LC_ALL", "C.UTF-8")
        .env_remove("CLICOLOR_FORCE")
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("{error}: cargo build --workspace --bins"));
    let cluster = format!("demo-{}", demo.id());
    let output = demo.wait_with_output().expect("the demo");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}\n{}", String::from_utf8_lossy(&output.stderr));
    // Alone it takes two minutes and a half; beside other tests, more.
    assert!(began.elapsed() < Duration::from_secs(280), "{:?}", began.elapsed());
    assert!(!certdrift_cluster::Place::new(&cluster).expect("a name").folder().exists(), "{cluster} is left");
    let said = shown::tidy(&said, &program).replace(&cluster, "demo-1");
    shown::holds("docs/demo-kubernetes.md", &said, "cluster_demo_tells_its_story");
}
