//! Whether a JSON document is what a JSON Schema says, strictly.
//!
//! Strictly: a property that the schema does not describe is a violation, too, and so is a keyword that is not understood
//! here. A description that is behind what is served does not pass.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

/// In which ways `value` is not what `schema` says. References in the schema are to places in `document`.
pub fn schema_violations(document: &Value, schema: &Value, value: &Value) -> Vec<String> {
    let mut found = Vec::new();
    Checker { document }.at(schema, value, "", &mut found);
    found
}

struct Checker<'a> {
    document: &'a Value,
}

impl Checker<'_> {
    /// Checks the value at one place, with all that is below it.
    fn at(&self, schema: &Value, value: &Value, path: &str, found: &mut Vec<String>) {
        let mut described = BTreeSet::new();
        self.apply(schema, value, path, &mut described, found);
        let names = value.as_object().into_iter().flat_map(Map::keys);
        let unknown = names.filter(|name| !described.contains(*name));
        found.extend(unknown.map(|name| format!("{path}/{name}: is not described")));
    }

    /// Checks against one of the schemas of a place; `described` gets the properties that it knows.
    fn apply(
        &self,
        schema: &Value,
        value: &Value,
        path: &str,
        described: &mut BTreeSet<String>,
        found: &mut Vec<String>,
    ) {
        let Some(keywords) = schema.as_object() else {
            if schema == &Value::Bool(true) {
                described.extend(value.as_object().into_iter().flat_map(Map::keys).cloned());
            } else {
                found.push(format!("{path}: nothing is allowed here"));
            }
            return;
        };
        for (keyword, wanted) in keywords {
            let is_met = match keyword.as_str() {
                "title" | "description" | "format" | "default" => true,
                "$ref" => {
                    let place = wanted.as_str().and_then(|place| place.strip_prefix('#'));
                    match place.and_then(|place| self.document.pointer(place)) {
                        Some(schema) => {
                            self.apply(schema, value, path, described, found);
                            true
                        }
                        None => false,
                    }
                }
                "type" => is_of_type(wanted, value),
                "const" => wanted == value,
                "enum" => list(wanted).contains(value),
                "minimum" => value.as_f64() >= wanted.as_f64() || !value.is_number(),
                "required" => {
                    !value.is_object()
                        || list(wanted)
                            .iter()
                            .all(|name| value.get(name.as_str().unwrap_or_default()).is_some())
                }
                "properties" => {
                    for (name, schema) in wanted.as_object().into_iter().flatten() {
                        if let Some(inner) = value.get(name) {
                            described.insert(name.clone());
                            self.at(schema, inner, &format!("{path}/{name}"), found);
                        }
                    }
                    true
                }
                // What is described nowhere is a violation anyhow.
                "additionalProperties" if wanted == &Value::Bool(false) => true,
                "additionalProperties" => {
                    let names = keywords.get("properties").and_then(Value::as_object);
                    let is_named = |name: &str| names.is_some_and(|names| names.contains_key(name));
                    for (name, inner) in value.as_object().into_iter().flatten() {
                        if !is_named(name) {
                            described.insert(name.clone());
                            if wanted != &Value::Bool(true) {
                                self.at(wanted, inner, &format!("{path}/{name}"), found);
                            }
                        }
                    }
                    true
                }
                "items" => {
                    for (index, inner) in value.as_array().into_iter().flatten().enumerate() {
                        self.at(wanted, inner, &format!("{path}/{index}"), found);
                    }
                    true
                }
                "anyOf" | "oneOf" => {
                    let matching = self.matching(list(wanted), value, path);
                    let is_met =
                        matching.len() == 1 || (keyword == "anyOf" && !matching.is_empty());
                    described.extend(matching.into_iter().flatten());
                    is_met
                }
                _ => {
                    found.push(format!("{path}: {keyword} is not understood"));
                    true
                }
            };
            if !is_met {
                found.push(format!(
                    "{path}: {value} is not as {keyword} says: {wanted}"
                ));
            }
        }
    }

    /// The properties that each of the schemas describes which the value meets.
    fn matching(&self, schemas: &[Value], value: &Value, path: &str) -> Vec<BTreeSet<String>> {
        let mut matching = Vec::new();
        for schema in schemas {
            let (mut described, mut found) = (BTreeSet::new(), Vec::new());
            self.apply(schema, value, path, &mut described, &mut found);
            if found.is_empty() {
                matching.push(described);
            }
        }
        matching
    }
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn is_of_type(wanted: &Value, value: &Value) -> bool {
    let is = |name: &Value| match name.as_str() {
        Some("null") => value.is_null(),
        Some("boolean") => value.is_boolean(),
        Some("integer") => value.is_i64() || value.is_u64(),
        Some("number") => value.is_number(),
        Some("string") => value.is_string(),
        Some("array") => value.is_array(),
        Some("object") => value.is_object(),
        _ => false,
    };
    is(wanted) || list(wanted).iter().any(is)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_is_not_described_is_a_violation() {
        let document = json!({"defs": {
            "one": {
                "type": "object",
                "properties": {"a": {"type": "integer", "minimum": 0}, "b": {"type": ["string", "null"]}},
                "required": ["a"],
                "oneOf": [
                    {"properties": {"kind": {"const": "x"}, "x": {"type": "string"}}, "required": ["kind", "x"]},
                    {"properties": {"kind": {"const": "y"}}, "required": ["kind"]},
                ],
            },
            "many": {"type": "array", "items": {"$ref": "#/defs/one"}},
            "free": {"type": "object", "additionalProperties": {"enum": [1, 2]}},
        }});
        let count = |name: &str, value: Value| {
            let schema = json!({"$ref": format!("#/defs/{name}")});
            schema_violations(&document, &schema, &value).len()
        };
        for (name, value, violations) in [
            ("one", json!({"a": 1, "kind": "y"}), 0),
            ("one", json!({"a": 1, "b": null, "kind": "x", "x": "?"}), 0),
            ("one", json!({"a": 1, "kind": "y", "more": 1}), 1),
            ("one", json!({"a": 1, "kind": "y", "x": "?"}), 1),
            ("one", json!({"a": -1, "kind": "y"}), 1),
            ("one", json!({"a": 1.5, "kind": "y"}), 1),
            ("one", json!({"kind": "y"}), 1),
            ("one", json!({"a": 1, "kind": "x"}), 2),
            ("many", json!([]), 0),
            (
                "many",
                json!([{"a": 1, "kind": "y"}, {"a": "1", "kind": "y"}]),
                1,
            ),
            ("many", json!({}), 1),
            ("free", json!({"q": 1, "r": 2}), 0),
            ("free", json!({"q": 3}), 1),
            ("absent", json!({}), 1),
        ] {
            assert_eq!(count(name, value.clone()), violations, "{name} {value}");
        }
        let unknown = json!({"pattern": "a"});
        assert_eq!(schema_violations(&document, &unknown, &json!("b")).len(), 1);
    }
}
