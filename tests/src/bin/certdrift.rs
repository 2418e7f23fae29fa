//! `certdrift` as the tests run it.
#![forbid(unsafe_code)]

fn main() -> std::process::ExitCode {
    certdrift::cli::main()
}
