//! `cargo xtask demo`: a renewed certificate on disk, two gateways that go on serving the old one, and certdrift,
//! which says so, is allowed to heal, and proves it on the wire.
//!
//! nginx with the tap is the proof; Envoy shows the filter's mechanics, with declared evidence. Everything is on
//! loopback and in one folder; nothing is left behind, on Ctrl-C too.
//!
//! With `--kubernetes` it is the same in a real cluster of its own: [`kubernetes`].
#![forbid(unsafe_code)]

mod kubernetes;
mod scene;
mod show;
mod story;

use std::process::ExitCode;

fn main() -> ExitCode {
    let asked = |word: &str| std::env::args().any(|argument| argument == word);
    let keep = asked("--keep");
    let mut interrupted = false;
    let told = show::Show::new().and_then(|mut show| {
        let told =
            if asked("--kubernetes") { kubernetes::tell(&mut show, keep) } else { story::tell(&show, keep) };
        // What was being waited for may have been ended by the same Ctrl-C, and have said so first.
        interrupted = show.interrupted().is_err();
        told
    });
    match told {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) if interrupted => {
            eprintln!("interrupted; everything is ended and removed");
            ExitCode::from(130)
        }
        Err(error) => {
            eprintln!("the demo failed: {error:#}");
            ExitCode::FAILURE
        }
    }
}
