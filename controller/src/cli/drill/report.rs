//! What a drill came to, in each form it can be asked for. Pure.
use crate::cli::Exit;
use crate::cli::output::{BOLD, GREEN, Marks, RED, View, YELLOW};
use crate::cluster::ObjectName;
use crate::converge::Millis;
use crate::rehearse::ask::Identity;
use crate::rehearse::way::{Hop, Way};
use schemars::{JsonSchema, Schema};
use serde::Serialize;
use std::io::{self, Write};

/// The report.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(title = "What certdrift drill came to", transform = tagged)]
pub(super) struct Report {
    /// `worked`: the whole way was proven; `failed`: a hop was not done in time; `unknown`: what came after it was stored could not be seen.
    #[schemars(extend("enum" = ["worked", "failed", "unknown"]))]
    verdict: &'static str,
    /// `NAMESPACE/NAME`
    certificate: String,
    /// `NAMESPACE/NAME` of the Secret it is stored in.
    secret: String,
    /// Hosts that are served from it, as the ledgers list them.
    hosts: Vec<String>,
    /// On so many endpoints.
    endpoints: usize,
    /// When it was asked for, `2026-11-25T00:00:00Z`.
    begun: String,
    /// Who asked for it: the user of this machine.
    by: String,
    /// Of the new certificate, once it is signed.
    revision: Option<u64>,
    /// `NAMESPACE/NAME` of the CertificateRequest that was signed.
    request: Option<String>,
    /// The certificate until then; none where its request is gone.
    before: Option<Identity>,
    /// The new one, once it is signed.
    after: Option<Identity>,
    #[serde(skip)]
    leaf: Option<String>,
    /// In the order of the way.
    hops: Vec<Row>,
    /// What the controller says of it, where it did not come through.
    findings: Vec<String>,
}

#[derive(Debug, Serialize, JsonSchema)]
struct Row {
    /// Of the way.
    hop: Hop,
    /// `not observed` is what nothing here can show.
    #[schemars(extend("enum" = ["done", "missing", "not observed"]))]
    result: &'static str,
    /// Seconds from the beginning.
    after_seconds: Option<f64>,
}

/// The document says which it is, as every answer for programs does.
fn tagged(schema: &mut Schema) {
    schema.insert("$id".to_owned(), "https://certdrift.dev/schema/drill.schema.json".into());
    let tag = serde_json::json!({"const": Report::SCHEMA});
    if let Some(properties) = schema.get_mut("properties").and_then(|p| p.as_object_mut()) {
        properties.insert("schema".to_owned(), tag);
    }
    if let Some(required) = schema.get_mut("required").and_then(|r| r.as_array_mut()) {
        required.insert(0, "schema".into());
    }
}

/// Around the way: whose it is, and what was seen of it.
#[derive(Debug)]
pub(super) struct About {
    /// The Certificate.
    pub certificate: ObjectName,
    /// Its Secret.
    pub secret: ObjectName,
    /// Hosts that are served from it.
    pub hosts: Vec<String>,
    /// On so many endpoints.
    pub endpoints: usize,
    /// When it was begun.
    pub begun: Millis,
    /// By whom.
    pub by: String,
    /// The certificate until then.
    pub before: Option<Identity>,
    /// The new one.
    pub after: Option<Identity>,
    /// What the controller says of it.
    pub findings: Vec<String>,
}

impl Report {
    /// As it stands. A hop that nothing here can show is never good.
    #[must_use]
    pub(super) fn new(about: About, way: &Way) -> Self {
        let row = |hop: Hop| Row {
            hop,
            result: match (way.took(hop), way.blind.contains(&hop)) {
                (Some(_), _) => "done",
                (None, true) => "not observed",
                (None, false) => "missing",
            },
            after_seconds: way.took(hop),
        };
        let hops: Vec<Row> = Hop::ALL.into_iter().map(row).collect();
        let whole = [Hop::Issued, Hop::Stored, Hop::Published, Hop::Served];
        let verdict = if hops.iter().any(|row| row.result == "missing") {
            "failed"
        } else if whole.iter().all(|hop| way.took(*hop).is_some()) {
            "worked"
        } else {
            "unknown"
        };
        Self {
            verdict,
            certificate: about.certificate.to_string(),
            secret: about.secret.to_string(),
            hosts: about.hosts,
            endpoints: about.endpoints,
            begun: about.begun.seconds().to_string(),
            by: about.by,
            revision: way.revision,
            request: way.request.as_ref().map(ToString::to_string),
            before: about.before,
            after: about.after,
            leaf: way.leaf.map(|leaf| leaf.to_string()),
            hops,
            findings: about.findings,
        }
    }

