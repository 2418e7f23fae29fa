//! What the shipped filter costs in the test host, as JSON on stdout, for `cargo xtask bench`.
#![forbid(unsafe_code)]

use certdrift_tests::filter_cost;
use serde_json::{Map, Value, json};

fn main() {
    let rows: Map<String, Value> = filter_cost::rows()
        .into_iter()
        .map(|(name, fuel, cost)| (name.to_owned(), json!({"fuel": fuel, "host_calls": cost.calls()})))
        .collect();
    let pauses: Vec<f64> = filter_cost::pauses(40).iter().map(|pause| pause.as_secs_f64() * 1000.0).collect();
    println!("{}", json!({"rows": rows, "pause_ms": pauses}));
}
