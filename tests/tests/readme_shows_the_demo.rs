//! The demo's output in README.md is what the demo prints: every line, but for numbers, fingerprints and times.
//! `CERTDRIFT_WRITE=1` writes it.
use std::path::Path;
use std::process::Command;

const BEGIN: &str = "```text\n";
const END: &str = "```\n<!-- /demo -->";

/// What differs from run to run is one mark: whatever has a digit, and how far columns are apart.
fn shape(text: &str) -> Vec<String> {
    let mut lines = Vec::new();
    for line in text.trim().lines() {
        let marked = line.split_inclusive(|c: char| !c.is_ascii_alphanumeric()).map(|piece| {
            let word = piece.trim_end_matches(|c: char| !c.is_ascii_alphanumeric());
            if word.contains(|c: char| c.is_ascii_digit()) {
                piece.replace(word, "#")
            } else {
                piece.to_owned()
            }
        });
        let marked: String = marked.collect();
        // What a drift waits for depends on the moment it is asked about.
        let marked = marked.split(", waits for").next().unwrap_or_default().to_owned();
        // A fingerprint with colons has bytes without a digit, too.
        let marked = if marked.contains("Fingerprint=") { "Fingerprint".to_owned() } else { marked };
        lines.push(marked.split_whitespace().collect::<Vec<_>>().join(" "));
    }
    lines
}

/// As it reads on anybody's machine: the program by its name, one folder.
fn tidy(output: &str, program: &Path) -> String {
    let output = output.replace(&program.display().to_string(), "certdrift");
    let mut tidy = String::new();
    let mut pieces = output.split("/tmp/certdrift-demo-");
    tidy.push_str(pieces.next().unwrap_or_default());
    for piece in pieces {
        tidy.push_str("/tmp/certdrift-demo");
        tidy.push_str(piece.trim_start_matches(|c: char| c.is_ascii_alphanumeric()));
    }
    tidy.lines().map(|line| format!("{}\n", line.trim_end())).collect()
}

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
    let said = tidy(&String::from_utf8_lossy(&output.stdout), &program);
    assert!(output.status.success(), "{said}\n{}", String::from_utf8_lossy(&output.stderr));

    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../README.md");
    let readme = std::fs::read_to_string(&path).expect("README.md");
    let begin = readme.find(BEGIN).expect("the demo's block begins") + BEGIN.len();
    let end = readme.find(END).expect("the demo's block ends");
    if std::env::var_os("CERTDRIFT_WRITE").is_some() {
        std::fs::write(&path, format!("{}{said}{}", &readme[..begin], &readme[end..])).expect("README.md");
        return;
    }
    let (shown, real) = (shape(&readme[begin..end]), shape(&said));
    for (shown, real) in shown.iter().zip(&real) {
        assert_eq!(
            shown, real,
            "README.md is out of date: CERTDRIFT_WRITE=1 cargo xtask test -E 'binary(readme_shows_the_demo)'"
        );
    }
    assert_eq!(shown.len(), real.len(), "README.md is out of date");
}
