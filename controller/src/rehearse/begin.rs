//! Whether a certificate may be re-issued for a rehearsal, and the patch that asks for it. Pure.
use crate::cluster::cert_manager::Certificate;
use crate::cluster::object::{condition, is_true};

/// What is known of who issues it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Issuer {
    /// An ACME authority, which limits how often it issues.
    Acme,
    /// Any other: CA, self-signed, Vault, ….
    Other(String),
    /// It cannot be read, or is none of cert-manager's own kinds.
    Unknown(String),
}

impl Issuer {
    /// By its `spec`: one key of it says what it is.
    #[must_use]
    pub fn of(spec: &serde_json::Value) -> Self {
        let keys = spec.as_object().map(|spec| spec.keys().cloned().collect::<Vec<_>>()).unwrap_or_default();
        match keys
            .iter()
            .find(|key| matches!(key.as_str(), "acme" | "ca" | "selfSigned" | "vault" | "venafi"))
        {
            Some(key) if key == "acme" => Self::Acme,
            Some(key) => Self::Other(key.clone()),
            None => Self::Unknown("its spec says of no kind that is known what it is".to_owned()),
        }
    }
}

/// What may be done though it is refused otherwise.
#[derive(Clone, Copy, Debug, Default)]
pub struct Told {
    /// Also where an ACME authority issues, or nobody knows who.
    pub any_issuer: bool,
    /// Also where the Certificate has renewal windows, or maintenance windows are closed.
    pub any_time: bool,
}

/// Whether it may be asked for once more. `closed`: gateways whose maintenance windows are closed.
///
/// # Errors
/// The first reason why not, and what to do about it.
pub fn may_begin(
    certificate: &Certificate,
    issuer: &Issuer,
    closed: &[String],
    told: Told,
) -> Result<(), (String, String)> {
    let no = |why: String, mend: &str| Err((why, mend.to_owned()));
    if certificate.metadata.deletion_timestamp.is_some() {
        return no("it is being deleted".to_owned(), "drill another certificate");
    }
    if let Some(issuing) = certificate.issuing() {
        let why = format!("it is being issued already ({})", issuing.reason);
        return no(why, "wait for the end of it: certdrift status shows where it stands");
    }
    if !is_true(&certificate.status.conditions, "Ready") {
        let ready = condition(&certificate.status.conditions, "Ready");
        let why = ready.map_or_else(
            || "it has no condition Ready".to_owned(),
            |c| format!("it is not ready: {}", c.message),
        );
        return no(why, "mend that first: a rehearsal of what is broken already shows nothing new");
    }
    if certificate.status.revision.is_none() {
        return no(
            "its status has no revision".to_owned(),
            "drill a certificate that cert-manager has issued",
        );
    }
    let windows = certificate.spec.renewal.as_ref().is_some_and(|r| !r.windows.is_empty());
    if windows && !told.any_time {
        let why = "it has renewal windows (spec.renewal.windows), and whether one is open is not known here";
        return no(why.to_owned(), "run it within a window, with --any-time");
    }
    if !closed.is_empty() && !told.any_time {
        let why = format!("the maintenance windows of {} are closed", closed.join(", "));
        return no(why, "run it within a window; --any-time does it all the same");
    }
    match issuer {
        _ if told.any_issuer => Ok(()),
        Issuer::Other(_) => Ok(()),
        Issuer::Acme => no(
            "an ACME authority issues it, and limits how often it does".to_owned(),
            "drill a certificate of a CA or self-signed issuer; --any-issuer does it all the same",
        ),
        Issuer::Unknown(why) => no(
            format!("who issues it is not known: {why}"),
            "let whoever drills read its issuer; --any-issuer does it all the same",
        ),
    }
}

