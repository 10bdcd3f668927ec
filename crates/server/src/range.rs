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
            Spec::Malformed => return Ranges::Whole,
            Spec::BeyondEnd => {}
            Spec::Part(start, end) => parts.push((start, end)),
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

/// One part as asked for.
enum Spec {
    Malformed,
    BeyondEnd,
    Part(u64, u64),
}

impl Spec {
    fn checked(start: u64, end: u64, len: u64) -> Self {
        if start < end.min(len) {
            Self::Part(start, end.min(len))
        } else {
            Self::BeyondEnd
        }
    }
}

fn parse_one(spec: &str, len: u64) -> Spec {
    let Some((first, last)) = spec.split_once('-') else {
        return Spec::Malformed;
    };
    match (first.is_empty(), number(first), number(last)) {
        (true, _, Some(suffix)) => Spec::checked(len.saturating_sub(suffix), len, len),
        (false, Some(first), None) if last.is_empty() => Spec::checked(first, len, len),
        (false, Some(first), Some(last)) if first <= last => {
            Spec::checked(first, last.saturating_add(1), len)
        }
        _ => Spec::Malformed,
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
