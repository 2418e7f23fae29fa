//! The controller's HTTP side: probes, metrics, ledger, state.
