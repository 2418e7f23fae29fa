//! `cargo xtask demo`: a renewed certificate on disk, two gateways that go on serving the old one, and certdrift,
//! which says so, is allowed to heal, and proves it on the wire.
//!
//! nginx with the tap is the proof; Envoy shows the filter's mechanics, with declared evidence. Everything is on
//! loopback and in one folder; nothing is left behind, on Ctrl-C too.
#![forbid(unsafe_code)]

mod scene;
mod show;
mod story;

use std::process::ExitCode;

fn main() -> ExitCode {
    let keep = std::env::args().any(|argument| argument == "--keep");
    let told = show::Show::new().and_then(|show| story::tell(&show, keep));
    match told {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if error.is::<show::Interrupted>() => {
            eprintln!("interrupted; everything is ended and removed");
            ExitCode::from(130)
        }
        Err(error) => {
            eprintln!("the demo failed: {error:#}");
            ExitCode::FAILURE
        }
    }
}
