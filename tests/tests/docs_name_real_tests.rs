//! Where the documentation says which test proves something, that test exists.
use std::collections::BTreeMap;
use std::path::Path;

/// The tests of a source file: what follows an attribute that ends in `test]` or takes arguments.
fn tests_of(path: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let mut found = Vec::new();
    let mut lines = text.lines().map(str::trim);
    while let Some(line) = lines.next() {
        if line.starts_with("#[test") || line.starts_with("#[tokio::test") {
            let name = lines.by_ref().find_map(|line| line.split_once("fn "));
            let name = name.and_then(|(_, rest)| rest.split(['(', '<']).next());
            found.extend(name.map(str::to_owned));
        }
    }
    found
}

/// Each `FILE::TEST` in backquotes of a line.
fn named(line: &str) -> Vec<(&str, &str)> {
    line.split('`')
        .skip(1)
        .step_by(2)
        .filter_map(|code| code.split_once("::"))
        .filter(|(file, _)| file.ends_with(".rs"))
        .collect()
}

#[test]
fn every_known_failure_names_tests_that_exist() {
    let root = xtask::workspace::root();
    let page = std::fs::read_to_string(root.join("docs/known-failures.md")).unwrap();
    let rows: Vec<&str> = page.lines().filter(|line| line.starts_with("| ")).skip(1).collect();
    assert!(rows.len() >= 17, "{} rows", rows.len());
    let mut files: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for row in rows {
        let tests = named(row.trim_end_matches(" |").rsplit(" | ").next().unwrap());
        assert!(!tests.is_empty(), "no test is named: {row}");
        for (file, test) in tests {
            let there = files.entry(file).or_insert_with(|| tests_of(&root.join(file)));
            assert!(there.iter().any(|name| name == test), "{file} has no test {test}");
        }
    }
}

#[test]
fn every_guarantee_is_proven_by_a_file_that_exists() {
    for guarantee in certdrift_guarantee::ALL {
        assert!(
            xtask::workspace::root().join(guarantee.test).exists(),
            "{}: {}",
            guarantee.name,
            guarantee.test
        );
    }
}
