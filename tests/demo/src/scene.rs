//! The scene: a folder of certificates, nginx with the tap, Envoy with the filter, and the controller.
use crate::show::Show;
use anyhow::{Context as _, Result, bail};
use certdrift_contract::Fingerprint;
use certdrift_harness::certs::{Ca, Leaf, wish};
use certdrift_harness::envoy::{Chain, Envoy};
use certdrift_harness::nginx::Nginx;
use certdrift_harness::process::{Process, free_port};
use rustix::process::Signal;
use serde_json::Value;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The name both gateways serve.
pub(crate) const HOST: &str = "shop.example.com";

/// Everything that runs. Dropped, it ends; its folders are removed.
pub(crate) struct Scene {
    // In the order in which they end: the controller first, so that it does not mend what is being put away.
    pub(crate) controller: Process,
    pub(crate) nginx: Nginx,
    pub(crate) envoy: Envoy,
    ca: Ca,
    folder: tempfile::TempDir,
    pub(crate) nginx_address: SocketAddr,
    controller_port: u16,
    binary: PathBuf,
}

impl Scene {
    /// Sets it up: both gateways serve `first`, the controller only tells.
    pub(crate) fn set(show: &Show) -> Result<(Self, Leaf)> {
        let folder = tempfile::Builder::new().prefix("certdrift-demo-").tempdir()?;
        let certs = folder.path().join("certs");
        std::fs::create_dir(&certs)?;
        let ca = Ca::new("certdrift demo")?;
        std::fs::write(folder.path().join("ca.pem"), ca.pem())?;
        let first = ca.issue(&wish(&[HOST]))?;
        let (certificate, key) = first.write(&certs, "shop")?;

        let port = free_port();
        let nginx = Nginx::with_workers(2)
            .tap()
            .server(&format!(
                "listen 127.0.0.1:{port} ssl; ssl_certificate {}; ssl_certificate_key {};\n\
                 location / {{ return 200 \"hello\\n\"; }}",
                certificate.display(),
                key.display(),
            ))
            .start()?;
        show.interrupted()?;

        let controller_port = free_port();
        let filter = serde_json::json!({
            "ledger": {"poll_interval_seconds": 1, "locations": [{"upstream": "controller", "path": "/ledger/envoy", "authority": "localhost"}]},
            "skew_seconds": 0,
        });
        let chain = Chain::new(&[], &certificate, &key);
        let envoy = Envoy::plan()
            .wasm(&xtask::build::wasm()?, &filter.to_string())
            .cluster("controller", ([127, 0, 0, 1], controller_port).into())
            .chain(chain.clone().declares(first.fingerprint))
            .start()?;
        show.interrupted()?;
        write_reload_script(folder.path(), &envoy, &chain)?;

        let binary = xtask::build::certdrift()?;
        let config = folder.path().join("certdrift.yaml");
        std::fs::write(&config, configuration(folder.path(), controller_port, &nginx, port, &envoy))?;
        let mut command = Command::new(&binary);
        command.arg("run").arg("--config").arg(&config);
        let controller = Process::start("certdrift", &mut command, folder.path())?;
        let nginx_address = SocketAddr::from(([127, 0, 0, 1], port));
        Ok((Self { controller, nginx, envoy, ca, folder, nginx_address, controller_port, binary }, first))
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Renews: a new certificate, in place of the old one, as an ACME client does it.
    pub(crate) fn renew(&self) -> Result<Leaf> {
        let leaf = self.ca.issue(&wish(&[HOST]))?;
        leaf.write(&self.folder.path().join("certs"), "shop")?;
        Ok(leaf)
    }

    /// The ledger of nginx, as the controller publishes it.
    pub(crate) fn ledger_file(&self) -> PathBuf {
        self.folder.path().join("state/nginx/ledger.json")
    }

    /// `certdrift`, as it is typed here.
    pub(crate) fn certdrift(&self) -> String {
        self.binary.display().to_string()
    }

    pub(crate) fn controller_url(&self) -> String {
        format!("http://127.0.0.1:{}", self.controller_port)
    }

    /// A command that asks `address` for `path` under the demo's name.
    pub(crate) fn curl(&self, address: SocketAddr, path: &str, options: &str) -> String {
        let port = address.port();
        format!(
            "curl -s {options} --cacert {}/ca.pem --resolve {HOST}:{port}:127.0.0.1 https://{HOST}:{port}{path}",
            self.folder.path().display(),
        )
    }

    /// What the controller knows, gateway by gateway.
    pub(crate) fn state(&self, show: &Show) -> Result<Vec<Value>> {
        let ran =
            show.quietly(&format!("{} status --url {} -o json", self.certdrift(), self.controller_url()))?;
        let state: Value = serde_json::from_str(&ran.output).with_context(|| {
            format!("status says {:?}; the controller says {:?}", ran.output, self.controller.log())
        })?;
        let gateways = state.get("gateways").and_then(Value::as_array).cloned().unwrap_or_default();
        if gateways.len() == 2 { Ok(gateways) } else { bail!("{} gateways", gateways.len()) }
    }

    /// Allows the controller to heal: one word in its configuration, and a signal.
    pub(crate) fn heal_command(&self) -> String {
        format!(
            "sed -i 's/mode: observe/mode: heal/' {}/certdrift.yaml && kill -HUP {}",
            self.folder.path().display(),
            self.controller.pid(),
        )
    }

    /// Ends the controller in its own good time.
    pub(crate) fn put_away(&self) {
        self.controller.signal(Signal::TERM);
    }
}

/// What a deployment tool does for Envoy: declare what is stored, and rename the listeners into place.
fn write_reload_script(folder: &Path, envoy: &Envoy, chain: &Chain) -> Result<()> {
    std::fs::write(
        folder.join("listeners.template"),
        envoy.listeners_with(&[chain.clone().declares_text("SHA256")])?,
    )?;
    let script = format!(
        "#!/bin/sh -e\n\
         # Declares the stored certificate's fingerprint and renames the listeners into place: Envoy takes them over.\n\
         sha256=$(openssl x509 -in {0}/certs/shop.crt -outform DER | openssl dgst -sha256 -r | cut -d' ' -f1)\n\
         sed \"s/SHA256/$sha256/\" {0}/listeners.template > {1}.new\n\
         mv {1}.new {1}\n",
        folder.display(),
        envoy.listeners_file().display(),
    );
    let path = folder.join("reload-envoy");
    std::fs::write(&path, script)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755))?;
    Ok(())
}

