//! The `certdrift` binary: allocator, and into [`certdrift::cli`].
#![forbid(unsafe_code)]

/// jemalloc with decay 0: what a burst needed goes back to the system (design.md section 8).
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> std::process::ExitCode {
    certdrift::cli::main()
}
