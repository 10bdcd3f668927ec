//! Pseudo-versions: versions made up from a commit, its time and the tag before it.
//!
//! | tag before the commit | form |
//! |---|---|
//! | none | `vX.0.0-yyyymmddhhmmss-abcdef123456` |
//! | `vX.Y.Z` | `vX.Y.(Z+1)-0.yyyymmddhhmmss-abcdef123456` |
//! | `vX.Y.Z-pre` | `vX.Y.Z-pre.0.yyyymmddhhmmss-abcdef123456` |
//!
//! Build metadata of the tag (`+incompatible`) is kept at the end. Rules: x/mod `module/pseudo.go`.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

pub use crate::decimal::{dec_decimal, inc_decimal};
use crate::error::{VersionError, VersionFault};
use crate::semver::{self, Parts};

/// The pseudo-version of a commit: `major` (`v0` when empty) counts when there is no tag `older`
/// before the commit (empty or invalid); `rev` is usually the first 12 digits of the commit hash.
///
/// The result is canonical when the build metadata of `older` is empty or `+incompatible` and `rev`
/// is a commit hash.
pub fn pseudo_version(major: &str, older: &str, time: Timestamp, rev: &str) -> String {
    let stamp = time_stamp(time);
    let Some(base) = semver::canonical(older) else {
        let major = if major.is_empty() { "v0" } else { major };
        return format!("{major}.0.0-{stamp}-{rev}");
    };
    let build = semver::build(older).unwrap_or_default();
    if base.contains('-') {
        return format!("{base}.0.{stamp}-{rev}{build}");
    }
    let (line, patch) = base.rsplit_once('.').unwrap_or((&base, ""));
    format!("{line}.{}-0.{stamp}-{rev}{build}", inc_decimal(patch))
}

/// The pseudo-version with no base, the time 0001-01-01 and a hash of zeros: a placeholder.
pub fn zero_pseudo_version(major: &str) -> String {
    let major = if major.is_empty() { "v0" } else { major };
    format!("{major}.0.0-00010101000000-000000000000")
}

fn time_stamp(time: Timestamp) -> String {
    let t = TimeZone::UTC.to_datetime(time);
    format!(
        "{:04}{:02}{:02}{:02}{:02}{:02}",
        t.year(),
        t.month(),
        t.day(),
        t.hour(),
        t.minute(),
        t.second()
    )
}

/// True when `version` has the form of a pseudo-version.
pub fn is_pseudo_version(version: &str) -> bool {
    PseudoParts::parse(version).is_some()
}

/// True when `version` is the placeholder of [`zero_pseudo_version`].
pub fn is_zero_pseudo_version(version: &str) -> bool {
    semver::major(version).is_some_and(|major| version == zero_pseudo_version(major))
}

/// The commit time that a pseudo-version carries.
pub fn pseudo_version_time(version: &str) -> Result<Timestamp, VersionError> {
    let parts = parse(version)?;
    parse_time_stamp(parts.stamp).ok_or_else(|| {
        VersionError::pseudo(version, VersionFault::MalformedTime(parts.stamp.to_owned()))
    })
}

/// The revision that a pseudo-version carries, usually 12 digits of a commit hash.
pub fn rev(version: &str) -> Result<&str, VersionError> {
    parse(version).map(|parts| parts.rev)
}

/// The tagged version that a pseudo-version was derived from, or `None` if it has no base.
pub fn base(version: &str) -> Result<Option<String>, VersionError> {
    let parts = parse(version)?;
    let refuse = |fault| Err(VersionError::pseudo(version, fault));
    let Some(lead) = parts.lead else {
        return match parts.build {
            "" => Ok(None),
            build => refuse(VersionFault::BuildWithoutBase(build.to_owned())),
        };
    };
    let Some(release) = lead.strip_suffix("-0") else {
        let tag = lead.strip_suffix(".0").unwrap_or(lead);
        return Ok(Some(format!("{tag}{}", parts.build)));
    };
    let (line, patch) = release.rsplit_once('.').unwrap_or((release, ""));
    match dec_decimal(patch) {
        Some(patch) => Ok(Some(format!("{line}.{patch}{}", parts.build))),
        None => refuse(VersionFault::NegativePatch(release.to_owned())),
    }
}

struct PseudoParts<'a> {
    /// What stands before the `.` in front of the time stamp (`vX.Y.Z-pre.0`, `vX.Y.Z-0`); `None`
    /// when there is no base.
    lead: Option<&'a str>,
    stamp: &'a str,
    rev: &'a str,
    build: &'a str,
}

impl<'a> PseudoParts<'a> {
    fn parse(version: &'a str) -> Option<Self> {
        let parts = Parts::parse(version)?;
        let (prerelease, rev) = parts.prerelease.rsplit_once('-')?;
        if rev.is_empty() || !rev.bytes().all(|b| b.is_ascii_alphanumeric()) {
            return None;
        }
        let (before, stamp) = prerelease.split_at_checked(prerelease.len().checked_sub(14)?)?;
        if !crate::decimal::is_number(stamp) {
            return None;
        }
        let lead = match before {
            "-" if parts.minor == "0" && parts.patch == "0" => None,
            "-0." => Some("-0"),
            _ if before.ends_with(".0.") => before.strip_suffix('.'),
            _ => return None,
        };
        let release = version.len() - parts.build.len() - parts.prerelease.len();
        Some(Self {
            lead: lead.and_then(|lead| version.get(..release + lead.len())),
            stamp,
            rev,
            build: parts.build,
        })
    }
}

