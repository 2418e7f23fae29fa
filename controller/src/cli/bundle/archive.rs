//! The archive: a tar, compressed; on the disk whole or not at all, for its owner alone, and never over another.
use flate2::Compression;
use flate2::write::GzEncoder;
use rustix::fs::{CWD, RenameFlags, renameat_with};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

/// Packs these files below one folder. The same files give the same bytes.
///
/// # Errors
/// A name that is too long for tar.
pub(super) fn pack(folder: &str, files: &[(String, String)], now: u64) -> io::Result<Vec<u8>> {
    let mut tar = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::default()));
    for (name, text) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(u64::try_from(text.len()).map_err(io::Error::other)?);
        header.set_mode(0o600);
        header.set_mtime(now);
        tar.append_data(&mut header, format!("{folder}/{name}"), text.as_bytes())?;
    }
    tar.into_inner()?.finish()
}

/// Writes it: beside its place first, then moved there in one step.
///
/// # Errors
/// A file is there already, or the folder cannot be written.
pub(super) fn write(to: &Path, bytes: &[u8]) -> io::Result<()> {
    let name = to.file_name().ok_or_else(|| io::Error::other("it names no file"))?.to_string_lossy();
    let beside = to.with_file_name(format!(".{name}.{}", std::process::id()));
    let written = written(&beside, bytes)
        .and_then(|()| renameat_with(CWD, &beside, CWD, to, RenameFlags::NOREPLACE).map_err(io::Error::from));
    if written.is_err() {
        let _ = std::fs::remove_file(&beside);
    }
    written
}

fn written(to: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(to)?;
    file.write_all(bytes)?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read as _;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn it_is_its_owners_alone_and_never_written_over_another() {
        let folder = tempfile::tempdir().unwrap();
        let to = folder.path().join("b.tar.gz");
        let bytes = pack("b", &[("logs/a.log".into(), "text".into())], 1).unwrap();
        assert_eq!(bytes, pack("b", &[("logs/a.log".into(), "text".into())], 1).unwrap());
        write(&to, &bytes).unwrap();
        assert_eq!(std::fs::metadata(&to).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(write(&to, b"other").unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(std::fs::read(&to).unwrap(), bytes);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "nothing is left beside it");
        assert!(write(&folder.path().join("no/b"), b"x").is_err());
        let mut tar = tar::Archive::new(flate2::read::GzDecoder::new(bytes.as_slice()));
        let mut entry = tar.entries().unwrap().next().unwrap().unwrap();
        let mut text = String::new();
        entry.read_to_string(&mut text).unwrap();
        assert_eq!((entry.path().unwrap().to_str(), text.as_str()), (Some("b/logs/a.log"), "text"));
    }
}
