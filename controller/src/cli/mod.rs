//! The command line.

/// Runs the command line and gives its exit code: 0 good, 1 drift or invalid, 2 could not tell, 64 bad usage.
#[must_use]
pub fn main() -> std::process::ExitCode {
    std::process::ExitCode::from(64)
}
