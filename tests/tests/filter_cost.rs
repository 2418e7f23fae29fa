//! What the filter costs: wasmtime's fuel (about an instruction each) and host calls, against a budget that is checked in.
//!
//! Both repeat exactly for the same module. Fuel and size may exceed the budget by 2 % (another compiler lays code out otherwise),
//! host calls by none. `CERTDRIFT_BUDGET=write cargo test -p certdrift-tests --test filter_cost` writes the budget anew.
use certdrift_tests::filter_cost::{Row, matching_again, ready, rows};
use certdrift_tests::host::{HostCall, Wasm};
use serde_json::{Map, Value, json};
use std::path::Path;

const HEADROOM_PERCENT: u64 = 2;
/// A hash table's chains differ from name to name.
const LOOK_UP_NOISE_PERCENT: u64 = 3;
const MAX_BYTES: usize = 120 * 1024;

fn document(rows: &[Row]) -> Value {
    let of = |(_, fuel, cost): &Row| {
        let calls: Map<String, Value> = HostCall::ALL
            .iter()
            .filter(|call| cost.calls_of(**call) > 0)
            .map(|call| (call.name().to_owned(), json!(cost.calls_of(*call))))
            .collect();
        json!({"fuel": fuel, "host_calls": calls})
    };
    Value::Object(rows.iter().map(|row| (row.0.to_owned(), of(row))).collect())
}

fn with_headroom(recorded: &Value) -> u64 {
    recorded.as_u64().unwrap_or(0) * (100 + HEADROOM_PERCENT) / 100
}

#[test]
fn the_filter_stays_within_its_budget() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("budget.json");
    let rows = rows();
    println!("{:<40} {:>12} {:>11}", "what", "fuel", "host calls");
    for (name, fuel, cost) in &rows {
        println!("{name:<40} {fuel:>12} {:>11}", cost.calls());
    }
    let bytes = Wasm::certdrift().bytes();
    println!("certdrift.wasm has {bytes} bytes");
    let fuel = |name: &str| rows.iter().find(|row| row.0 == name).map_or(0, |row| row.1);
    let noop = fuel("matching request").saturating_sub(fuel("matching request above no-op"));
    let many = fuel("matching request, 10,000 hosts").saturating_sub(noop);
    let request = format!("{} and {many}", fuel("matching request above no-op"));
    certdrift_guarantee::record("request-fuel", request);
    certdrift_guarantee::record("part-fuel", fuel("change of one part among 10,000 hosts"));
    certdrift_guarantee::record("size", format!("{bytes} bytes"));
    let mut measured = document(&rows);
    measured["bytes"] = json!(bytes);
    if std::env::var("CERTDRIFT_BUDGET").is_ok_and(|wish| wish == "write") {
        std::fs::write(&file, format!("{measured:#}\n")).expect("the budget can be written");
        return;
    }
    let budget = std::fs::read(&file).expect("tests/budget.json is checked in");
    let budget: Value = serde_json::from_slice(&budget).expect("tests/budget.json is JSON");
    let mut over = Vec::new();
    let bytes_allowed = usize::try_from(with_headroom(&budget["bytes"])).unwrap_or(usize::MAX);
    if bytes > bytes_allowed {
        over.push(format!("the module has {bytes} bytes, allowed are {bytes_allowed}"));
    }
    for (name, fuel, cost) in &rows {
        let allowed = &budget[*name];
        let fuel_allowed = with_headroom(&allowed["fuel"]);
        if *fuel > fuel_allowed {
            over.push(format!("{name}: fuel {fuel}, allowed are {fuel_allowed}"));
        }
        if measured[*name]["host_calls"] != allowed["host_calls"] {
            over.push(format!("{name}: host calls {cost:?}, allowed are exactly {}", allowed["host_calls"]));
        }
    }
    assert!(
        over.is_empty(),
        "{over:#?}\nif that is meant: CERTDRIFT_BUDGET=write, and say why in the commit"
    );
}

#[test]
fn a_matching_request_costs_the_same_with_one_host_and_with_ten_thousand() {
    let (one, many) = (matching_again(&mut ready(1)), matching_again(&mut ready(10_000)));
    assert_eq!(document(&[("", 0, one.clone())]), document(&[("", 0, many.clone())]), "host calls");
    let allowed = one.fuel * (100 + LOOK_UP_NOISE_PERCENT) / 100;
    assert!(many.fuel <= allowed, "fuel {} with one host, {} with ten thousand", one.fuel, many.fuel);
}

#[test]
fn a_matching_request_makes_two_host_calls() {
    let cost = matching_again(&mut ready(1));
    assert_eq!(cost.calls(), 2, "{cost:?}");
    certdrift_guarantee::record("request-calls", cost.calls());
}

#[test]
fn the_module_is_small() {
    let bytes = Wasm::certdrift().bytes();
    assert!(bytes <= MAX_BYTES, "certdrift.wasm has {bytes} bytes, allowed are {MAX_BYTES}");
}
