//! Writes a ledger's ConfigMaps, as planned.
use super::map::{self, There};
use super::plan::{self, Step};
use super::{PATIENCE, Task, kinds, lock, wait};
use crate::cluster::call::{Call, Refusal, refused_verb};
use crate::finding::Finding;
use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use serde_json::value::RawValue;
use std::time::Duration;

/// So many requests at one time.
const AT_ONCE: usize = 8;

impl Task {
    /// Does what was planned: what does not depend on each other at one time.
    pub(super) async fn steps(
        &mut self,
        steps: &[Step<'_>],
        wrong: &mut Vec<Finding>,
    ) -> Result<(), Option<Duration>> {
        for group in plan::groups(steps) {
            let done = self.together(group).await;
            let mut failed = None;
            for (name, done) in done {
                match done {
                    Ok(there) => {
                        let shown = self.shown().and_then(|(shown, _)| shown.get(name).cloned());
                        self.written.done(name, shown.as_ref(), there);
                    }
                    // Somebody was faster: the watch will show it, and the plan is made anew.
                    Err(Refusal::Changed(_)) => failed = failed.or(Some(None)),
                    Err(refusal) => {
                        wrong.push(self.not_written(name, &refusal));
                        failed = Some(wait(&refusal));
                    }
                }
            }
            if let Some(wait) = failed {
                return Err(wait);
            }
        }
        Ok(())
    }

    async fn together<'s>(&self, steps: &'s [Step<'_>]) -> Vec<(&'s str, Result<Option<There>, Refusal>)> {
        let (mut under_way, mut done) = (FuturesUnordered::new(), Vec::new());
        let mut waiting = steps.iter();
        loop {
            under_way
                .extend(waiting.by_ref().take(AT_ONCE.saturating_sub(under_way.len())).map(|s| self.step(s)));
            match under_way.next().await {
                Some(one) => done.push(one),
                None => return done,
            }
        }
    }

    async fn step<'s>(&self, step: &'s Step<'_>) -> (&'s str, Result<Option<There>, Refusal>) {
        match step {
            Step::Apply { name, document, version, force } => {
                let done = match self.place.body(name, document, version.as_deref()) {
                    Ok(body) => self.apply(name, &body, *force).await,
                    Err(why) => Err(Refusal::Broken(why.to_string())),
                };
                (name, done)
            }
            Step::Delete { name, uid, version } => (name, self.delete(name, uid, version).await),
        }
    }

    async fn apply(
        &self,
        name: &str,
        body: &serde_json::Value,
        force: bool,
    ) -> Result<Option<There>, Refusal> {
        let path = format!("{}/{name}", self.place.path());
        let send =
            async |force| Call::apply(&path, force, body).send::<Box<RawValue>>(&self.client, PATIENCE).await;
        let answer = match send(force).await {
            Err(Refusal::Owned { message }) => {
                let finding = kinds::CONFIG_MAP_PUT_RIGHT.on(self.place.object(name), message);
                crate::log::finding(&self.place.gateway, &finding);
                lock(&self.told).mended.push(finding);
                send(true).await?
            }
            other => other?,
        };
        let (_, there, _) = map::read(answer.get().as_bytes()).map_err(|e| Refusal::Broken(e.to_string()))?;
        Ok(Some(there))
    }

    async fn delete(&self, name: &str, uid: &str, version: &str) -> Result<Option<There>, Refusal> {
        let body = serde_json::json!({"apiVersion": "v1", "kind": "DeleteOptions",
            "preconditions": {"uid": uid, "resourceVersion": version}});
        let call = Call::json(http::Method::DELETE, format!("{}/{name}", self.place.path()), &body);
        match call.send::<serde::de::IgnoredAny>(&self.client, PATIENCE).await {
            Ok(_) | Err(Refusal::Absent(_)) => Ok(None),
            Err(refusal) => Err(refusal),
        }
    }

    fn not_written(&self, name: &str, refusal: &Refusal) -> Finding {
        let mut finding = kinds::CONFIG_MAP_NOT_WRITTEN.on(self.place.object(name), refusal.to_string());
        let namespace = &self.place.namespace;
        finding.mend = match refusal {
            Refusal::Forbidden(message) => {
                let verb = refused_verb(message).unwrap_or("patch");
                format!(
                    "grant {verb} on configmaps/{name} in namespace {namespace} to certdrift's ServiceAccount; the chart does; try: kubectl auth can-i {verb} configmaps/{name} -n {namespace} --as=system:serviceaccount:NAMESPACE:NAME"
                )
            }
            Refusal::Absent(_) => {
                format!("create the namespace {namespace}, or name the gateway's own in the configuration")
            }
            Refusal::Invalid(message) if message.contains("immutable") => {
                format!(
                    "delete it, it is written anew at once: kubectl delete configmap -n {namespace} {name}"
                )
            }
            Refusal::Invalid(_) => {
                format!("look at what else is in it: kubectl get configmap -n {namespace} {name} -o yaml")
            }
            _ => "look at the API server: kubectl get --raw /readyz?verbose".to_owned(),
        };
        finding
    }
}
