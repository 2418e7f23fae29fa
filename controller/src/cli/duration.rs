//! Durations as people type them: `500ms`, `5s`, `2m`, `1h`; a bare number is seconds.
use std::time::Duration;

/// Reads one, for clap.
///
/// # Errors
/// In words, when it is none, or longer than a day.
pub fn parse(text: &str) -> Result<Duration, String> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = text.get(digits.len()..).unwrap_or_default();
    let number: u64 =
        digits.parse().map_err(|_| "a duration is written like 500ms, 5s, 2m or 1h".to_owned())?;
    let milliseconds = match unit {
        "ms" => Some(number),
        "" | "s" => number.checked_mul(1_000),
        "m" => number.checked_mul(60_000),
        "h" => number.checked_mul(3_600_000),
        _ => return Err(format!("\"{unit}\" is no unit of time; ms, s, m and h are")),
    };
    milliseconds
        .map(Duration::from_millis)
        .filter(|d| *d <= Duration::from_secs(86_400))
        .ok_or_else(|| "longer than a day".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_with_and_without_unit() {
        for (text, ms) in [("500ms", 500), ("5s", 5_000), ("5", 5_000), ("2m", 120_000), ("1h", 3_600_000)] {
            assert_eq!(parse(text), Ok(Duration::from_millis(ms)), "{text}");
        }
        for text in ["", "s", "-1s", "5d", "1.5s", "25h", "99999999999999999999"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
