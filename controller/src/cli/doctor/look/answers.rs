//! Asks endpoints what they say of themselves: as the controller does; and a pod that is out of reach from here, or whose
//! token is not here, by port-forward, which comes from the pod's own loopback.
use super::super::facts::{Looked, Said};
use super::super::judge::answers::is_away;
use super::PATIENCE;
use crate::clock;
use crate::cluster::{ObjectName, forward};
use crate::config;
use crate::observe::endpoint::{Endpoint, Polled};
use crate::observe::http::Url;
use crate::observe::{report, tap, workers};

/// A report's size follows trouble.
const MOST_OF_A_BODY: usize = 16 << 20;

/// What an endpoint says, asked at its address.
pub(super) async fn of(endpoint: &config::Endpoint) -> Said {
    match Endpoint::new(endpoint) {
        Ok(endpoint) => said(endpoint.poll(PATIENCE).await),
        Err(why) => untold(endpoint, &why),
    }
}

/// Nothing of what it was to be asked.
fn untold(endpoint: &config::Endpoint, why: &str) -> Said {
    Said {
        status: endpoint.status.as_ref().map(|_| Err(why.to_owned())),
        report: endpoint.report.as_ref().map(|_| Err(why.to_owned())),
        tap: endpoint.tap.as_ref().map(|_| Err(why.to_owned())),
    }
}

fn said(polled: Polled) -> Said {
    Said {
        status: polled.status.map(|said| said.map(|said| said.workers.len())),
        report: polled.report.map(|said| said.map(|report| (report.version, report.problems))),
        tap: polled.tap.map(|said| said.map(|report| tap::workers(&report).0.len())),
    }
}

/// What a pod says; `endpoint` is named like it.
pub(super) async fn of_pod(client: &kube::Client, endpoint: &config::Endpoint) -> Said {
    let mut said = of(endpoint).await;
    let Some(pod) = ObjectName::parse(&endpoint.name) else { return said };
    let inside = async |url: &Option<String>, why: &str| -> Looked<Vec<u8>> {
        let url = url.as_deref().and_then(|url| url.parse::<Url>().ok()).ok_or_else(|| why.to_owned())?;
        inside(client, &pod, &url).await.map_err(|inner| match is_away(&inner) {
            true => format!("{why}; by port-forward: {inner}"),
            false => inner,
        })
    };
    if let Some(Err(why)) = said.status.as_ref().filter(|said| is_without_answer(said)) {
        let answer = inside(&endpoint.status, why).await;
        said.status = Some(answer.and_then(|body| Ok(workers::kong_status(&body)?.workers.len())));
    }
    if let Some(Err(why)) = said.report.as_ref().filter(|said| is_without_answer(said)) {
        let answer = inside(&endpoint.report, why).await;
        said.report = Some(answer.and_then(|body| {
            let report = report::read(&body)?;
            Ok((report.version, report.problems))
        }));
    }
    if let Some(Err(why)) = said.tap.as_ref().filter(|said| is_without_answer(said)) {
        let answer = inside(&endpoint.tap, why).await;
        said.tap = Some(answer.and_then(|body| Ok(tap::workers(&tap::read(&body)?).0.len())));
    }
    said
}

fn is_without_answer<T>(said: &Looked<T>) -> bool {
    said.as_ref().err().is_some_and(|why| is_away(why))
}

/// Asks by port-forward, for at most as long as any question may take.
async fn inside(client: &kube::Client, pod: &ObjectName, url: &Url) -> Looked<Vec<u8>> {
    let work = async {
        match forward::get(client, pod, url, MOST_OF_A_BODY).await? {
            answer if answer.status == 200 => Ok(answer.body.to_vec()),
            answer => Err(format!("{url} answers with status {}", answer.status)),
        }
    };
    clock::timeout(PATIENCE, work).await.unwrap_or_else(|_| Err(format!("no answer in {PATIENCE:?}")))
}
