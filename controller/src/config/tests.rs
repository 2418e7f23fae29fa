//! The files in `testdata/config`: each invalid one says in its first line which place must be blamed, for what.
use super::*;
use std::path::PathBuf;

fn testdata(folder: &str) -> Vec<(PathBuf, String)> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/config").join(folder);
    let mut files: Vec<PathBuf> = std::fs::read_dir(dir).unwrap().map(|f| f.unwrap().path()).collect();
    files.sort();
    files.into_iter().map(|path| (path.clone(), std::fs::read_to_string(path).unwrap())).collect()
}

/// Keeps a generated file true; `CERTDRIFT_WRITE=1 cargo test -p certdrift` writes it.
pub(crate) fn kept(path: &str, text: &str) {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path);
    if std::env::var_os("CERTDRIFT_WRITE").is_some() {
        std::fs::write(&file, text).unwrap();
    }
    let found = std::fs::read_to_string(&file).unwrap_or_default();
    assert!(found == text, "{path} is stale; write it with: CERTDRIFT_WRITE=1 cargo test -p certdrift");
}

#[test]
fn every_valid_file_is_taken() {
    for (path, text) in testdata("valid") {
        if let Err(told) = load::parse(&text, "it", &Overrides::default()) {
            panic!("{}: {told:#?}", path.display());
        }
    }
}

#[test]
fn every_invalid_file_is_refused_at_the_right_place_with_what_to_do() {
    let mut wrong = Vec::new();
    for (path, text) in testdata("invalid") {
        let first = text.lines().next().unwrap_or_default();
        let expected =
            first.strip_prefix("# expect: ").unwrap_or_else(|| panic!("{}: no `# expect: `", path.display()));
        let [place, code, words] = expected.splitn(3, ' ').collect::<Vec<_>>()[..] else {
            panic!("{}: `# expect: LINE:COLUMN CODE WORDS`", path.display())
        };
        let told = load::parse(&text, "it", &Overrides::default()).expect_err(&path.display().to_string());
        let shown: Vec<String> = told.iter().map(ToString::to_string).collect();
        let found = told
            .iter()
            .any(|f| f.object == format!("it:{place}") && f.code == code && f.to_string().contains(words));
        if !found {
            wrong.push(format!("{}: expected {expected}\ntold {shown:#?}", path.display()));
        }
        assert!(told.iter().all(|f| !f.mend.is_empty()), "{shown:#?}");
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_examples_are_good_configurations() {
    load::parse(reference::EXAMPLE, "example", &Overrides::default()).unwrap();
    load::parse(reference::EXAMPLE_KUBERNETES, "example", &Overrides::default()).unwrap();
}

#[test]
fn flags_win_over_the_file() {
    let overrides = Overrides {
        state_dir: Some("/tmp/x".into()),
        log_level: Some(LogLevel::Debug),
        ..Overrides::default()
    };
    let config = load::parse(reference::EXAMPLE, "example", &overrides).unwrap();
    assert_eq!(config.state_dir, Path::new("/tmp/x"));
    assert_eq!(config.log.level, LogLevel::Debug);
}

#[test]
fn a_configuration_is_written_as_it_is_read() {
    let valid = testdata("valid").into_iter().map(|(_, text)| text);
    for text in valid.chain([reference::EXAMPLE.to_owned(), reference::EXAMPLE_KUBERNETES.to_owned()]) {
        let config = load::parse(&text, "example", &Overrides::default()).unwrap();
        let text = serde_saphyr::to_string(&config).unwrap();
        assert_eq!(load::parse(&text, "again", &Overrides::default()).unwrap(), config);
    }
}

#[test]
fn the_schema_is_what_the_types_say() {
    kept("deploy/schema/config.schema.json", &reference::schema_text());
    kept("deploy/chart/values.schema.json", &chart::schema_text());
}

#[test]
fn the_reference_is_what_the_types_say() {
    kept("docs/configuration.md", &reference::markdown());
}
