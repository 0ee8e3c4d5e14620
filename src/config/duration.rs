//! Durations and sizes as people write them: `500ms`, `1h30m`, `64MiB`.

use std::time::Duration;

const DURATION_UNITS: [(&str, u64); 6] = [
    ("ms", 1),
    ("s", 1_000),
    ("m", 60_000),
    ("h", 3_600_000),
    ("d", 86_400_000),
    ("w", 604_800_000),
];

const SIZE_UNITS: [(&str, u64); 5] = [
    ("B", 1),
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("TiB", 1 << 40),
];

/// Reads `500ms`, `5m`, `1h30m`; none when it is no duration or does not fit.
#[must_use]
pub fn read_duration(text: &str) -> Option<Duration> {
    let mut rest = text.trim();
    let mut millis: u64 = 0;
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let (part, tail) = split_number(rest)?;
        let unit_end = tail
            .find(|c: char| c.is_ascii_digit())
            .unwrap_or(tail.len());
        let factor = unit(&DURATION_UNITS, &tail[..unit_end])?;
        millis = millis.checked_add(part.checked_mul(factor)?)?;
        rest = &tail[unit_end..];
    }
    Some(Duration::from_millis(millis))
}

/// Reads `64MiB`; none when it is no size or does not fit.
#[must_use]
pub fn read_size(text: &str) -> Option<u64> {
    let (number, tail) = split_number(text.trim())?;
    number.checked_mul(unit(&SIZE_UNITS, tail)?)
}

/// The shortest text that [`read_duration`] reads back.
#[must_use]
pub fn write_duration(duration: Duration) -> String {
    let millis = crate::clock::millis(duration);
    if millis == 0 {
        return "0s".to_owned();
    }
    // Weeks are read but never written: "14d" is what people say.
    write(&DURATION_UNITS[..5], millis)
}

/// The shortest text that [`read_size`] reads back.
#[must_use]
pub fn write_size(bytes: u64) -> String {
    if bytes == 0 {
        return "0B".to_owned();
    }
    write(&SIZE_UNITS, bytes)
}

fn write(units: &[(&str, u64)], value: u64) -> String {
    let whole = units
        .iter()
        .rev()
        .find(|(_, factor)| value.is_multiple_of(*factor));
    whole.map_or_else(
        || value.to_string(),
        |(name, factor)| format!("{}{name}", value / factor),
    )
}

fn split_number(text: &str) -> Option<(u64, &str)> {
    let end = text.find(|c: char| !c.is_ascii_digit())?;
    Some((text[..end].parse().ok()?, &text[end..]))
}

fn unit(units: &[(&str, u64)], name: &str) -> Option<u64> {
    units
        .iter()
        .find(|(known, _)| *known == name.trim())
        .map(|(_, factor)| *factor)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn durations_and_sizes_are_read_or_refused() {
        let ms = Duration::from_millis;
        for (text, value) in [
            ("500ms", Some(ms(500))),
            ("1h30m", Some(ms(5_400_000))),
            ("14d", Some(ms(14 * 86_400_000))),
            ("0s", Some(ms(0))),
            ("", None),
            ("5", None),
            ("s", None),
            ("-1s", None),
            ("5 fortnights", None),
            ("99999999999999999d", None),
        ] {
            assert_eq!(read_duration(text), value, "{text}");
        }
        for (text, value) in [
            ("64MiB", Some(64 << 20)),
            ("1B", Some(1)),
            ("64MB", None),
            ("64", None),
            ("9999999TiB", Some(9_999_999 << 40)),
        ] {
            assert_eq!(read_size(text), value, "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(value in 0u64..1 << 50) {
            prop_assert_eq!(read_duration(&write_duration(Duration::from_millis(value))), Some(Duration::from_millis(value)));
            prop_assert_eq!(read_size(&write_size(value)), Some(value));
        }
    }
}
