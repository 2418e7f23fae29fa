//! `cargo xtask ci`: what is checked besides the tests. All of it runs, so that one run shows all that is wrong.
use crate::progress::quietly;
use crate::steps::Steps;
use crate::tools::{self, Tool};
use crate::{wasm32, workspace};
use anyhow::Result;
use std::process::Command;

/// Formatting, lints, documentation, licences and sources of dependencies.
///
/// # Errors
/// One of them is not as it should be.
pub fn run(_: &[String]) -> Result<()> {
    let mut steps = Steps::default();
    steps.line("formatting", || quietly(workspace::cargo().args(["fmt", "--all", "--check"])));
    steps.try_all("clippy", || {
        let mut clippy = workspace::cargo();
        clippy.args(["clippy", "--quiet", "--workspace", "--all-targets", "--", "--deny", "warnings"]);
        workspace::run(&mut clippy)
    });
    steps.try_all("clippy on wasm32", || {
        let Some(mut clippy) = wasm32::clippy()? else {
            eprintln!("  left out: the target is Debian's here, and clippy belongs to another compiler");
            return Ok(());
        };
        clippy.args(["--quiet", "--package", "certdrift-filter", "--lib", "--", "--deny", "warnings"]);
        workspace::run(&mut clippy)
    });
    steps.try_all("documentation", || {
        let mut doc = workspace::cargo();
        doc.args(["doc", "--quiet", "--workspace", "--no-deps", "--document-private-items"]);
        // A binary's page would overwrite its library's of the same name.
        workspace::run(doc.arg("--lib").env("RUSTDOCFLAGS", "--deny warnings"))
    });
    steps.try_all("dependencies", || {
        let mut deny = Command::new(tools::find(Tool::Deny)?);
        // The advisory database is no package of a registry, and cannot be had everywhere.
        deny.args(["--log-level", "error", "check", "bans", "licenses", "sources"])
            .current_dir(workspace::root());
        workspace::run(&mut deny)
    });
    steps.end()
}
