//! The harness's Envoy: its reload is Envoy's own, and the filter runs in it.
use certdrift_harness::certs::{Ca, wish};
use certdrift_harness::envoy::{Chain, Envoy};
use certdrift_harness::openssl::Client;
use certdrift_harness::wait;
use std::time::Duration;

const HOST: &str = "shop.example.com";

#[test]
fn a_renewed_certificate_is_served_once_the_listeners_say_so_and_not_before() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let ca = Ca::new("certdrift harness")?;
    let old = ca.issue(&wish(&[HOST]))?;
    let (certificate, key) = old.write(folder.path(), "shop")?;
    let chain = Chain::new(&[HOST], &certificate, &key);
    let configuration = r#"{"ledger": {"poll_interval_seconds": 1, "locations": [{"upstream": "ledger", "path": "/ledger/edge"}]}}"#;
    let envoy = Envoy::plan()
        .wasm(&xtask::build::wasm()?, configuration)
        .cluster("ledger", ([127, 0, 0, 1], 9).into())
        .chain(chain.clone().declares(old.fingerprint))
        .start()?;
    let served = || Client::new(envoy.address()).sni(HOST).ask("hello").map(|seen| seen.leaf);
    assert_eq!(served()?, old.fingerprint);

    let new = ca.issue(&wish(&[HOST]))?;
    new.write(folder.path(), "shop")?;
    assert_eq!(served()?, old.fingerprint, "files alone change nothing");
    envoy.serve(&[chain.declares(new.fingerprint)])?;
    wait::until("the new certificate", Duration::from_secs(20), || match served() {
        Ok(leaf) if leaf == new.fingerprint => Ok(()),
        other => Err(other.map(|leaf| leaf.to_string())),
    });
    assert!(!envoy.log().contains("[critical]"), "{}", envoy.log());
    Ok(())
}
