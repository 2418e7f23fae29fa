//! `certdrift bundle` beside a running controller: what was planted in it is not in the archive, byte for byte; what could not be
//! had is named; and no file is ever written over.
use certdrift_tests::certs::{Ca, wish};
use certdrift_tests::controller::{Controller, PATIENCE};
use certdrift_tests::wait;
use serde_json::Value;
use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};

const TOKEN: &str = "correct-horse-battery-staple-42";
const HOST: &str = "shop.customer-of-ours.example.net";

/// A controller into whose configuration somebody wrote all that he should not, and the key in its folder.
fn planted() -> (tempfile::TempDir, String, Controller) {
    let folder = tempfile::tempdir().unwrap();
    let ca = Ca::new("certdrift test CA").unwrap();
    ca.issue(&wish(&[HOST])).unwrap().write(folder.path(), "demo").unwrap();
    let key = std::fs::read_dir(folder.path())
        .unwrap()
        .map(|entry| std::fs::read_to_string(entry.unwrap().path()).unwrap())
        .find(|text| text.contains("PRIVATE KEY"))
        .unwrap();
    let key = key.split_once("-----BEGIN").map(|(_, rest)| format!("-----BEGIN{rest}")).unwrap();
    let token = folder.path().join("token");
    std::fs::write(&token, TOKEN).unwrap();
    let escaped = serde_json::to_string(&key).unwrap();
    let gateways = format!(
        "- name: kong\n  sources: [{{directory: {0}/.}}]\n  endpoints: [{{name: a, address: \"{HOST}:9\", token: {{file: {1}}}}}]\n  \
         acknowledged: [{{host: {HOST}, reason: {escaped}, until: \"2099-01-01T00:00:00Z\"}}]\n  \
         policy: {{remedies: [{{name: r, command: {{argv: [\"true\", \"--token={TOKEN}\"], env: {{KEY: {escaped}}}}}}}]}}\n",
        folder.path().display(),
        token.display()
    );
    let controller = Controller::start(&gateways).unwrap();
    wait::until("the first ledger", PATIENCE, || match controller.get("/readyz") {
        Ok(answer) if answer.status == 200 => Ok(()),
        other => Err(format!("{other:?}\n{}", controller.log())),
    });
    (folder, key, controller)
}

fn bundle(controller: &Controller, arguments: &[&str]) -> Output {
    let mut command = Command::new(xtask::build::certdrift().unwrap());
    command.arg("bundle").args(arguments).arg("--config").arg(controller.configuration());
    command.env("CERTDRIFT_URL", format!("http://{}", controller.address())).env("LC_ALL", "C.UTF-8");
    command.current_dir(controller.folder()).stdin(Stdio::null()).output().unwrap()
}

/// The files of an archive, as `tar` unpacks them.
fn unpacked(archive: &Path, to: &Path) -> BTreeMap<String, Vec<u8>> {
    std::fs::create_dir(to).unwrap();
    let tar = Command::new("tar").arg("xzf").arg(archive).arg("-C").arg(to).output().unwrap();
    assert!(tar.status.success(), "{tar:?}");
    let mut files = BTreeMap::new();
    let mut folders = vec![to.to_owned()];
    while let Some(folder) = folders.pop() {
        for path in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            if path.is_dir() {
                folders.push(path);
            } else {
                let name =
                    path.strip_prefix(to).unwrap().components().skip(1).collect::<std::path::PathBuf>();
                files.insert(name.display().to_string(), std::fs::read(&path).unwrap());
            }
        }
    }
    files
}

fn holds(bytes: &[u8], needle: &str) -> bool {
    bytes.windows(needle.len()).any(|window| window == needle.as_bytes())
}

fn code(output: &Output) -> (Option<i32>, String) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code(), format!("{}\n{}", text(&output.stdout), text(&output.stderr)))
}

