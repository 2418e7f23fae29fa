//! The tests' cluster is what it says: a real API server, a real node, a real cert-manager, put away without a trace.
mod api;
mod cert_manager;
mod images;
mod node;
mod traceless;

use std::time::Duration;

/// What takes seconds takes many on a machine that is busy.
const PATIENCE: Duration = Duration::from_secs(120);
