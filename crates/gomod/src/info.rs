//! The `.info` document: which version a revision is, when it was made, and how that was found out.
//!
//! Rules: protocol reference "`.info` JSON"; Go's `modfetch.RevInfo` and `codehost.Origin`. Names of
//! fields are compared as Go does, without regard to case.

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value};

/// A document that is not JSON, or has a field of the wrong type, or no version.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("invalid version info: {0}")]
pub struct InfoError(String);

/// What a proxy tells about a revision.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct RevInfo {
    /// The version as written; check it with [`crate::Version::new`] before use.
    pub version: String,
    /// When the commit was made.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time: Option<RevTime>,
    /// How the answer was found.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub origin: Option<Origin>,
}

impl RevInfo {
    /// Reads an `.info` document. Unknown fields are ignored; a document without version is of no
    /// use and refused.
    pub fn parse(document: &[u8]) -> Result<Self, InfoError> {
        serde_json::from_slice(document).map_err(|error| InfoError(error.to_string()))
    }

    /// The document as the `go` command writes it, without a final newline.
    pub fn to_json(&self) -> String {
        // No map key and no number is involved, so there is nothing that could fail.
        serde_json::to_string(self).unwrap_or_default()
    }
}

impl<'de> Deserialize<'de> for RevInfo {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut fields = Fields::deserialize(deserializer)?;
        let version = fields.text::<D::Error>("Version")?;
        if version.is_empty() {
            return Err(serde::de::Error::missing_field("Version"));
        }
        Ok(Self {
            version,
            time: fields.take("Time")?,
            origin: fields.take("Origin")?,
        })
    }
}

/// The fields of a JSON object, to be taken out by name.
#[derive(Deserialize)]
#[serde(transparent)]
struct Fields(Map<String, Value>);

impl Fields {
    /// The value of the field `name` in any case, the exact spelling preferred; `null` is no value.
    fn take<'de, T: Deserialize<'de>, E: serde::de::Error>(
        &mut self,
        name: &str,
    ) -> Result<Option<T>, E> {
        let value = self.0.remove(name).or_else(|| {
            let key = self
                .0
                .keys()
                .find(|key| key.eq_ignore_ascii_case(name))?
                .clone();
            self.0.remove(&key)
        });
        match value {
            None | Some(Value::Null) => Ok(None),
            Some(value) => T::deserialize(value)
                .map(Some)
                .map_err(|error| E::custom(format_args!("{name}: {error}"))),
        }
    }

    fn text<E: serde::de::Error>(&mut self, name: &str) -> Result<String, E> {
        self.take(name).map(Option::unwrap_or_default)
    }
}

/// A time in RFC 3339, kept as it was written, so that a document served again is the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RevTime {
    text: String,
    time: Timestamp,
}

impl RevTime {
    /// The time as it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The moment it stands for.
    pub fn timestamp(&self) -> Timestamp {
        self.time
    }

    fn parse(text: String) -> Option<Self> {
        let time = is_rfc3339(&text).then(|| text.parse().ok()).flatten()?;
        Some(Self { text, time })
    }
}

/// True when `text` has the shape `2006-01-02T15:04:05[.999](Z|+01:00)`, the only one Go reads.
fn is_rfc3339(text: &str) -> bool {
    let Some((clock, zone)) = text.split_at_checked(19) else {
        return false;
    };
    let zone = match zone.strip_prefix('.') {
        Some(fraction) if !fraction.starts_with(|c: char| c.is_ascii_digit()) => return false,
        Some(fraction) => fraction.trim_start_matches(|c: char| c.is_ascii_digit()),
        None => zone,
    };
    has_shape(clock, "0000-00-00T00:00:00")
        && (zone == "Z" || has_shape(zone, "+00:00") || has_shape(zone, "-00:00"))
}

/// True when `text` is `shape` with any digits in place of the zeros.
fn has_shape(text: &str, shape: &str) -> bool {
    text.len() == shape.len()
        && text.bytes().zip(shape.bytes()).all(|(b, want)| match want {
            b'0' => b.is_ascii_digit(),
            _ => b == want,
        })
}

impl From<Timestamp> for RevTime {
    /// Writes the time in UTC, as Go does.
    fn from(time: Timestamp) -> Self {
        Self {
            text: time.to_string(),
            time,
        }
    }
}

impl fmt::Display for RevTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.text)
    }
}

impl Serialize for RevTime {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text)
    }
}

