//! Of its end: two clusters do not see each other, and of one that has ended nothing is left, however it ended.
use crate::PATIENCE;
use certdrift_cluster::up::{Wish, down, up};
use certdrift_cluster::{Kind, Own, Place};
use certdrift_harness::wait;
use rustix::process::{Pid, Signal, kill_process};
use std::process::{Command, Stdio};

#[test]
fn two_clusters_run_side_by_side_and_leave_nothing() {
    let one = Own::start("one", Kind::ApiOnly).unwrap();
    let two = Own::start("two", Kind::ApiOnly).unwrap();
    one.kubectl(&["create", "namespace", "only-in-one"]).unwrap();
    let namespaces = two.kubectl(&["get", "namespaces", "--output=name"]).unwrap();
    assert!(!namespaces.contains("only-in-one"), "{namespaces}");
    let (place, daemon) = (one.place().clone(), one.daemon("kube-apiserver").unwrap());
    drop(one);
    assert!(!place.folder().exists());
    assert!(!std::path::Path::new(&format!("/proc/{daemon}")).exists());
    two.kubectl(&["get", "namespaces"]).unwrap();
}

#[test]
fn an_api_server_that_is_held_back_does_not_answer_and_one_that_is_released_does() {
    let cluster = Own::start("hold", Kind::ApiOnly).unwrap();
    cluster.hold("kube-apiserver").unwrap();
    cluster.kubectl(&["get", "--raw", "/readyz"]).unwrap_err();
    cluster.release("kube-apiserver").unwrap();
    wait::until("the API server", PATIENCE, || cluster.kubectl(&["get", "--raw", "/readyz"]));
}

#[test]
fn a_killed_daemon_is_started_again() {
    let cluster = Own::start("kill", Kind::ApiOnly).unwrap();
    let before = cluster.daemon("kube-apiserver").unwrap();
    kill_process(Pid::from_raw(i32::try_from(before).unwrap()).unwrap(), Signal::KILL).unwrap();
    wait::until("another API server", PATIENCE, || match cluster.daemon("kube-apiserver") {
        Some(now) if now != before => Ok(()),
        other => Err(other),
    });
}

#[test]
fn a_cluster_ends_with_its_owner_and_what_is_left_is_removed() {
    let place = Place::new(&format!("orphan-{}", std::process::id())).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("owner");
    let owner = xtask::cache::lock_file(&file).unwrap();
    up(&place, &Wish { kind: Kind::ApiOnly, owner: Some(file) }).unwrap();
    // As the kernel does when a process dies.
    drop(owner);
    wait::until("the cluster to end by itself", PATIENCE, || match place.init() {
        None => Ok(()),
        Some(pid) => Err(pid),
    });
    // Any `up` removes what the dead have left: another test may have been first.
    down(&place).unwrap();
    assert!(!place.folder().exists());
}

#[test]
fn an_up_that_was_killed_half_way_is_put_away_by_down() {
    let place = Place::new(&format!("half-{}", std::process::id())).unwrap();
    let mut half = Command::new(xtask::build::cluster().unwrap())
        .args(["up", "--api-only", place.name()])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let init = wait::until("its first process", PATIENCE, || place.init().ok_or("none"));
    half.kill().unwrap();
    half.wait().unwrap();
    assert!(down(&place).unwrap());
    assert!(!place.folder().exists());
    assert!(!std::path::Path::new(&format!("/proc/{init}")).exists());
}
