//! The filter as it ships: `target/filter/certdrift.wasm` and `certdrift.meta.json`.
use crate::progress::{Step, quietly};
use crate::tools::{self, Tool};
use crate::{cache, wasm32, workspace};
use anyhow::{Context as _, Result};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// `-Oz` and nothing that adds features: the module uses what rustc emits for the target by default, which
/// Wasmtime 26 (Kong), V8 (Envoy) and ngx_wasm_module all take.
const OPTIONS: &[&str] = &["-Oz", "--strip-debug", "--strip-producers"];

/// The filter's files.
#[derive(Clone, Debug)]
pub struct Filter {
    /// The module.
    pub wasm: PathBuf,
    /// What Kong reads beside it: the configuration's schema and the patterns of metric labels.
    pub meta: PathBuf,
    /// Bytes of the module.
    pub size: u64,
    /// SHA-256 of the module.
    pub sha256: String,
}

/// Builds the filter, or finds that nothing it is made from has changed.
///
/// # Errors
/// It does not compile, or a tool cannot be had.
pub fn build() -> Result<Filter> {
    let step = Step::start("building the filter");
    let module = wasm32::module("certdrift-filter")?;
    let folder = workspace::target().join("filter");
    fs::create_dir_all(&folder)?;
    let wasm = folder.join("certdrift.wasm");
    let meta = folder.join("certdrift.meta.json");
    let _held = cache::lock_file(&folder.join(".lock"))?;

    // One module is made from one input by one tool with one set of options: if all that is as it was, so is the module.
    let stamp = folder.join(".made-from");
    let wasm_opt = tools::find(Tool::WasmOpt)?;
    let made_from = format!("{} {} {OPTIONS:?}", cache::sha256(&module)?, wasm_opt.display());
    let unchanged = wasm.is_file() && fs::read_to_string(&stamp).is_ok_and(|was| was == made_from);
    if !unchanged {
        let work = folder.join("certdrift.wasm.partial");
        let mut command = Command::new(tools::find(Tool::Node)?);
        command.arg(wasm_opt).args(OPTIONS).arg(&module).arg("-o").arg(&work);
        quietly(&mut command).context("wasm-opt refused the module")?;
        fs::rename(work, &wasm)?;
        fs::write(&stamp, made_from)?;
    }
    copy_if_changed(&workspace::root().join("filter/certdrift.meta.json"), &meta)?;
    let size = wasm.metadata()?.len();
    let sha256 = cache::sha256(&wasm)?;
    step.done(&format!("{size} bytes, SHA-256 {sha256}{}", if unchanged { ", unchanged" } else { "" }));
    Ok(Filter { wasm, meta, size, sha256 })
}

fn copy_if_changed(from: &Path, to: &Path) -> Result<()> {
    let bytes = fs::read(from)
        .with_context(|| format!("{}: Kong needs it to accept a configuration", from.display()))?;
    if fs::read(to).is_ok_and(|was| was == bytes) {
        return Ok(());
    }
    let work = to.with_extension("json.partial");
    fs::write(&work, bytes)?;
    Ok(fs::rename(work, to)?)
}
