//! Maintenance windows: when a disruptive remedy may be started.
//!
//! Times are read in a named zone, with its summer time, at a fixed offset from UTC, or in UTC.
use super::clock::Millis;
use super::zone::Zone;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A day of the week.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs, reason = "the names say it")]
pub enum Day {
    Mon,
    Tue,
    Wed,
    Thu,
    Fri,
    Sat,
    Sun,
}

/// Every day, or on the days named, from one time of day to another. A window whose end is not after its beginning
/// reaches into the next day (`22:00` to `04:00`); `00:00` to `00:00` is the whole day.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Window {
    /// The days on which it begins; every day when empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub days: Vec<Day>,
    /// When it begins, `HH:MM`.
    pub from: TimeOfDay,
    /// When it ends, `HH:MM`.
    pub to: TimeOfDay,
    /// How far the clock on the wall is ahead of UTC: `+02:00`, `-05:30`; UTC when absent.
    #[serde(default, skip_serializing_if = "Offset::is_none")]
    pub offset: Offset,
    /// Time zone of the clock on the wall, in place of `offset`: `Europe/Berlin`. In the hour that summer time skips no window
    /// begins; one that lies in the hour that comes twice is open twice.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub zone: Option<Zone>,
}

/// `HH:MM`, as minutes since midnight.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String", extend("pattern" = r"^([01][0-9]|2[0-3]):[0-5][0-9]$"))]
pub struct TimeOfDay(u16);

/// `+HH:MM` or `-HH:MM`, as minutes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String", extend("pattern" = r"^[+-](0[0-9]|1[0-4]):[0-5][0-9]$"))]
pub struct Offset(i16);

impl Offset {
    const fn is_none(&self) -> bool {
        self.0 == 0
    }
}

fn minutes(text: &str) -> Option<u16> {
    let &[h1, h2, b':', m1, m2] = text.as_bytes() else { return None };
    let number = |a: u8, b: u8| {
        (a.is_ascii_digit() && b.is_ascii_digit()).then(|| u16::from(a - b'0') * 10 + u16::from(b - b'0'))
    };
    let (hour, minute) = (number(h1, h2)?, number(m1, m2)?);
    (hour < 24 && minute < 60).then_some(hour * 60 + minute)
}

impl TryFrom<String> for TimeOfDay {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        minutes(&text).map(Self).ok_or_else(|| format!("a time of day is written like 22:00, not {text:?}"))
    }
}

impl From<TimeOfDay> for String {
    fn from(time: TimeOfDay) -> Self {
        format!("{:02}:{:02}", time.0 / 60, time.0 % 60)
    }
}

impl TryFrom<String> for Offset {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        let refused = || format!("an offset from UTC is written like +02:00 or -05:30, not {text:?}");
        let (sign, rest) = match text.split_at_checked(1) {
            Some(("+", rest)) => (1, rest),
            Some(("-", rest)) => (-1, rest),
            _ => return Err(refused()),
        };
        let minutes = minutes(rest).filter(|m| *m <= 14 * 60).and_then(|m| i16::try_from(m).ok());
        minutes.map(|m| Self(sign * m)).ok_or_else(refused)
    }
}

impl From<Offset> for String {
    fn from(offset: Offset) -> Self {
        let (sign, minutes) = (if offset.0 < 0 { '-' } else { '+' }, offset.0.unsigned_abs());
        format!("{sign}{:02}:{:02}", minutes / 60, minutes % 60)
    }
}

const MINUTE: i64 = 60_000;
const MINUTES_A_DAY: i64 = 1_440;

impl Window {
    /// Whether it is open at this moment.
    #[must_use]
    pub fn open_at(&self, now: Millis) -> bool {
        let ahead = match &self.zone {
            Some(zone) => zone.ahead_at(now).div_euclid(60),
            None => i64::from(self.offset.0),
        };
        let local = now.0.div_euclid(MINUTE).saturating_add(ahead);
        let (day, minute) = (local.div_euclid(MINUTES_A_DAY), local.rem_euclid(MINUTES_A_DAY));
        let (from, to) = (i64::from(self.from.0), i64::from(self.to.0));
        if from < to {
            return self.begins_on(day) && (from..to).contains(&minute);
        }
        (self.begins_on(day) && minute >= from) || (self.begins_on(day - 1) && minute < to)
    }

