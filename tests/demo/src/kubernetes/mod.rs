//! `cargo xtask demo --kubernetes`: the same in a real cluster. A renewal timed hop by hop; one that cert-manager may not
//! store; one that a gateway's pod misses. Each is named by certdrift, and seen to be mended.
mod renewal;
mod scene;
mod story;

pub(crate) use story::tell;
