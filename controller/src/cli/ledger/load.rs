//! A ledger from a file or an address, with its parts, as bytes.
use super::super::check::trust;
use super::super::{Failure, block_on};
use super::Remote;
use crate::observe::http::{Bounds, Client, Request, Url};
use crate::observe::tls;
use crate::publish::findings as kinds;
use crate::publish::split::join;
use certdrift_contract::Ledger;
use certdrift_contract::json::{Limits, ParseError};
use certdrift_contract::ledger::Content;
use certdrift_contract::names::{TOKEN_HEADER, part_path};
use std::collections::BTreeMap;
use std::io::Read as _;

/// What was found; nothing of it is judged yet.
pub(super) struct Loaded {
    /// As it was typed.
    pub(super) place: String,
    /// The ledger's or index's bytes.
    pub(super) index: Vec<u8>,
    /// Of each part the index names: its bytes, or why there are none.
    pub(super) parts: BTreeMap<String, Result<Vec<u8>, String>>,
}

impl Loaded {
    /// The ledger with its entries, and the number of its parts.
    pub(super) fn whole(&self) -> Result<(Ledger, usize), Failure> {
        self.joined()
            .map_err(|error| Failure::unknown(kinds::INVALID.on(self.place.clone(), error.to_string())))
    }

    pub(super) fn joined(&self) -> Result<(Ledger, usize), ParseError> {
        join(&self.index, |name| {
            self.parts.get(name).cloned().unwrap_or_else(|| Err("it is missing".to_owned()))
        })
    }
}

pub(super) fn load(place: &str, remote: &Remote) -> Result<Loaded, Failure> {
    // The parts' own paths and addresses stand in the reasons; the ledger's is the object already.
    let fails = |why: String| {
        let why = why.strip_prefix(place).and_then(|rest| rest.strip_prefix(": ")).unwrap_or(&why);
        Failure::unknown(kinds::NOT_READ.on(place, why))
    };
    if let Some((scheme, _)) = place.split_once("://")
        && !matches!(scheme, "http" | "https")
    {
        return Err(Failure::usage(kinds::NOT_READ.on(place, format!("{scheme}:// is not spoken here"))));
    }
    if !place.starts_with("http://") && !place.starts_with("https://") {
        let index = file(place).map_err(fails)?;
        let parts =
            names(&index).into_iter().map(|name| (name.clone(), file(&part_path(place, &name)))).collect();
        return Ok(Loaded { place: place.to_owned(), index, parts });
    }
    let token = match &remote.token_file {
        None => None,
        Some(path) => {
            let bytes = file(&path.display().to_string());
            let text =
                bytes.and_then(|b| String::from_utf8(b).map_err(|e| format!("{}: {e}", path.display())));
            Some(text.map_err(|why| fails(format!("the token file {why}")))?.trim().to_owned())
        }
    };
    let roots = match remote.roots.as_deref() {
        None if place.starts_with("http://") => rustls::RootCertStore::empty(),
        None => tls::system_roots().0,
        Some(named) => {
            let roots = trust::roots(named).map_err(|why| {
                let mut finding = kinds::NOT_READ.on(format!("--roots {named}"), why);
                "name a PEM file with the root of whoever issued the controller's certificate"
                    .clone_into(&mut finding.mend);
                Failure::usage(finding)
            })?;
            roots.0
        }
    };
    let client = Client::new(tls::verified(roots));
    // What a trust store lacks is mended by naming it, not by another path.
    let fails = |why: String| {
        let mut failure = fails(why);
        if let Some(finding) = failure.findings.first_mut().filter(|f| f.why.contains("UnknownIssuer")) {
            "name the root of whoever issued the controller's certificate: --roots FILE"
                .clone_into(&mut finding.mend);
        }
        failure
    };
    block_on(async {
        let index = ask(&client, place, token.as_deref()).await.map_err(fails)?;
        let mut parts = BTreeMap::new();
        for name in names(&index) {
            let part = ask(&client, &part_path(place, &name), token.as_deref()).await;
            parts.insert(name, part);
        }
        Ok(Loaded { place: place.to_owned(), index, parts })
    })?
}

/// The parts an index names; none when it is no index or cannot be read, which is told later.
pub(in crate::cli) fn names(index: &[u8]) -> Vec<String> {
    match Ledger::parse(index, &Limits::default()) {
        Ok(Ledger { content: Content::Parts(parts), .. }) => {
            parts.into_iter().map(|part| part.name).collect()
        }
        _ => Vec::new(),
    }
}

fn file(path: &str) -> Result<Vec<u8>, String> {
    let limit = u64::try_from(Limits::default().bytes).unwrap_or(u64::MAX);
    let mut bytes = Vec::new();
    std::fs::File::open(path)
        .and_then(|file| file.take(limit.saturating_add(1)).read_to_end(&mut bytes))
        .map_err(|error| format!("{path}: {error}"))?;
    Ok(bytes)
}

async fn ask(client: &Client, url: &str, token: Option<&str>) -> Result<Vec<u8>, String> {
    let parsed: Url = url.parse().map_err(|error| format!("{url}: {error}"))?;
    let mut request = Request::get(parsed);
    if let Some(token) = token {
        let with_token = request.header(TOKEN_HEADER, token);
        request = with_token.map_err(|_| "the token has characters that HTTP forbids".to_owned())?;
    }
    let answer = client.send(request, Bounds::default()).await.map_err(|error| format!("{url}: {error}"))?;
    match answer.status {
        200 => Ok(answer.body.to_vec()),
        404 => Err(format!("{url}: 404: no such gateway, or the token is missing")),
        other => Err(format!("{url}: HTTP status {other}")),
    }
}
