//! The demo's output in README.md is what the demo prints: every line, but for numbers, fingerprints and times.
//! `CERTDRIFT_WRITE=1` writes it.
mod shown;

use std::process::Command;

#[test]
fn the_readme_has_the_demos_own_words() {
    let program = xtask::build::certdrift().expect("certdrift is built");
    let demo = program.with_file_name("certdrift-demo");
    let output = Command::new(&demo)
        .env(xtask::build::BINARY, &program)
        .env("TMPDIR", "/tmp")
        .env("LC_ALL", "C.UTF-8")
        .env_remove("CLICOLOR_FORCE")
        .output()
        .unwrap_or_else(|error| panic!("{}: {error}: cargo build --workspace --bins", demo.display()));
    let said = shown::tidy(&String::from_utf8_lossy(&output.stdout), &program);
    assert!(output.status.success(), "{said}\n{}", String::from_utf8_lossy(&output.stderr));

    shown::holds("README.md", &said, "readme_shows_the_demo");
}