    /// Two things that say where the clock on the wall is.
    #[must_use]
    pub const fn contradicts_itself(&self) -> bool {
        self.zone.is_some() && !self.offset.is_none()
    }

    fn begins_on(&self, day: i64) -> bool {
        // 1970-01-01 was a Thursday.
        const WEEK: [Day; 7] = [Day::Thu, Day::Fri, Day::Sat, Day::Sun, Day::Mon, Day::Tue, Day::Wed];
        let index = usize::try_from(day.rem_euclid(7)).unwrap_or(0);
        self.days.is_empty() || WEEK.get(index).is_some_and(|today| self.days.contains(today))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn window(text: &str) -> Window {
        serde_json::from_str(text).expect("a window")
    }

    /// 2026-11-24 (a Tuesday), so many minutes after midnight UTC.
    fn tuesday(minutes: i64) -> Millis {
        Millis::from_seconds(1_795_478_400 + minutes * 60)
    }

    #[test]
    fn a_window_over_midnight_belongs_to_the_day_it_begins_on() {
        let w = window(r#"{"days": ["tue"], "from": "22:00", "to": "04:00"}"#);
        assert!(!w.open_at(tuesday(60)), "the night from Monday");
        assert!(!w.open_at(tuesday(22 * 60 - 1)));
        assert!(w.open_at(tuesday(22 * 60)));
        assert!(w.open_at(tuesday(28 * 60 - 1)), "Wednesday morning");
        assert!(!w.open_at(tuesday(28 * 60)));
    }

    #[test]
    fn the_offset_moves_the_clock_on_the_wall() {
        let w = window(r#"{"from": "02:00", "to": "03:00", "offset": "-05:30"}"#);
        assert!(w.open_at(tuesday(7 * 60 + 30)));
        assert!(!w.open_at(tuesday(2 * 60 + 30)));
    }

    #[test]
    fn a_named_zone_keeps_the_window_at_its_time_of_day_through_summer_time() {
        let w = window(r#"{"days": ["tue"], "from": "02:00", "to": "03:00", "zone": "Europe/Berlin"}"#);
        // In November an hour ahead of UTC, in July (2026-07-14, a Tuesday) two.
        assert!(w.open_at(tuesday(60)) && !w.open_at(tuesday(2 * 60)));
        let july = |minutes: i64| Millis::from_seconds(1_783_987_200 + minutes * 60);
        assert!(w.open_at(july(0)) && !w.open_at(july(60)));
        assert!(!w.open_at(july(-1)), "before it begins");
        assert!(
            window(r#"{"from": "02:00", "to": "03:00", "zone": "UTC", "offset": "+01:00"}"#)
                .contradicts_itself()
        );
    }

    #[test]
    fn equal_ends_are_the_whole_day() {
        assert!(window(r#"{"from": "00:00", "to": "00:00"}"#).open_at(tuesday(777)));
    }

    #[test]
    fn a_window_is_written_as_it_is_read() {
        let text = r#"{"days":["sat","sun"],"from":"01:30","to":"05:00","offset":"+02:00"}"#;
        assert_eq!(serde_json::to_string(&window(text)).expect("JSON"), text);
        let zoned = r#"{"from":"01:30","to":"05:00","zone":"Asia/Tokyo"}"#;
        assert_eq!(serde_json::to_string(&window(zoned)).expect("JSON"), zoned);
        for wrong in [
            r#"{"from": "01:00", "to": "05:00", "zone": "Tokyo"}"#,
            r#"{"from": "24:00", "to": "05:00"}"#,
            r#"{"from": "1:00", "to": "05:00"}"#,
            r#"{"from": "01:00", "to": "05:00", "offset": "CET"}"#,
        ] {
            assert!(serde_json::from_str::<Window>(wrong).is_err(), "{wrong}");
        }
    }
}
