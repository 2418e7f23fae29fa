//! An API server that is slow, refuses for a while, has forgotten where a watch was, or is silent: what changes meanwhile
//! arrives soon after it is over, and nobody asks in a frenzy. Behind a proxy that makes the faults; the API server is real.
#[expect(dead_code, reason = "shared by several tests")]
mod cluster;

use base64::Engine as _;
use certdrift_cluster::Cluster;
use certdrift_harness::controller::{Controller, PATIENCE};
use certdrift_harness::nginx::Nginx;
use certdrift_harness::process::free_port;
use certdrift_harness::wait;
use cluster::{ingress, inside, published, secret, start};
use rustix::process::Signal;
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// For so long each fault lasts: some turns of what is asked every two seconds, and the time of a back-off.
const LASTS: Duration = Duration::from_secs(12);
/// What has changed meanwhile arrives within this time after the end of a fault.
const ARRIVES: Duration = Duration::from_secs(30);
/// At most so many requests within [`LASTS`]: thirteen watches and a Lease, each a few times.
const MOST: usize = 150;

/// What the proxy does to requests, as its Lua reads it from the file `fault`.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Fault {
    /// Each answer comes two seconds late.
    Slow,
    /// All are refused with 429 and told to come again in a second.
    TooMany,
    /// All are refused with 500.
    Broken,
    /// Watches are told that what they ask for is gone; those that run are cut off.
    Gone,
    /// Connections stand, and nothing comes on them.
    Silent,
    /// The token is another from now on, and the one of before is refused: whoever reads the file again goes on.
    TokenRotated,
}

/// An nginx before the API server; the controller speaks plain HTTP to it.
struct Proxy {
    nginx: Nginx,
    folder: tempfile::TempDir,
    port: u16,
}

impl Proxy {
    fn before(cluster: &Cluster) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let at = folder.path().display().to_string();
        let config = cluster.kubectl(&["config", "view", "--raw", "--output=json"]).unwrap();
        let config: Value = serde_json::from_str(&config).unwrap();
        let user = &config["users"][0]["user"];
        for (file, key) in [("crt", "client-certificate"), ("key", "client-key")] {
            let bytes = match user[format!("{key}-data")].as_str() {
                Some(data) => base64::engine::general_purpose::STANDARD.decode(data).unwrap(),
                None => std::fs::read(user[key].as_str().unwrap()).unwrap(),
            };
            std::fs::write(folder.path().join(file), bytes).unwrap();
        }
        for file in ["fault", "token"] {
            std::fs::write(folder.path().join(file), "").unwrap();
        }
        let port = free_port();
        let lua = "
            local function read(name)
              local file = io.open(FOLDER .. name)
              local text = file and file:read('*a') or ''
              if file then file:close() end
              return text
            end
            local fault, token = read('fault'), read('token')
            if token ~= '' and ngx.var.http_authorization ~= 'Bearer ' .. token then
              ngx.status = 401
              ngx.say('{\"kind\":\"Status\",\"apiVersion\":\"v1\",\"status\":\"Failure\",\"reason\":\"Unauthorized\",\"code\":401}')
              return ngx.exit(401)
            end
            ngx.req.clear_header('Authorization')
            local refuse = { ['429'] = 'TooManyRequests', ['500'] = 'InternalError' }
            if fault == 'slow' then ngx.sleep(2) end
            if fault == '410' and ngx.var.arg_watch then fault, refuse['410'] = '410', 'Expired' end
            local reason = refuse[fault]
            if reason then
              ngx.status = tonumber(fault)
              ngx.header['content-type'] = 'application/json'
              if fault == '429' then ngx.header['retry-after'] = '1' end
              ngx.say('{\"kind\":\"Status\",\"apiVersion\":\"v1\",\"status\":\"Failure\",\"reason\":\"' .. reason .. '\",\"code\":' .. fault .. '}')
              return ngx.exit(ngx.status)
            end"
            .replace("FOLDER", &format!("'{at}/'"));
        let api = cluster.api_address();
        let server = format!(
            "listen 127.0.0.1:{port}; access_log {at}/access.log; client_max_body_size 8m;
             location / {{
               access_by_lua_block {{ {lua} }}
               proxy_pass https://{api}; proxy_http_version 1.1; proxy_buffering off; proxy_read_timeout 600s;
               proxy_ssl_certificate {at}/crt; proxy_ssl_certificate_key {at}/key; proxy_ssl_verify off;
             }}"
        );
        let nginx = Nginx::with_workers(1).tap().server(&server).start().unwrap();
        Self { nginx, folder, port }
    }

    /// A kubeconfig that leads here.
    fn kubeconfig(&self) -> String {
        let file = self.folder.path().join("kubeconfig");
        let token = self.folder.path().join("mounted-token");
        std::fs::write(&token, "the-first-token").unwrap();
        let config = json!({"apiVersion": "v1", "kind": "Config", "current-context": "proxy",
            "clusters": [{"name": "proxy", "cluster": {"server": format!("http://127.0.0.1:{}", self.port)}}],
            "users": [{"name": "us", "user": {"tokenFile": token}}],
            "contexts": [{"name": "proxy", "context": {"cluster": "proxy", "user": "us"}}]});
        std::fs::write(&file, config.to_string()).unwrap();
        file.display().to_string()
    }

    fn write(&self, file: &str, text: &str) {
        let place = self.folder.path();
        std::fs::write(place.join("next"), text).unwrap();
        std::fs::rename(place.join("next"), place.join(file)).unwrap();
    }

    /// Requests that were answered so far.
    fn answered(&self) -> usize {
        std::fs::read_to_string(self.folder.path().join("access.log")).unwrap_or_default().lines().count()
    }

    /// Ends whatever runs through it.
    fn cut(&self) {
        for worker in self.nginx.worker_pids() {
            self.nginx.kill_worker(worker);
        }
    }

    fn begin(&self, fault: Fault) {
        match fault {
            Fault::Slow => self.write("fault", "slow"),
            Fault::TooMany => self.write("fault", "429"),
            Fault::Broken => self.write("fault", "500"),
            Fault::Gone => self.write("fault", "410"),
            Fault::Silent => self.signal(Signal::STOP),
            Fault::TokenRotated => {
                // As the kubelet does: the file first, and the old one is good for a while.
                self.write("mounted-token", "the-second-token");
                self.write("token", "the-second-token");
            }
        }
        if matches!(fault, Fault::Slow | Fault::TooMany | Fault::Broken | Fault::Gone) {
            self.cut();
        }
    }

    fn end(&self, fault: Fault) {
        if fault == Fault::Silent {
            self.signal(Signal::CONT);
        }
        self.write("fault", "");
    }

    fn signal(&self, signal: Signal) {
        for worker in self.nginx.worker_pids() {
            let pid = rustix::process::Pid::from_raw(i32::try_from(worker).unwrap()).unwrap();
            rustix::process::kill_process(pid, signal).unwrap();
        }
    }
}