impl<'de> Deserialize<'de> for RevTime {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let refusal = format!("not a time in RFC 3339: {text}");
        Self::parse(text).ok_or_else(|| serde::de::Error::custom(refusal))
    }
}

/// Where an answer came from and what it depends on; empty fields are left out of the document.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Origin {
    /// Version control system, such as `git`.
    #[serde(rename = "VCS", skip_serializing_if = "String::is_empty")]
    pub vcs: String,
    /// Address of the repository.
    #[serde(rename = "URL", skip_serializing_if = "String::is_empty")]
    pub url: String,
    /// Directory of the module in the repository.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub subdir: String,
    /// Full hash of the commit.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub hash: String,
    /// What the tags counted by `tag_sum` begin with.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub tag_prefix: String,
    /// Hash over the tags, when the answer depends on them.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub tag_sum: String,
    /// Full name of the ref, when the answer depends on it.
    #[serde(rename = "Ref", skip_serializing_if = "String::is_empty")]
    pub ref_name: String,
    /// Hash over all refs, when the answer depends on all of them.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub repo_sum: String,
}

impl<'de> Deserialize<'de> for Origin {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut fields = Fields::deserialize(deserializer)?;
        Ok(Self {
            vcs: fields.text("VCS")?,
            url: fields.text("URL")?,
            subdir: fields.text("Subdir")?,
            hash: fields.text("Hash")?,
            tag_prefix: fields.text("TagPrefix")?,
            tag_sum: fields.text("TagSum")?,
            ref_name: fields.text("Ref")?,
            repo_sum: fields.text("RepoSum")?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const FULL: &str = r#"{"Version":"v1.2.3","Time":"2020-01-02T03:04:05Z","Origin":{"VCS":"git","URL":"https://git.example/x","Subdir":"sub","Hash":"aa11","TagPrefix":"sub/","TagSum":"t1:x","Ref":"refs/tags/sub/v1.2.3","RepoSum":"r1:y"}}"#;

    #[test]
    fn a_document_is_written_as_it_was_read() {
        let info = RevInfo::parse(FULL.as_bytes()).unwrap();
        assert_eq!(info.to_json(), FULL);
        let origin = info.origin.unwrap();
        assert_eq!(
            (origin.ref_name.as_str(), origin.repo_sum.as_str()),
            ("refs/tags/sub/v1.2.3", "r1:y")
        );
        let time = info.time.unwrap();
        assert_eq!(time.timestamp().as_second(), 1_577_934_245);
    }

    #[test]
    fn the_time_keeps_its_spelling() {
        for text in [
            "2020-01-02T03:04:05Z",
            "2020-01-02T03:04:05.5+02:00",
            "0001-01-01T00:00:00Z",
        ] {
            let document = format!(r#"{{"Version":"v1.0.0","Time":"{text}"}}"#);
            let info = RevInfo::parse(document.as_bytes()).unwrap();
            assert_eq!(info.time.as_ref().unwrap().as_str(), text);
            assert_eq!(info.to_json(), document);
        }
    }

    #[test]
    fn unknown_fields_null_and_other_cases_are_accepted() {
        let info = RevInfo::parse(
            br#" {"version":"v1.0.0","Short":"x","TIME":null,"Origin":{"vcs":"hg","N":[1]}} "#,
        )
        .unwrap();
        assert_eq!(info.version, "v1.0.0");
        assert_eq!(info.time, None);
        assert_eq!(info.origin.unwrap().vcs, "hg");
    }

    #[test]
    fn what_is_no_info_is_refused() {
        for bad in [
            "",
            "not found",
            "[]",
            "null",
            "{}",
            r#"{"Version":""}"#,
            r#"{"Version":1}"#,
            r#"{"Version":"v1.0.0","Time":"yesterday"}"#,
            r#"{"Version":"v1.0.0","Time":"2020-01-02 03:04:05Z"}"#,
            r#"{"Version":"v1.0.0","Time":"2020-13-02T03:04:05Z"}"#,
            r#"{"Version":"v1.0.0","Origin":"git"}"#,
            r#"{"Version":"v1.0.0"} trailing"#,
            "<html>",
        ] {
            assert!(RevInfo::parse(bad.as_bytes()).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_commit_time_is_written_in_utc() {
        let time = RevTime::from(Timestamp::from_second(1_577_934_245).unwrap());
        assert_eq!(time.as_str(), "2020-01-02T03:04:05Z");
    }

    proptest! {
        #[test]
        fn no_document_panics(document: Vec<u8>) {
            let _ = RevInfo::parse(&document);
        }
    }
}
