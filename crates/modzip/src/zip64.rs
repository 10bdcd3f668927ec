//! The zip64 extra field: 64-bit values for header fields of 32 bits (APPNOTE 4.5.3).

use crate::fields::{Fields, IN_ZIP64_32};

/// Identifies the field among the extra fields.
const TAG: u16 = 1;

/// Real values of header fields given as `plain`, in header order: size, compressed size and (in the
/// central directory) offset. `None` when the zip64 field is needed and missing, malformed, there
/// twice, or contradicts a plain value.
///
/// The specification wants only the fields that did not fit; Go's writer puts all three when one did not
/// fit, other writers put both sizes always. Anything else is refused, because readers disagree about it.
pub(crate) fn widen<const N: usize>(plain: [u32; N], extra: &[u8]) -> Option<[u64; N]> {
    let needed = plain.iter().filter(|&&field| field == IN_ZIP64_32).count();
    let mut wide = plain.map(u64::from);
    let values = match find(extra).as_slice() {
        [] => return (needed == 0).then_some(wide),
        [field] => numbers(field)?,
        _ => return None,
    };
    if values.len() == needed {
        let missing = wide
            .iter_mut()
            .filter(|field| **field == u64::from(IN_ZIP64_32));
        missing
            .zip(values)
            .for_each(|(field, value)| *field = value);
        return Some(wide);
    }
    let both_sizes = needed == 0 && values.len() == 2;
    if values.len() != N && !both_sizes {
        return None;
    }
    for (field, value) in wide.iter_mut().zip(values) {
        if *field != u64::from(IN_ZIP64_32) && *field != value {
            return None;
        }
        *field = value;
    }
    Some(wide)
}

/// The contents of all zip64 fields. A malformed rest of the extra fields is passed over, as Go does.
fn find(extra: &[u8]) -> Vec<&[u8]> {
    let mut fields = Fields(extra);
    let mut found = Vec::new();
    while let (Some(tag), Some(len)) = (fields.u16(), fields.u16()) {
        let Some(content) = fields.bytes(usize::from(len)) else {
            break;
        };
        if tag == TAG {
            found.push(content);
        }
    }
    found
}

/// The 64-bit numbers of the field, without the disk number that may follow them (which must be 0).
fn numbers(content: &[u8]) -> Option<Vec<u64>> {
    let (numbers, disk) = content.as_chunks();
    let disk_is_first = disk.is_empty() || disk == [0; 4];
    disk_is_first.then(|| {
        numbers
            .iter()
            .map(|&number| u64::from_le_bytes(number))
            .collect()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const MARK: u32 = u32::MAX;

    fn field(tag: u16, content: &[u8]) -> Vec<u8> {
        let len = u16::try_from(content.len()).unwrap();
        [&tag.to_le_bytes()[..], &len.to_le_bytes(), content].concat()
    }

    fn zip64(values: &[u64]) -> Vec<u8> {
        field(
            TAG,
            &values
                .iter()
                .flat_map(|value| value.to_le_bytes())
                .collect::<Vec<_>>(),
        )
    }

    #[test]
    fn only_fields_that_did_not_fit_are_in_the_zip64_field() {
        assert_eq!(widen([1, 2, 3], &[]), Some([1, 2, 3]));
        assert_eq!(widen([1, MARK, 3], &zip64(&[9])), Some([1, 9, 3]));
        assert_eq!(widen([MARK, 2, MARK], &zip64(&[8, 9])), Some([8, 2, 9]));
        assert_eq!(widen([MARK, MARK], &zip64(&[8, 9])), Some([8, 9]));
    }

    #[test]
    fn writers_that_give_more_than_needed_must_repeat_the_plain_values() {
        assert_eq!(
            widen([MARK, MARK, 3], &zip64(&[7, 8, 3])),
            Some([7, 8, 3]),
            "Go"
        );
        assert_eq!(widen([1, 2, 3], &zip64(&[1, 2])), Some([1, 2, 3]));
        assert_eq!(widen([MARK, MARK, 3], &zip64(&[7, 8, 4])), None);
        assert_eq!(widen([1, 2, 3], &zip64(&[1, 5])), None);
        assert_eq!(widen([1, 2, 3], &zip64(&[1])), None);
    }

    #[test]
    fn a_missing_short_or_second_field_is_refused() {
        assert_eq!(widen([MARK, 2, 3], &[]), None);
        assert_eq!(widen([MARK, MARK, 3], &zip64(&[7])), None);
        assert_eq!(widen([MARK, 2, 3], &field(TAG, &[0; 7])), None);
        assert_eq!(
            widen([MARK, 2, 3], &[zip64(&[1]), zip64(&[2])].concat()),
            None
        );
        assert_eq!(widen([1, 2, 3], &zip64(&[1, 2, 3, 4])), None);
    }

    #[test]
    fn a_disk_number_must_be_the_first_disk() {
        let with_disk = |disk: u32| {
            field(
                TAG,
                &[&9_u64.to_le_bytes()[..], &disk.to_le_bytes()].concat(),
            )
        };
        assert_eq!(widen([MARK, 2, 3], &with_disk(0)), Some([9, 2, 3]));
        assert_eq!(widen([MARK, 2, 3], &with_disk(1)), None);
    }

    #[test]
    fn other_fields_and_a_malformed_rest_are_passed_over() {
        let extra = [
            field(0x5455, &[1, 2, 3, 4, 5]),
            zip64(&[9]),
            vec![1, 0, 200, 0, 1],
        ]
        .concat();
        assert_eq!(widen([MARK, 2, 3], &extra), Some([9, 2, 3]));
    }
}
