//! A page that shows what a program prints, kept true: every line, but for numbers, fingerprints and times.
//! `CERTDRIFT_WRITE=1` writes it.
use std::path::Path;

const BEGIN: &str = "```text\n";
const END: &str = "```\n<!-- /demo -->";

/// The last part of a name that a controller made up is one word.
fn named(text: &str) -> String {
    let mut named = String::new();
    for piece in text.split_inclusive(|c: char| !c.is_ascii_alphanumeric() && c != '-') {
        let word = piece.trim_end_matches(|c: char| !c.is_ascii_alphanumeric());
        let made_up = word
            .rsplit_once('-')
            .filter(|(before, end)| (before.starts_with("kong-") || *before == "web") && end.len() == 5);
        match made_up {
            Some((before, end)) => {
                named.push_str(&piece.replace(&format!("{before}-{end}"), &format!("{before}-MADE")));
            }
            None => named.push_str(piece),
        }
    }
    named
}

/// What differs from run to run is one mark: whatever has a digit, and how far columns are apart.
fn shape(text: &str) -> Vec<String> {
    let mut lines = Vec::new();
    for line in named(text.trim()).lines() {
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
pub(crate) fn tidy(output: &str, program: &Path) -> String {
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

/// Compares what was printed with the block of the page `path`, below the repository's root; or writes it there.
pub(crate) fn holds(path: &str, said: &str, test: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path);
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let page = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let begin = page.find(BEGIN).expect("the block begins") + BEGIN.len();
    let end = page.find(END).expect("the block ends");
    if std::env::var_os("CERTDRIFT_WRITE").is_some() {
        std::fs::write(&path, format!("{}{said}{}", &page[..begin], &page[end..])).expect("the page");
        return;
    }
    let (shown, real) = (shape(&page[begin..end]), shape(said));
    for (shown, real) in shown.iter().zip(&real) {
        assert_eq!(
            shown, real,
            "{name} is out of date: CERTDRIFT_WRITE=1 cargo xtask test -E 'binary({test})'\n{said}"
        );
    }
    assert_eq!(shown.len(), real.len(), "{name} is out of date\n{said}");
}
