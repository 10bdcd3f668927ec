//! `Range` requests (RFC 9110, section 14).

/// More ranges than this in one request serve no download, only an attack.
const MOST_RANGES: usize = 16;

/// What a `Range` header asks of a body of known length. Ranges are `[start, end)`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Ranges {
    /// The whole body: there is no header, or one that must be ignored.
    Whole,
    /// These parts, in the order asked for.
    Parts(Vec<(u64, u64)>),
    /// None of the parts exists: 416.
    Unsatisfiable,
}

/// Reads a `Range` header for a body of `len` bytes.
pub(crate) fn parse(header: Option<&str>, len: u64) -> Ranges {
    let Some(specs) = header.and_then(|header| header.trim().strip_prefix("bytes=")) else {
        return Ranges::Whole;
    };
    let mut parts = Vec::new();
    let mut count = 0;
    for spec in specs
        .split(',')
        .map(str::trim)
        .filter(|spec| !spec.is_empty())
    {
        count += 1;
        match parse_one(spec, len) {
            // A header that is not understood is as if it were not there.
            None => return Ranges::Whole,
            Some(None) => {}
            Some(Some(part)) => parts.push(part),
        }
    }
    if count == 0 || count > MOST_RANGES || overlap_much(&parts, len) {
        return Ranges::Whole;
    }
    if parts.is_empty() {
        Ranges::Unsatisfiable
    } else {
        Ranges::Parts(parts)
    }
}

/// `None`: malformed. `Some(None)`: well-formed, and beyond the end.
fn parse_one(spec: &str, len: u64) -> Option<Option<(u64, u64)>> {
    let (first, last) = spec.split_once('-')?;
    match (first, last) {
        ("", suffix) => {
            let suffix = number(suffix)?;
            Some((suffix > 0 && len > 0).then(|| (len.saturating_sub(suffix), len)))
        }
        (first, "") => {
            let first = number(first)?;
            Some((first < len).then_some((first, len)))
        }
        (first, last) => {
            let (first, last) = (number(first)?, number(last)?);
            if last < first {
                return None;
            }
            Some((first < len).then(|| (first, last.saturating_add(1).min(len))))
        }
    }
}

/// Digits only; a number too large for 64 bits is beyond every end.
fn number(text: &str) -> Option<u64> {
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| text.parse().unwrap_or(u64::MAX))
}

/// Parts that add up to more than the body only multiply work.
fn overlap_much(parts: &[(u64, u64)], len: u64) -> bool {
    parts.iter().map(|(start, end)| end - start).sum::<u64>() > len
}

#[cfg(test)]
mod tests {
    use super::Ranges::{Parts, Unsatisfiable, Whole};
    use super::*;

    #[test]
    fn ranges_are_read_as_rfc_9110_says() {
        let table = [
            (None, 100, Whole),
            (Some("bytes=0-9"), 100, Parts(vec![(0, 10)])),
            (Some("bytes=90-"), 100, Parts(vec![(90, 100)])),
            (Some("bytes=-5"), 100, Parts(vec![(95, 100)])),
            (Some("bytes=-500"), 100, Parts(vec![(0, 100)])),
            (Some("bytes=0-999"), 100, Parts(vec![(0, 100)])),
            (Some("bytes=0-0, -1"), 100, Parts(vec![(0, 1), (99, 100)])),
            (Some("bytes=0-9,200-300"), 100, Parts(vec![(0, 10)])),
            (Some("bytes=100-"), 100, Unsatisfiable),
            (Some("bytes=200-300"), 100, Unsatisfiable),
            (Some("bytes=-0"), 100, Unsatisfiable),
            (Some("bytes=0-"), 0, Unsatisfiable),
            (Some("bytes=99999999999999999999-"), 100, Unsatisfiable),
            (
                Some("bytes=0-99999999999999999999"),
                100,
                Parts(vec![(0, 100)]),
            ),
            (Some("bytes=9-0"), 100, Whole),
            (Some("bytes=a-b"), 100, Whole),
            (Some("bytes=+1-2"), 100, Whole),
            (Some("bytes="), 100, Whole),
            (Some("lines=0-9"), 100, Whole),
            (Some("bytes=0-99,0-99"), 100, Whole),
        ];
        for (header, len, expected) in table {
            assert_eq!(parse(header, len), expected, "{header:?} of {len}");
        }
        let many = (0..17)
            .map(|i| format!("{i}-{i}"))
            .collect::<Vec<_>>()
            .join(",");
        assert_eq!(parse(Some(&format!("bytes={many}")), 100), Whole);
    }
}