/// The patch of its `status` that asks for a re-issue; `by` is for people. A merge patch replaces a list, so all conditions that are there are in it.
#[must_use]
pub fn trigger(certificate: &serde_json::Value, now: &str, by: &str) -> serde_json::Value {
    let at = |pointer: &str| certificate.pointer(pointer).cloned().unwrap_or_default();
    let mut conditions = at("/status/conditions").as_array().cloned().unwrap_or_default();
    conditions.retain(|condition| condition.get("type").and_then(|t| t.as_str()) != Some("Issuing"));
    conditions.push(serde_json::json!({"type": "Issuing", "status": "True", "reason": "ManuallyTriggered",
        "message": format!("Certificate re-issuance manually triggered by {by}"), "lastTransitionTime": now,
        "observedGeneration": at("/metadata/generation")}));
    serde_json::json!({"metadata": {"resourceVersion": at("/metadata/resourceVersion")},
        "status": {"conditions": conditions}})
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn certificate(change: impl FnOnce(&mut Value)) -> Certificate {
        let mut whole = json!({"metadata": {"name": "web", "namespace": "shop"},
            "spec": {"secretName": "web-tls", "issuerRef": {"name": "ca"}},
            "status": {"revision": 3, "conditions": [{"type": "Ready", "status": "True", "reason": "Ready", "message": ""}]}});
        change(&mut whole);
        serde_json::from_value(whole).unwrap()
    }

    fn why(change: impl FnOnce(&mut Value), issuer: &Issuer, told: Told) -> String {
        may_begin(&certificate(change), issuer, &[], told)
            .map_or_else(|(why, _)| why, |()| "it may".to_owned())
    }

    #[test]
    fn each_reason_to_refuse_is_one() {
        let ca = Issuer::Other("ca".to_owned());
        let no = Told::default();
        assert_eq!(why(|_| {}, &ca, no), "it may");
        let issuing = |c: &mut Value| {
            c["status"]["conditions"]
                .as_array_mut()
                .unwrap()
                .push(json!({"type": "Issuing", "status": "True", "reason": "Renewing"}));
        };
        assert_eq!(why(issuing, &ca, no), "it is being issued already (Renewing)");
        let broken = |c: &mut Value| {
            c["status"]["conditions"] = json!([{"type": "Ready", "status": "False", "message": "expired"}]);
        };
        assert_eq!(why(broken, &ca, no), "it is not ready: expired");
        assert!(why(|c| c["status"]["conditions"] = json!([]), &ca, no).contains("no condition Ready"));
        assert!(why(|c| c["status"]["revision"] = Value::Null, &ca, no).contains("no revision"));
        let windows = |c: &mut Value| c["spec"]["renewal"] = json!({"windows": [{}]});
        assert!(why(windows, &ca, no).contains("renewal windows"));
        assert_eq!(why(windows, &ca, Told { any_time: true, ..no }), "it may");
        let gone = |c: &mut Value| c["metadata"]["deletionTimestamp"] = json!("2026-11-25T00:00:00Z");
        assert_eq!(why(gone, &ca, no), "it is being deleted");
    }

    #[test]
    fn acme_and_whoever_is_not_known_are_refused_unless_told() {
        let unknown = Issuer::Unknown("404".to_owned());
        assert!(why(|_| {}, &Issuer::Acme, Told::default()).contains("ACME"));
        assert!(why(|_| {}, &unknown, Told::default()).contains("404"));
        let any = Told { any_issuer: true, ..Told::default() };
        assert_eq!(why(|_| {}, &Issuer::Acme, any), "it may");
        assert_eq!(Issuer::of(&json!({"acme": {}})), Issuer::Acme);
        assert_eq!(Issuer::of(&json!({"ca": {}, "x": 1})), Issuer::Other("ca".to_owned()));
        assert!(matches!(Issuer::of(&json!({})), Issuer::Unknown(_)));
    }

    #[test]
    fn the_patch_keeps_the_other_conditions_and_holds_to_one_version() {
        let object = json!({"metadata": {"resourceVersion": "7", "generation": 2}, "status": {"conditions": [
            {"type": "Ready", "status": "True", "extra": 1}, {"type": "Issuing", "status": "False"}]}});
        let patch = trigger(&object, "2026-11-25T00:00:00Z", "certdrift drill");
        assert_eq!(patch["metadata"]["resourceVersion"], "7");
        let conditions = patch["status"]["conditions"].as_array().unwrap();
        assert_eq!(conditions.len(), 2);
        assert_eq!(conditions[0], json!({"type": "Ready", "status": "True", "extra": 1}));
        assert_eq!(
            (&conditions[1]["status"], &conditions[1]["observedGeneration"]),
            (&json!("True"), &json!(2))
        );
    }

    #[test]
    fn closed_windows_keep_it_from_being_asked_for_unless_told() {
        let (ca, closed) = (Issuer::Other("ca".to_owned()), ["kong".to_owned()]);
        let begin = |told| may_begin(&certificate(|_| {}), &ca, &closed, told);
        assert_eq!(begin(Told::default()).unwrap_err().0, "the maintenance windows of kong are closed");
        assert_eq!(begin(Told { any_time: true, ..Told::default() }), Ok(()));
    }
}
