//! The message `ExportTraceServiceRequest` of OTLP 1.x in its JSON form: ids in hexadecimal digits, 64-bit numbers as text,
//! enumerations as numbers.

use std::time::{SystemTime, UNIX_EPOCH};

use serde::ser::SerializeSeq as _;
use serde::{Serialize, Serializer};

use crate::span::{Kind, Span, Value};

/// `SPAN_KIND_SERVER` and `SPAN_KIND_CLIENT`.
const SERVER: u8 = 2;
const CLIENT: u8 = 3;
/// `STATUS_CODE_ERROR`.
const ERROR: u8 = 2;

/// The message for some spans of the program that these attributes describe.
pub(crate) fn message(resource: &[(String, String)], spans: &[Span]) -> Vec<u8> {
    let message = Message {
        resource_spans: [ResourceSpans {
            resource: Resource {
                attributes: resource
                    .iter()
                    .map(|(key, value)| KeyValue {
                        key,
                        value: AnyValue::StringValue(value),
                    })
                    .collect(),
            },
            scope_spans: [ScopeSpans {
                scope: Scope {
                    name: "modkeep",
                    version: env!("CARGO_PKG_VERSION"),
                },
                spans: Spans(spans),
            }],
        }],
    };
    // Nothing in it can fail: there are no maps with odd keys, and no types of others.
    serde_json::to_vec(&message).unwrap_or_default()
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Message<'a> {
    resource_spans: [ResourceSpans<'a>; 1],
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ResourceSpans<'a> {
    resource: Resource<'a>,
    scope_spans: [ScopeSpans<'a>; 1],
}

#[derive(Serialize)]
struct Resource<'a> {
    attributes: Vec<KeyValue<'a>>,
}

#[derive(Serialize)]
struct ScopeSpans<'a> {
    scope: Scope,
    spans: Spans<'a>,
}

#[derive(Serialize)]
struct Scope {
    name: &'static str,
    version: &'static str,
}

struct Spans<'a>(&'a [Span]);

impl Serialize for Spans<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut list = serializer.serialize_seq(Some(self.0.len()))?;
        for span in self.0 {
            list.serialize_element(&SpanMessage::from(span))?;
        }
        list.end()
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct SpanMessage<'a> {
    trace_id: String,
    span_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    parent_span_id: Option<String>,
    name: &'a str,
    kind: u8,
    start_time_unix_nano: String,
    end_time_unix_nano: String,
    attributes: Vec<KeyValue<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<Status<'a>>,
}

#[derive(Serialize)]
struct Status<'a> {
    code: u8,
    message: &'a str,
}

#[derive(Serialize)]
struct KeyValue<'a> {
    key: &'a str,
    value: AnyValue<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
enum AnyValue<'a> {
    StringValue(&'a str),
    IntValue(String),
}

impl<'a> From<&'a Span> for SpanMessage<'a> {
    fn from(span: &'a Span) -> Self {
        Self {
            trace_id: format!("{:032x}", span.trace),
            span_id: format!("{:016x}", span.id),
            parent_span_id: span.parent.map(|parent| format!("{parent:016x}")),
            name: &span.name,
            kind: match span.kind {
                Kind::Server => SERVER,
                Kind::Client => CLIENT,
            },
            start_time_unix_nano: nanos(span.began),
            end_time_unix_nano: nanos(span.began + span.took),
            attributes: span
                .attributes
                .iter()
                .map(|(key, value)| KeyValue {
                    key,
                    value: match value {
                        Value::Text(text) => AnyValue::StringValue(text),
                        Value::Number(number) => AnyValue::IntValue(number.to_string()),
                    },
                })
                .collect(),
            status: span.error.as_deref().map(|message| Status {
                code: ERROR,
                message,
            }),
        }
    }
}

fn nanos(time: SystemTime) -> String {
    time.duration_since(UNIX_EPOCH)
        .unwrap_or_default()
        .as_nanos()
        .to_string()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_message_is_what_the_protocol_shows() {
        let span = Span {
            trace: 0x5b8e_fff7_9803_8103_d269_b633_813f_c60c,
            id: 0xeee1_9b7e_c3c1_b174,
            parent: Some(0xeee1_9b7e_c3c1_b173),
            name: "GET zip".into(),
            kind: Kind::Server,
            began: UNIX_EPOCH + Duration::from_mins(25_745_211),
            took: Duration::from_secs(1),
            attributes: vec![
                ("url.path", "/a".into()),
                ("http.response.status_code", 502.into()),
            ],
            error: Some("trouble".into()),
        };
        let resource = [("service.name".to_owned(), "modkeep".to_owned())];
        let text: serde_json::Value = serde_json::from_slice(&message(&resource, &[span])).unwrap();
        let expected = serde_json::json!({"resourceSpans": [{
            "resource": {"attributes": [{"key": "service.name", "value": {"stringValue": "modkeep"}}]},
            "scopeSpans": [{
                "scope": {"name": "modkeep", "version": env!("CARGO_PKG_VERSION")},
                "spans": [{
                    "traceId": "5b8efff798038103d269b633813fc60c",
                    "spanId": "eee19b7ec3c1b174",
                    "parentSpanId": "eee19b7ec3c1b173",
                    "name": "GET zip",
                    "kind": 2,
                    "startTimeUnixNano": "1544712660000000000",
                    "endTimeUnixNano": "1544712661000000000",
                    "attributes": [
                        {"key": "url.path", "value": {"stringValue": "/a"}},
                        {"key": "http.response.status_code", "value": {"intValue": "502"}}
                    ],
                    "status": {"code": 2, "message": "trouble"}
                }]
            }]
        }]});
        assert_eq!(text, expected);
    }
}
