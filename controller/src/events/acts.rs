//! Acts as Events: what was done to which object, why, and what it said. Pure; written by whoever acts.
use super::plan::{Event, NOTE, Regarding};
use crate::converge::Intent;
use crate::remedy::{NotStarted, Outcome, Target};

/// A remedy, and the object that it is told on.
#[derive(Clone, Debug)]
pub struct Acting {
    regarding: Regarding,
    intent: Intent,
}

impl Acting {
    /// On the object that it changes; none where that is no object of the cluster.
    #[must_use]
    pub fn new(intent: &Intent, target: &Target) -> Option<Self> {
        let on = |api_version: &str, kind: &str, object: &crate::cluster::ObjectName, uid: &str| Regarding {
            api_version: api_version.to_owned(),
            kind: kind.to_owned(),
            object: object.clone(),
            uid: uid.to_owned(),
        };
        let pod = || target.pod.as_ref().map(|pod| on("v1", "Pod", &pod.name, &pod.uid));
        let regarding = match intent.kind.as_str() {
            "touch" => target.secret.as_ref().map(|secret| on("v1", "Secret", secret, "")),
            "rollout" if !target.template_is_owned => {
                target.workload.as_ref().map(|w| on("apps/v1", w.kind.written(), &w.name, ""))
            }
            _ => pod(),
        };
        Some(Self { regarding: regarding?, intent: intent.clone() })
    }

    /// What came of it; nothing where it was refused before the act: that may happen again and again, and nothing was done.
    #[must_use]
    pub fn told(&self, outcome: &Result<Outcome, NotStarted>) -> Option<Event> {
        let Outcome { ok, said } = outcome.as_ref().ok()?;
        let Intent { remedy, kind, host, endpoint, cause, price, .. } = &self.intent;
        let mut note = format!(
            "remedy {remedy} ({kind}) for {host} on {endpoint}, because {}: {said}; it costs {price}",
            cause.as_str()
        );
        while note.len() > NOTE {
            note.pop();
        }
        Some(Event {
            namespace: self.regarding.object.namespace.to_string(),
            name: format!("certdrift.{}", self.intent.key()),
            regarding: self.regarding.clone(),
            reason: if *ok { "RemedyDone" } else { "RemedyFailed" }.to_owned(),
            warning: !ok,
            note,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnose::Cause;

    fn intent(remedy: &str) -> Intent {
        Intent {
            id: 3,
            gateway: "kong".into(),
            remedy: remedy.into(),
            kind: "evict".into(),
            endpoint: "kong/a".into(),
            host: "x.example".into(),
            cause: Cause::PodBehind,
            covers: 1,
            served: None,
            expected: Vec::new(),
            at: crate::converge::Millis(7),
            timeout_ms: 1,
            price: "one pod".into(),
        }
    }

    fn acting(remedy: &str) -> Acting {
        let object = crate::cluster::ObjectName::new("kong", "a");
        let regarding = Regarding { api_version: "v1".into(), kind: "Pod".into(), object, uid: "u".into() };
        Acting { regarding, intent: intent(remedy) }
    }

    #[test]
    fn an_act_is_told_once_with_why_and_what_came_of_it() {
        let one = acting("replace");
        let done = one.told(&Ok(Outcome { ok: true, said: "pod kong/a is evicted".into() })).unwrap();
        assert_eq!(
            (done.name.as_str(), done.reason.as_str(), done.warning),
            ("certdrift.kong-3-7", "RemedyDone", false)
        );
        assert_eq!(
            done.note,
            "remedy replace (evict) for x.example on kong/a, because pod-behind: pod kong/a is evicted; it costs one pod"
        );
        let failed = one.told(&Ok(Outcome { ok: false, said: "no".into() })).unwrap();
        assert_eq!((failed.reason.as_str(), failed.warning), ("RemedyFailed", true));
        assert_eq!(one.told(&Err(NotStarted::from("busy".to_owned()))), None);
    }

    #[test]
    fn a_note_is_no_longer_than_the_api_server_takes() {
        let said = "\u{e4}".repeat(4_000);
        assert!(acting("a").told(&Ok(Outcome { ok: true, said })).unwrap().note.len() <= NOTE);
    }
}
