//! One set of scenarios, in each profile of our own host and in a real Envoy: what our host says a gateway does, the real
//! one does too.
mod envoy;
mod gateway;
mod host;
mod scenarios;

use certdrift_tests::host::Profile;
use envoy::Real;
use gateway::{DEMO, Gateway, config};
use host::Ours;

/// All scenarios on one gateway, one after the other.
fn all(gateway: &mut dyn Gateway) {
    for (name, scenario) in scenarios::ALL {
        eprintln!("{name}");
        scenario(gateway);
    }
}

#[test]
fn in_our_host_as_kong() {
    all(&mut Ours::new(Profile::kong()));
}

#[test]
fn in_our_host_as_nginx() {
    all(&mut Ours::new(Profile::ngx()));
}

#[test]
fn in_our_host_as_envoy() {
    all(&mut Ours::new(Profile::envoy()));
}

#[test]
fn in_a_real_envoy() {
    all(&mut Real::new());
}

/// Nothing is polled, all pass, and health and log say why.
fn passive(gateway: &mut dyn Gateway) {
    gateway.documents(gateway::whole(gateway::FIRST, &[]));
    let reply = gateway.get(DEMO, "/");
    assert!(reply.is_upstreams() && reply.header("x-certdrift").is_none(), "{reply:?}");
    assert_eq!(gateway.healthz(), (503, "misconfigured".to_owned()));
    assert_eq!(gateway.get(DEMO, "/certdrift/livez").status, 200);
    let problem = gateway.report("")["problems"][0].as_str().unwrap_or_default().to_owned();
    assert!(problem.contains("never a URL"), "{problem}");
    assert!(gateway.has_logged("never a URL"));
}

#[test]
fn a_wrong_configuration_is_passive_in_our_host() {
    for profile in Profile::ALL {
        let mut ours = Ours::with(profile, &config("http://ledger", r#""header_to": "all""#));
        passive(&mut ours);
        for _ in 0..5 {
            ours.pass();
        }
        assert_eq!(ours.asked(), []);
    }
}

#[test]
fn a_wrong_configuration_is_passive_in_a_real_envoy() {
    passive(&mut Real::wrong());
}