#[test]
fn what_was_planted_is_in_no_file_of_the_archive() {
    let (_folder, key, controller) = planted();
    let state = controller.get("/debug/state").unwrap().body;
    assert!(holds(state.as_bytes(), HOST), "it is there to be found");
    let archive = controller.folder().join("support.tar.gz");
    let told = code(&bundle(&controller, &["--yes", "--redact-hosts", "--file", "support.tar.gz"]));
    assert_eq!(told.0, Some(0), "{}", told.1);
    assert_eq!(std::fs::metadata(&archive).unwrap().permissions().mode() & 0o777, 0o600);
    let files = unpacked(&archive, &controller.folder().join("unpacked"));
    let names: Vec<&str> = files.keys().map(String::as_str).collect();
    let wanted = [
        "MANIFEST.json",
        "configuration.yaml",
        "history.json",
        "ledgers/kong.json",
        "metrics.txt",
        "status.json",
        "version.json",
    ];
    assert_eq!(names, wanted, "{}", told.1);
    let lines: Vec<&str> = key.lines().filter(|line| !line.starts_with('-') && line.len() > 8).collect();
    assert!(lines.len() >= 3, "{key}");
    for (name, bytes) in &files {
        for line in &lines {
            assert!(!holds(bytes, line), "{name} holds {line}: {}", String::from_utf8_lossy(bytes));
        }
        assert!(!holds(bytes, TOKEN), "{name}: {}", String::from_utf8_lossy(bytes));
        assert!(!holds(bytes, HOST), "{name}: {}", String::from_utf8_lossy(bytes));
    }
    // And it is of use: read by programs, with the same name for the same host in each.
    for name in ["MANIFEST.json", "history.json", "ledgers/kong.json", "status.json", "version.json"] {
        serde_json::from_slice::<Value>(&files[name]).unwrap_or_else(|e| panic!("{name}: {e}"));
    }
    for name in ["status.json", "ledgers/kong.json", "configuration.yaml"] {
        assert!(holds(&files[name], "host-1.example"), "{name}: {}", String::from_utf8_lossy(&files[name]));
    }
    assert!(holds(&files["configuration.yaml"], "/token"), "where a token comes from is shown");
    let manifest: Value = serde_json::from_slice(&files["MANIFEST.json"]).unwrap();
    let absent: Vec<&str> =
        manifest["missing"].as_array().unwrap().iter().map(|m| m["name"].as_str().unwrap()).collect();
    assert_eq!(absent, ["doctor.json", "versions.json", "events.json", "configmaps", "logs"]);
    assert!(manifest["missing"][0]["why"].as_str().unwrap().contains("cluster"), "{manifest}");
}

#[test]
fn nothing_is_written_before_somebody_agrees_and_never_over_another_file() {
    let (_folder, _, controller) = planted();
    let there = controller.folder().join("there.tar.gz");
    let before = || std::fs::read_dir(controller.folder()).unwrap().count();
    let files = before();
    let (exit, told) = code(&bundle(&controller, &[]));
    assert_eq!(exit, Some(64), "{told}");
    assert!(told.contains("stdin is no terminal") && told.contains("--dry-run"), "{told}");
    let (exit, told) = code(&bundle(&controller, &["--dry-run"]));
    assert_eq!(exit, Some(0), "{told}");
    assert!(told.contains("status.json") && told.contains("not in it: logs"), "{told}");
    assert_eq!(before(), files, "a dry run leaves nothing");
    std::fs::write(&there, "mine").unwrap();
    let (exit, told) = code(&bundle(&controller, &["--yes", "--file", "there.tar.gz"]));
    assert_eq!((exit, std::fs::read_to_string(&there).unwrap().as_str()), (Some(64), "mine"), "{told}");
}

#[test]
fn without_a_controller_the_archive_says_what_it_lacks_and_exits_2() {
    let (_folder, _, mut controller) = planted();
    controller.kill();
    let (exit, told) = code(&bundle(&controller, &["--yes", "--file", "late.tar.gz"]));
    assert_eq!(exit, Some(2), "{told}");
    let files = unpacked(&controller.folder().join("late.tar.gz"), &controller.folder().join("late"));
    let manifest: Value = serde_json::from_slice(&files["MANIFEST.json"]).unwrap();
    let missing = manifest["missing"].as_array().unwrap();
    for name in ["status.json", "history.json", "metrics.txt"] {
        let one =
            missing.iter().find(|m| m["name"] == name).unwrap_or_else(|| panic!("{name}: {manifest:#}"));
        assert_eq!(one["expected"], true, "{manifest:#}");
        assert!(one["why"].as_str().unwrap().contains("cannot connect"), "{manifest:#}");
    }
    assert!(holds(&files["ledgers/kong.json"], HOST), "the ledger is on the disk");
}
