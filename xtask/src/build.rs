//! The paths of what certdrift is built into, for tests, demo and benchmarks: built on demand, once a process.
//!
//! `cargo xtask test` builds everything first and names it in the environment, so that the tests it runs do not
//! ask cargo again; a test that is run by hand builds what it needs.
use crate::{filter, workspace};
use anyhow::Result;
use std::path::PathBuf;
use std::sync::Mutex;

/// Names the filter's module that tests use, instead of building it.
pub const WASM: &str = "CERTDRIFT_WASM";
/// Names the `certdrift` binary that tests use, instead of building it.
pub const BINARY: &str = "CERTDRIFT_BIN";
/// Names the binary that starts clusters, instead of building it.
pub const CLUSTER: &str = "CERTDRIFT_CLUSTER_BIN";
/// Names the stand-in for Kong's ingress controller that tests use, instead of building it.
pub const KIC: &str = "CERTDRIFT_KIC_BIN";

/// The filter as it ships (`certdrift.wasm`; its `certdrift.meta.json` lies beside it).
///
/// # Errors
/// It does not build.
pub fn wasm() -> Result<PathBuf> {
    static BUILT: Mutex<Option<PathBuf>> = Mutex::new(None);
    once(&BUILT, WASM, || Ok(filter::build()?.wasm))
}

/// The `certdrift` binary, as built for development.
///
/// # Errors
/// It does not build.
pub fn certdrift() -> Result<PathBuf> {
    static BUILT: Mutex<Option<PathBuf>> = Mutex::new(None);
    once(&BUILT, BINARY, || {
        workspace::run(workspace::cargo().args(["build", "--quiet", "--workspace", "--bin", "certdrift"]))?;
        Ok(workspace::target().join("debug/certdrift"))
    })
}

/// The binary that starts clusters, and is their first process.
///
/// # Errors
/// It does not build.
pub fn cluster() -> Result<PathBuf> {
    static BUILT: Mutex<Option<PathBuf>> = Mutex::new(None);
    once(&BUILT, CLUSTER, || {
        let mut cargo = workspace::cargo();
        workspace::run(cargo.args(["build", "--quiet", "--workspace", "--bin", "certdrift-cluster"]))?;
        Ok(workspace::target().join("debug/certdrift-cluster"))
    })
}

/// The stand-in for Kong's ingress controller.
///
/// # Errors
/// It does not build.
pub fn kic() -> Result<PathBuf> {
    static BUILT: Mutex<Option<PathBuf>> = Mutex::new(None);
    once(&BUILT, KIC, || {
        workspace::run(workspace::cargo().args([
            "build",
            "--quiet",
            "--workspace",
            "--bin",
            "certdrift-kic",
        ]))?;
        Ok(workspace::target().join("debug/certdrift-kic"))
    })
}

/// The `certdrift` binary, as it ships.
///
/// # Errors
/// It does not build.
pub fn certdrift_release() -> Result<PathBuf> {
    let mut cargo = workspace::cargo();
    workspace::run(cargo.args([
        "build",
        "--quiet",
        "--release",
        "--package",
        "certdrift",
        "--bin",
        "certdrift",
    ]))?;
    Ok(workspace::target().join("release/certdrift"))
}

fn once(
    built: &Mutex<Option<PathBuf>>,
    name: &str,
    build: impl FnOnce() -> Result<PathBuf>,
) -> Result<PathBuf> {
    if let Some(path) = std::env::var_os(name) {
        return Ok(PathBuf::from(path));
    }
    let mut built = built.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    if let Some(path) = built.as_ref() {
        return Ok(path.clone());
    }
    let path = build()?;
    Ok(built.insert(path).clone())
}