fn until_published(
    cluster: &Cluster,
    n: &str,
    controller: &Controller,
    leaf: certdrift_contract::Fingerprint,
    patience: Duration,
    what: &str,
) {
    wait::until(what, patience, || match published(cluster, n, "kong") {
        Ok(ledger) if ledger.current("x.example") == [leaf] => Ok(()),
        other => Err(format!("{other:#?}\n{}", controller.log())),
    });
}

fn outlived(cluster: &Cluster, number: usize, fault: Fault) {
    let namespace = cluster.namespace(&format!("fault-{number}")).unwrap();
    let n = namespace.name();
    let (first, old) = secret(n, "s", "x.example");
    cluster.apply(&first).unwrap();
    cluster.apply(&ingress(n, "x.example", "s")).unwrap();
    let proxy = Proxy::before(cluster);
    let sections = format!(
        "kubernetes: {{kubeconfig: {}, namespace: {n}, reach: namespaces, namespaces: [{n}]}}",
        proxy.kubeconfig()
    );
    let controller = start(n, &sections);
    until_published(cluster, n, &controller, old, PATIENCE, "the first certificate");
    proxy.begin(fault);
    let (began, before) = (Instant::now(), proxy.answered());
    let (second, new) = secret(n, "s", "x.example");
    cluster.apply(&second).unwrap();
    wait::until("the fault to last", PATIENCE, || match began.elapsed() {
        passed if passed >= LASTS => Ok(()),
        passed => Err(passed),
    });
    let asked = proxy.answered() - before;
    assert!(asked <= MOST, "{fault:?}: {asked} requests in {LASTS:?}");
    for path in ["/livez", "/readyz"] {
        assert_eq!(controller.get(path).unwrap().status, 200, "{fault:?} {path}: {}", controller.log());
    }
    proxy.end(fault);
    // A token file is read once a minute; the kubelet writes it hours before the old one ends.
    let patience = if fault == Fault::TokenRotated { PATIENCE + ARRIVES } else { ARRIVES };
    until_published(cluster, n, &controller, new, patience, &format!("{fault:?}: the second certificate"));
    let (third, newest) = secret(n, "s", "x.example");
    cluster.apply(&third).unwrap();
    until_published(cluster, n, &controller, newest, ARRIVES, &format!("{fault:?}: the third certificate"));
    wait::until("it to lead", PATIENCE, || match controller.metric("certdrift_leader") {
        Ok(value) if value > 0.5 => Ok(()),
        other => Err(format!("{other:?}\n{}", controller.log())),
    });
    eprintln!("{fault:?}: {asked} requests in {LASTS:?}");
}

#[test]
fn what_changes_during_a_fault_arrives_after_it_and_nobody_asks_in_a_frenzy() {
    inside(|cluster| {
        let faults =
            [Fault::Slow, Fault::TooMany, Fault::Broken, Fault::Gone, Fault::Silent, Fault::TokenRotated];
        let runs: Vec<_> = faults
            .into_iter()
            .enumerate()
            .map(|(n, fault)| {
                let cluster = cluster.clone();
                std::thread::spawn(move || outlived(&cluster, n, fault))
            })
            .collect();
        let failed: Vec<_> = runs.into_iter().filter_map(|run| run.join().err()).collect();
        if let Some(first) = failed.into_iter().next() {
            std::panic::resume_unwind(first);
        }
    });
}
