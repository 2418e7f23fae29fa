//! When a source's files changed last: the beginning of a renewal's first hop.
use crate::converge::Millis;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

/// A change further back than this is no renewal that was followed from its beginning.
const LONGEST: i64 = 86_400_000;

/// When a source (`file:PATH`, a directory or the stem of its files) changed last, by inode change time: a rename into
/// place counts, and a copied modification time does not. `now` where it cannot be told.
#[must_use]
pub fn of(source: &str, now: Millis) -> Millis {
    let Some(path) = source.strip_prefix("file:").map(Path::new) else { return now };
    let newest = if path.is_dir() { newest(path, |_| true) } else { by_stem(path) };
    newest.filter(|at| (0..LONGEST).contains(&now.since(*at))).unwrap_or(now)
}

fn by_stem(path: &Path) -> Option<Millis> {
    let stem = path.file_name()?.to_str()?;
    newest(path.parent()?, |name| {
        name.strip_prefix(stem).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '-', '_']))
    })
}

fn newest(directory: &Path, mine: impl Fn(&str) -> bool) -> Option<Millis> {
    let entries = std::fs::read_dir(directory).ok()?.take(1_000).flatten();
    entries
        .filter(|entry| entry.file_name().to_str().is_some_and(&mine))
        .filter_map(|entry| std::fs::metadata(entry.path()).ok())
        .filter(std::fs::Metadata::is_file)
        .map(|m| Millis(m.ctime().saturating_mul(1000).saturating_add(m.ctime_nsec() / 1_000_000)))
        .max()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_file_of_the_source_tells() {
        let folder = tempfile::tempdir().unwrap();
        let now = crate::clock::now();
        std::fs::write(folder.path().join("demo.pem"), "x").unwrap();
        let source = format!("file:{}", folder.path().join("demo").display());
        let at = of(&source, Millis(now.0 + 1_000));
        assert!((-1_000..1_000).contains(&at.since(now)), "{at:?} {now:?}");
        let other = format!("file:{}", folder.path().join("other").display());
        assert_eq!(of(&other, Millis(5)), Millis(5));
        assert_eq!(of("kong/demo-tls", Millis(5)), Millis(5));
    }
}
