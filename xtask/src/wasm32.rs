//! Compiling for `wasm32-unknown-unknown`: with the pinned toolchain's own target where rustup can give it, else
//! with Debian's compiler, which builds the standard library from Debian's source package.
use crate::progress::Step;
use crate::{cache, tools, workspace};
use anyhow::{Context as _, Result};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// The target's name.
pub const TARGET: &str = "wasm32-unknown-unknown";

/// How this machine compiles for the target.
#[derive(Clone, Debug)]
enum How {
    /// rustup's target.
    Target,
    /// Debian's `rustc-web` and `rust-web-src`; the toolchain's own linker.
    Debian { linker: PathBuf },
}

fn how() -> Result<How> {
    static HOW: OnceLock<How> = OnceLock::new();
    if let Some(how) = HOW.get() {
        return Ok(how.clone());
    }
    let how = prepare()?;
    Ok(HOW.get_or_init(|| how).clone())
}

fn prepare() -> Result<How> {
    if has_target()? {
        return Ok(How::Target);
    }
    let _held = cache::lock("wasm32")?;
    if has_target()? {
        return Ok(How::Target);
    }
    let step = Step::start(format!("adding the target {TARGET} (rustup)"));
    let added =
        Command::new("rustup").args(["target", "add", TARGET]).current_dir(workspace::root()).output();
    if added.is_ok_and(|said| said.status.success()) && has_target()? {
        step.done("");
        return Ok(How::Target);
    }
    step.done("not to be had here, taking Debian's compiler");
    let source = Path::new("/usr/lib/rustlib/src/rust/library");
    if !Path::new("/usr/bin/rustc").exists() || !source.exists() {
        tools::install_debian(&["rustc-web", "rust-web-src"]).with_context(|| {
            format!("missing: the target {TARGET}; install with: rustup target add {TARGET}")
        })?;
    }
    let sysroot =
        workspace::output(Command::new("rustc").args(["--print", "sysroot"]).current_dir(workspace::root()))?;
    let host = workspace::output(
        Command::new("rustc").args(["--print", "host-tuple"]).current_dir(workspace::root()),
    )?;
    Ok(How::Debian { linker: PathBuf::from(sysroot).join("lib/rustlib").join(host).join("bin/rust-lld") })
}

fn has_target() -> Result<bool> {
    let mut rustc = Command::new("rustc");
    rustc.args(["--print", "target-libdir", "--target", TARGET]).current_dir(workspace::root());
    Ok(Path::new(&workspace::output(&mut rustc)?).is_dir())
}

/// `cargo SUBCOMMAND --target wasm32-unknown-unknown`, ready for more arguments.
///
/// Paths of this machine are taken out of what is compiled, so that two builds of one source are one file.
///
/// # Errors
/// The target is not there and cannot be installed.
pub fn cargo(subcommand: &str) -> Result<Command> {
    let how = how()?;
    let mut command = workspace::cargo();
    command.args([subcommand, "--target", TARGET]);
    let home = std::env::var_os("CARGO_HOME").map_or_else(
        || PathBuf::from(std::env::var_os("HOME").unwrap_or_default()).join(".cargo"),
        PathBuf::from,
    );
    let mut flags = vec![
        format!("--remap-path-prefix={}=/certdrift", workspace::root().display()),
        format!("--remap-path-prefix={}=/cargo", home.display()),
        // The rounds of SHA-256 as a loop: 7 KB less.
        "--cfg=sha2_backend_soft=\"compact\"".to_owned(),
    ];
    if let How::Debian { linker } = &how {
        command
            .env("RUSTC", "/usr/bin/rustc")
            .env("RUSTC_BOOTSTRAP", "1")
            .args(["-Zbuild-std=std,panic_abort"]);
        command.env("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER", linker);
        flags.push("--remap-path-prefix=/usr/lib/rustlib/src/rust=/rust".to_owned());
    }
    command.env("CARGO_ENCODED_RUSTFLAGS", flags.join("\u{1f}"));
    Ok(command)
}

/// `cargo clippy` for the target, where the target is of the toolchain that clippy belongs to.
///
/// # Errors
/// The target is not there and cannot be installed.
pub fn clippy() -> Result<Option<Command>> {
    Ok(match how()? {
        How::Target => Some(cargo("clippy")?),
        How::Debian { .. } => None,
    })
}

/// Compiles `package` (a `cdylib`) with the profile `wasm` and gives the path of its module.
///
/// # Errors
/// It does not compile, or the target cannot be had.
pub fn module(package: &str) -> Result<PathBuf> {
    let mut command = cargo("build")?;
    command.args(["--quiet", "--lib", "--profile", "wasm", "--package", package]);
    workspace::run(&mut command)?;
    Ok(workspace::target().join(TARGET).join("wasm").join(format!("{}.wasm", package.replace('-', "_"))))
}
