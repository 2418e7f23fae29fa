//! What status says of a gateway's canary. Pure.
use super::page::ago;
use crate::cli::output::{GREEN, RED, YELLOW};
use crate::run::state::Canary;
use anstyle::Style;
use certdrift_contract::UnixTime;

/// In one line, and how it stands.
pub(super) fn line(canary: &Canary, now: UnixTime) -> (Style, String) {
    let host = &canary.host;
    let worked = canary.worked.map(|at| {
        let took = canary.took.map(|took| format!(", in {}.{} s", took / 1_000, took % 1_000 / 100));
        format!("the whole way worked {} ago{}", ago(now.since(at.seconds())), took.unwrap_or_default())
    });
    let late = |at: crate::converge::Millis| now.since(at.seconds()) > canary.every / 1_000 * 3;
    match (&canary.failed, canary.waits_for) {
        (Some(hop), _) => {
            let before =
                worked.map_or("it never worked before".to_owned(), |worked| format!("before that, {worked}"));
            (RED, format!("canary {host}: the last one is not {} in time; {before}", hop.as_str()))
        }
        (None, Some(hop)) => {
            let before = worked.map(|worked| format!("; {worked}")).unwrap_or_default();
            (GREEN, format!("canary {host}: one is on its way, not {} yet{before}", hop.as_str()))
        }
        (None, None) => {
            let next = canary.next.map(|at| match at.seconds().since(now) {
                left @ 1.. => format!("; the next is due in {}", ago(left)),
                _ => "; the next is due".to_owned(),
            });
            let next = next.unwrap_or_default();
            match worked {
                Some(worked) if canary.worked.is_some_and(late) => {
                    (YELLOW, format!("canary {host}: {worked}{next}"))
                }
                Some(worked) => (GREEN, format!("canary {host}: {worked}{next}")),
                None => (YELLOW, format!("canary {host}: the whole way was not seen to work yet{next}")),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::converge::Millis;
    use crate::rehearse::way::Hop;

    #[test]
    fn it_says_when_the_whole_way_worked_and_how_long_it_took() {
        let now = UnixTime::from_seconds(1_795_564_800);
        let at = |seconds: i64| Some(Millis::from_seconds(now.seconds() + seconds));
        let good = Canary {
            host: "c.example".into(),
            certificate: "own/canary".into(),
            every: 3_600_000,
            worked: at(-720),
            took: Some(2_149),
            waits_for: None,
            failed: None,
            next: at(2_880),
        };
        let said = |canary: &Canary| line(canary, now);
        let words = "canary c.example: the whole way worked 12 min ago, in 2.1 s; the next is due in 48 min";
        assert_eq!(said(&good), (GREEN, words.to_owned()));
        let under_way = Canary { waits_for: Some(Hop::Loaded), ..good.clone() };
        assert!(
            said(&under_way).1.starts_with("canary c.example: one is on its way, not loaded yet; the whole")
        );
        let failed = Canary { failed: Some(Hop::Served), waits_for: Some(Hop::Served), ..good.clone() };
        let words = "canary c.example: the last one is not served in time; before that, the whole way worked 12 min ago, in 2.1 s";
        assert_eq!(said(&failed), (RED, words.to_owned()));
        let never = Canary { worked: None, took: None, next: at(-1), ..good.clone() };
        let words = "canary c.example: the whole way was not seen to work yet; the next is due";
        assert_eq!(said(&never), (YELLOW, words.to_owned()));
        assert_eq!(said(&Canary { worked: at(-10_801), ..good }).0, YELLOW, "nobody asks for another");
    }
}