/// The periods are short so that the show is; the shape is what one would run.
fn configuration(folder: &Path, controller: u16, nginx: &Nginx, nginx_port: u16, envoy: &Envoy) -> String {
    let (folder, tap, master, envoy) = (folder.display(), nginx.tap_url(), nginx.pid(), envoy.address());
    let policy = "grace: 1s, min_interval: 1s, settle: 1s, prove_within: 20s, alert_after: 5m";
    format!(
        "state_dir: {folder}/state
listen: {{address: \"127.0.0.1:{controller}\"}}
log: {{format: plain}}
gateways:
  - name: nginx
    match: kong
    sources: [{{directory: {folder}/certs}}]
    publish: {{grace: 1s}}
    observe: {{poll: 1s}}
    endpoints:
      - {{name: nginx, address: \"127.0.0.1:{nginx_port}\", tap: \"{tap}\"}}
    policy:
      mode: observe
      {{POLICY}}
      remedies:
        - {{name: reload nginx, signal: {{pid: {master}, process: nginx}}}}
  - name: envoy
    match: envoy
    sources: [{{directory: {folder}/certs}}]
    publish: {{grace: 1s}}
    observe: {{poll: 1s}}
    endpoints:
      - {{name: envoy, address: \"{envoy}\", report: \"https://{envoy}/certdrift/report\", workers: 1}}
    policy:
      mode: observe
      {{POLICY}}
      remedies:
        - {{name: reload envoy, command: {{argv: [{folder}/reload-envoy]}}}}
"
    )
    .replace("{POLICY}", &policy.replace(", ", "\n      "))
}

/// The first digits of a fingerprint, as people compare them.
pub(crate) fn short(fingerprint: Fingerprint) -> String {
    fingerprint.to_string().chars().take(16).collect()
}