fn parse(version: &str) -> Result<PseudoParts<'_>, VersionError> {
    PseudoParts::parse(version)
        .ok_or_else(|| VersionError::pseudo(version, VersionFault::PseudoSyntax))
}

fn parse_time_stamp(stamp: &str) -> Option<Timestamp> {
    let field = |from: usize, to: usize| stamp.get(from..to)?.parse::<i16>().ok();
    let small = |from: usize| field(from, from + 2).and_then(|n| i8::try_from(n).ok());
    DateTime::new(
        field(0, 4)?,
        small(4)?,
        small(6)?,
        small(8)?,
        small(10)?,
        small(12)?,
        0,
    )
    .ok()
    .and_then(|t| TimeZone::UTC.to_timestamp(t).ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const TIME: &str = "2006-01-02T15:04:05Z";

    #[test]
    fn the_form_follows_the_tag_before() {
        let time: Timestamp = TIME.parse().unwrap();
        for (major, older, version) in [
            ("", "", "v0.0.0-20060102150405-abcdef123456"),
            ("v2", "", "v2.0.0-20060102150405-abcdef123456"),
            ("v2", "nonsense", "v2.0.0-20060102150405-abcdef123456"),
            ("v9", "v1.2.9", "v1.2.10-0.20060102150405-abcdef123456"),
            (
                "v9",
                "v1.2.3-rc.1",
                "v1.2.3-rc.1.0.20060102150405-abcdef123456",
            ),
            (
                "v9",
                "v2.0.0+incompatible",
                "v2.0.1-0.20060102150405-abcdef123456+incompatible",
            ),
            (
                "v9",
                "v2.0.0-a+incompatible",
                "v2.0.0-a.0.20060102150405-abcdef123456+incompatible",
            ),
        ] {
            assert_eq!(pseudo_version(major, older, time, "abcdef123456"), version);
            assert!(is_pseudo_version(version));
            assert_eq!(pseudo_version_time(version), Ok(time));
            assert_eq!(rev(version), Ok("abcdef123456"));
            let want = (older != "nonsense" && !older.is_empty()).then(|| older.to_owned());
            assert_eq!(base(version), Ok(want));
        }
    }

    #[test]
    fn what_only_looks_like_a_pseudo_version_is_none() {
        for version in [
            "v1.2.3",
            "v1.2.3-20060102150405-abcdef123456",
            "v0.1.0-20060102150405-abcdef123456",
            "v1.2.3-0.2006010215040-abcdef123456",
            "v1.2.3-0.20060102150405-abc.def",
            "v1.2.3-0.20060102150405-",
            "v1.2.3-1.20060102150405-abcdef123456",
            "v1.2.3-x0.20060102150405-abcdef123456",
            "v1.2.3-0.20060102150405",
            "0.0.0-20060102150405-abcdef123456",
        ] {
            assert!(!is_pseudo_version(version), "{version}");
            let error = rev(version).unwrap_err().to_string();
            assert_eq!(
                error,
                format!("pseudo-version \"{version}\" invalid: syntax error")
            );
        }
    }

    #[test]
    fn impossible_bases_and_times_are_refused() {
        for (version, reason) in [
            (
                "v1.0.0-0.20060102150405-abc",
                "version before v1.0.0 would have negative patch number",
            ),
            (
                "v2.0.0-20060102150405-abc+incompatible",
                r#"lacks base version, but has build metadata "+incompatible""#,
            ),
        ] {
            let error = base(version).unwrap_err().to_string();
            assert_eq!(
                error,
                format!("pseudo-version \"{version}\" invalid: {reason}")
            );
        }
        for stamp in [
            "20061302150405",
            "20060230150405",
            "20060102250405",
            "20060102156005",
            "20060102150460",
        ] {
            let version = format!("v0.0.0-{stamp}-abc");
            let error = pseudo_version_time(&version).unwrap_err().to_string();
            assert_eq!(
                error,
                format!("pseudo-version \"{version}\" invalid: malformed time \"{stamp}\"")
            );
        }
    }

    #[test]
    fn the_placeholder_is_recognized() {
        assert_eq!(
            zero_pseudo_version("v3"),
            "v3.0.0-00010101000000-000000000000"
        );
        assert!(is_zero_pseudo_version("v0.0.0-00010101000000-000000000000"));
        assert!(!is_zero_pseudo_version(
            "v0.0.0-20060102150405-000000000000"
        ));
        assert!(pseudo_version_time("v0.0.0-00010101000000-000000000000").is_ok());
    }

    proptest! {
        #[test]
        fn time_revision_and_base_are_found_again(
            seconds in 0_i64..253_402_300_799,
            older in "(v[0-9]\\.(0|[1-9][0-9]?)\\.(0|[1-9][0-9]{0,20})(-(a|rc\\.[1-9]|0|b-0))?(\\+incompatible)?)?",
            hash in "[0-9a-f]{12}",
        ) {
            let time = Timestamp::from_second(seconds).unwrap();
            let version = pseudo_version("v1", &older, time, &hash);
            prop_assert_eq!(pseudo_version_time(&version), Ok(time));
            prop_assert_eq!(rev(&version), Ok(hash.as_str()));
            prop_assert_eq!(base(&version), Ok((!older.is_empty()).then_some(older.clone())));
            if !older.is_empty() {
                prop_assert!(semver::compare(&older, &version).is_lt());
            }
        }

        #[test]
        fn no_text_panics(text in "\\PC*|v[0-9.-]{0,40}") {
            let _ = (base(&text), rev(&text), pseudo_version_time(&text));
        }
    }
}