    /// What the shell gets.
    #[must_use]
    pub(super) fn exit(&self) -> Exit {
        match self.verdict {
            "worked" => Exit::Good,
            "failed" => Exit::Drift,
            _ => Exit::Unknown,
        }
    }

    fn last(&self) -> f64 {
        self.hops.iter().filter_map(|row| row.after_seconds).fold(0.0, f64::max)
    }

    fn headline(&self) -> String {
        match self.verdict {
            "worked" => format!("the whole way took {:.1} s", self.last()),
            "failed" => {
                let first = self.hops.iter().find(|row| row.result == "missing");
                let hop = first.map_or("a hop", |row| row.hop.as_str());
                format!(
                    "it is not {hop} in time; cert-manager and the gateway may still get there by themselves"
                )
            }
            _ => "what came after it was stored could not be seen".to_owned(),
        }
    }

    fn about(&self, hop: Hop) -> String {
        let short = |leaf: &String| leaf.chars().take(8).collect::<String>();
        match hop {
            Hop::Issued => match (&self.request, &self.leaf) {
                (Some(request), Some(leaf)) => format!("request {request}, leaf {}", short(leaf)),
                _ => String::new(),
            },
            Hop::Stored => format!("Secret {}", self.secret),
            Hop::Published => self.hosts.join(", "),
            Hop::Loaded => String::new(),
            Hop::Served => format!("{} endpoints, by handshakes", self.endpoints),
        }
    }

    /// For the folder of audits, on stdout and in a file alike.
    #[must_use]
    pub(super) fn text(&self) -> String {
        use std::fmt::Write as _;
        let mut text = format!(
            "# Drill of Certificate {}: {}\n\n{}.\n\n",
            self.certificate,
            self.verdict,
            self.headline()
        );
        let _ = writeln!(text, "- begun {} by {}", self.begun, self.by);
        let _ = writeln!(
            text,
            "- hosts: {}",
            if self.hosts.is_empty() { "none known".to_owned() } else { self.hosts.join(", ") }
        );
        for (when, identity) in [("before", &self.before), ("after", &self.after)] {
            if let Some(Identity { sha256, serial, not_after }) = identity {
                let _ = writeln!(text, "- {when}: serial {serial}, SHA-256 {sha256}, ends {not_after}");
            }
        }
        if let (Some(revision), Some(request)) = (self.revision, &self.request) {
            let _ = writeln!(text, "- revision {revision}, signed as CertificateRequest {request}");
        }
        text.push_str("\n| hop | result | seconds after the beginning | |\n|---|---|---|---|\n");
        for row in &self.hops {
            let after = row.after_seconds.map(|s| format!("{s:.3}")).unwrap_or_default();
            let _ = writeln!(
                text,
                "| {} | {} | {after} | {} |",
                row.hop.as_str(),
                row.result,
                self.about(row.hop)
            );
        }
        if !self.findings.is_empty() {
            text.push_str("\nWhat certdrift says of it:\n\n");
            for finding in &self.findings {
                let _ = writeln!(text, "- {finding}");
            }
        }
        text
    }
}

impl View for Report {
    const SCHEMA: &'static str = "certdrift.dev/drill/v1";

    fn human(&self, to: &mut dyn Write, _: bool, _: Marks) -> io::Result<()> {
        let color = match self.verdict {
            "worked" => GREEN,
            "failed" => RED,
            _ => YELLOW,
        };
        let verdict = self.verdict.to_uppercase();
        writeln!(to, "{color}{verdict}{color:#} {BOLD}{}{BOLD:#}: {}", self.certificate, self.headline())?;
        for row in &self.hops {
            let after = row.after_seconds.map_or_else(|| row.result.to_owned(), |s| format!("{s:.2} s"));
            let line = format!("  {:<10} {after:<13} {}", row.hop.as_str(), self.about(row.hop));
            writeln!(to, "{}", line.trim_end())?;
        }
        self.findings.iter().try_for_each(|finding| writeln!(to, "  {finding}"))
    }

    fn markdown(&self) -> Option<String> {
        Some(self.text())
    }

    fn names(&self) -> Vec<String> {
        vec![self.certificate.clone()]
    }

    fn short(&self) -> Vec<String> {
        let missing = self.hops.iter().filter(|row| row.result != "done");
        missing.map(|row| format!("{} {} {}", self.certificate, row.hop.as_str(), row.result)).collect()
    }
}
