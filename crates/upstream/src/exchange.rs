//! Each exchange with an upstream, as a span of the trace that it belongs to.

use std::borrow::Cow;

use fault::Label;
use traces::OpenSpan;
use url::Url;

use crate::http::NoAnswer;
use crate::{Expect, Request};

/// An exchange that has not ended. Dropped before, it was called off: another upstream was faster, or nobody waits any more.
pub(crate) struct Exchange(Option<OpenSpan>);

impl Exchange {
    /// Begins one; what is to be asked at its place in the trace. Of the upstream its host is told, and of what it is asked
    /// for the kind: names are on the span of the request that this belongs to, if anywhere.
    pub(crate) fn begin<'r>(source: &str, request: &'r Request) -> (Self, Cow<'r, Request>) {
        let name = format!("GET {}", kind(&request.expect));
        let parent = request.traceparent.as_ref();
        let Some(mut span) = parent.and_then(|parent| parent.child(name)) else {
            return (Self(None), Cow::Borrowed(request));
        };
        span.note("http.request.method", "GET");
        if let Ok(url) = Url::parse(source) {
            span.note(
                "server.address",
                url.host_str().unwrap_or_default().to_owned(),
            );
            if let Some(port) = url.port_or_known_default() {
                span.note("server.port", port);
            }
        }
        span.note("modkeep.outcome", "called-off");
        let request = Request {
            traceparent: Some(span.place().clone()),
            ..request.clone()
        };
        (Self(Some(span)), Cow::Owned(request))
    }

    pub(crate) fn end<T>(self, answer: &Result<T, NoAnswer>) {
        let Some(mut span) = self.0 else {
            return;
        };
        let outcome = match answer {
            Ok(_) => "answered",
            Err(NoAnswer::Absent(_)) => "absent",
            Err(NoAnswer::NotServed) => "not-served",
            Err(NoAnswer::Failed(failure) | NoAnswer::Circle(failure)) => {
                let label = Label::as_str(failure.label);
                span.note("error.type", label);
                span.fail(label);
                label
            }
        };
        span.note("modkeep.outcome", outcome);
    }
}

/// What is asked for, without names.
fn kind(expect: &Expect) -> &'static str {
    match expect {
        Expect::List => "list",
        Expect::Info(_) => "info",
        Expect::Mod => "mod",
        Expect::Zip => "zip",
        Expect::Opaque | Expect::Text | Expect::Hashes(_) => "sumdb",
    }
}
