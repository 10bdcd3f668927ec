//! The machine-readable form of an explanation, as the command line prints it with `--format json`.

use serde::ser::{Serialize, SerializeStruct, Serializer};

use super::{Cause, Evidence, Explanation, Remedy};

impl Serialize for Explanation {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut out = serializer.serialize_struct("Explanation", 3)?;
        out.serialize_field("causes", &self.causes)?;
        out.serialize_field("recognised", &self.recognised)?;
        let nearest: Vec<&str> = self.nearest.iter().map(|hop| hop.as_str()).collect();
        out.serialize_field("nearest", &nearest)?;
        out.end()
    }
}

impl Serialize for Cause {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut out = serializer.serialize_struct("Cause", 12)?;
        out.serialize_field("label", self.label.as_str())?;
        out.serialize_field("hop", self.hop.as_str())?;
        out.serialize_field("party", self.party.as_str())?;
        // Two decimals: more would pretend a precision that the rules do not have.
        out.serialize_field(
            "confidence",
            &((f64::from(self.confidence) * 100.0).round() / 100.0),
        )?;
        out.serialize_field("side", self.side.as_str())?;
        out.serialize_field("evidence", &self.evidence)?;
        out.serialize_field("summary", &self.summary)?;
        out.serialize_field("fixes", &self.fixes)?;
        out.serialize_field("avoid", &self.avoid)?;
        out.serialize_field("probe", self.probe.command.as_deref().unwrap_or_default())?;
        out.serialize_field("probe_reading", &self.probe.text)?;
        out.serialize_field("subjects", &Subjects(&self.subjects))?;
        out.end()
    }
}

impl Serialize for Evidence {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut out = serializer.serialize_struct("Evidence", 3)?;
        out.serialize_field("line", &self.line)?;
        out.serialize_field("text", &self.text)?;
        out.serialize_field("span", &self.span)?;
        out.end()
    }
}

impl Serialize for Remedy {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut out = serializer.serialize_struct("Remedy", 3)?;
        out.serialize_field("text", &self.text)?;
        out.serialize_field("command", &self.command)?;
        out.serialize_field("risk", self.risk.as_str())?;
        out.end()
    }
}

/// Only the subjects that are known.
struct Subjects<'a>(&'a fault::Subjects);

impl Serialize for Subjects<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let known = [
            ("module", &self.0.module),
            ("version", &self.0.version),
            ("host", &self.0.host),
            ("address", &self.0.address),
            ("resolver", &self.0.resolver),
            ("url", &self.0.url),
            ("path", &self.0.path),
            ("declared", &self.0.declared),
        ];
        serializer.collect_map(
            known
                .into_iter()
                .filter_map(|(name, value)| value.as_ref().map(|value| (name, value))),
        )
    }
}

#[cfg(test)]
mod tests {
    use crate::explain::{Options, explain};

    #[test]
    fn the_form_is_that_of_the_interface() {
        let log = "go: a.example/m: Get \"https://proxy.golang.org/a.example/m/@v/list\": dial tcp: lookup proxy.golang.org on 8.8.8.8:53: server misbehaving";
        let json = serde_json::to_value(explain(log, &Options::default())).unwrap();
        let cause = &json["causes"][0];
        assert_eq!(cause["label"], "dns-servfail");
        assert_eq!(cause["hop"], "dns");
        assert_eq!(cause["side"], "client");
        assert_eq!(cause["evidence"][0]["line"], 1);
        assert_eq!(cause["subjects"]["resolver"], "8.8.8.8:53");
        assert!(cause["confidence"].as_f64().unwrap() > 0.9);
        assert!(
            cause["fixes"][0]["command"]
                .as_str()
                .unwrap()
                .contains("dig @8.8.8.8 proxy.golang.org")
        );
        assert_eq!(cause["fixes"][0]["risk"], "none");
        assert!(cause["avoid"].as_array().unwrap().len() >= 2);
        assert!(cause["probe"].is_string() && cause["summary"].is_string());
    }

    #[test]
    fn nothing_found_has_no_causes() {
        let json = serde_json::to_value(explain("all is well", &Options::default())).unwrap();
        assert_eq!(
            json,
            serde_json::json!({"causes": [], "recognised": false, "nearest": []})
        );
    }
}
