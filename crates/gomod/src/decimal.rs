//! Arithmetic on decimal strings of any length, as version numbers have no upper limit in Go.

use std::cmp::Ordering;

/// Compares two numbers written without leading zeros.
pub(crate) fn compare(a: &str, b: &str) -> Ordering {
    a.len().cmp(&b.len()).then_with(|| a.cmp(b))
}

/// Length of the run of ASCII digits `text` begins with.
pub(crate) fn leading_digits(text: &str) -> usize {
    text.bytes().take_while(u8::is_ascii_digit).count()
}

/// Splits a number without leading zeros off the front of `text`.
pub(crate) fn cut(text: &str) -> Option<(&str, &str)> {
    let (digits, rest) = text.split_at(leading_digits(text));
    let well_formed = !digits.is_empty() && (digits == "0" || !digits.starts_with('0'));
    well_formed.then_some((digits, rest))
}

/// True when `text` is not empty and holds ASCII digits only.
pub(crate) fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit())
}

/// `decimal` plus one. The empty string counts as zero.
pub fn inc_decimal(decimal: &str) -> String {
    let kept = decimal.trim_end_matches('9');
    let zeros = "0".repeat(decimal.len() - kept.len());
    let mut head = kept.to_owned();
    let next = head.pop().map_or('1', |digit| shifted(digit, 1));
    head.push(next);
    head + &zeros
}

/// `decimal` minus one, or `None` when all digits are zero (there is no number below).
pub fn dec_decimal(decimal: &str) -> Option<String> {
    let kept = decimal.trim_end_matches('0');
    let nines = "9".repeat(decimal.len() - kept.len());
    let mut head = kept.to_owned();
    let last = head.pop()?;
    // 1000 becomes 999, not 0999; but 1 becomes 0.
    if !(head.is_empty() && last == '1' && !nines.is_empty()) {
        head.push(shifted(last, -1));
    }
    Some(head + &nines)
}

fn shifted(digit: char, by: i8) -> char {
    u8::try_from(digit)
        .ok()
        .and_then(|byte| byte.checked_add_signed(by))
        .map_or(digit, char::from)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn numbers_grow_and_shrink_by_one() {
        for (low, high) in [
            ("0", "1"),
            ("9", "10"),
            ("99", "100"),
            ("100", "101"),
            ("1234", "1235"),
        ] {
            assert_eq!(inc_decimal(low), high);
            assert_eq!(dec_decimal(high).as_deref(), Some(low));
        }
        assert_eq!(inc_decimal("99999999999999999999"), "100000000000000000000");
    }

    #[test]
    fn nothing_is_below_zero() {
        for zero in ["", "0", "00"] {
            assert_eq!(dec_decimal(zero), None);
        }
    }

    proptest! {
        #[test]
        fn agrees_with_machine_integers(n in 0..u64::MAX) {
            prop_assert_eq!(inc_decimal(&n.to_string()), (n + 1).to_string());
            prop_assert_eq!(dec_decimal(&(n + 1).to_string()), Some(n.to_string()));
        }

        #[test]
        fn order_is_numeric(a: u64, b: u64) {
            prop_assert_eq!(compare(&a.to_string(), &b.to_string()), a.cmp(&b));
        }
    }
}
