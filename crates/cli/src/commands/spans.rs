//! Spans to a collector, as the settings say.

use goenv::Environment;
use goenv::http_proxy::HttpProxyRules;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use server::App;
use traces::{Collector, Exporter};

use super::{CannotDo, proxies};
use crate::config::{Effective, OtlpSettings};

/// Lets the requests of a server be told to the collector that is configured, if one is.
pub(super) fn tell(
    app: &App,
    effective: &Effective,
    environment: &Environment,
) -> Result<Option<Exporter>, CannotDo> {
    let Some(settings) = &effective.otlp else {
        return Ok(None);
    };
    let proxies = proxies::rules(effective, environment)?;
    let resource = [
        ("service.name", "modkeep".to_owned()),
        ("service.version", env!("CARGO_PKG_VERSION").to_owned()),
        // Tells apart what runs behind one name; another one after each start.
        ("service.instance.id", traces::instance_id()),
    ];
    let collector = Collector {
        url: settings.url.to_string(),
        headers: headers(settings, environment)?,
        resource: resource
            .map(|(name, value)| (name.to_owned(), value))
            .into(),
        client: Box::new(move || client(&proxies).map_err(|error| error.to_string())),
    };
    let (tracer, spans) = traces::channel(settings.percent);
    app.trace(tracer);
    Ok(Some(Exporter::start(spans, collector)))
}

/// `name=value,name=value`, the values percent-encoded (the OTLP exporter's `OTEL_EXPORTER_OTLP_HEADERS`).
fn headers(settings: &OtlpSettings, environment: &Environment) -> Result<HeaderMap, CannotDo> {
    let mut headers = HeaderMap::new();
    let Some(place) = &settings.headers else {
        return Ok(headers);
    };
    let text = place
        .read(environment)
        .map_err(|error| CannotDo::new(format!("otlp.headers: {error}")))?;
    for (number, pair) in (1..).zip(text.trim().split(',')) {
        // What is wrong is a secret, too.
        let header = header(pair).ok_or_else(|| {
            CannotDo::new(format!(
                "otlp.headers: {place}: header {number} is not name=value"
            ))
        })?;
        headers.append(header.0, header.1);
    }
    Ok(headers)
}

fn header(pair: &str) -> Option<(HeaderName, HeaderValue)> {
    let (name, value) = pair.split_once('=')?;
    let value = percent_encoding::percent_decode_str(value.trim());
    let value: Vec<u8> = value.collect();
    let mut value = HeaderValue::from_bytes(&value).ok()?;
    value.set_sensitive(true);
    Some((name.trim().parse().ok()?, value))
}

#[expect(
    clippy::disallowed_methods,
    reason = "a collector is no upstream: it has limits of its own, and no redirects"
)]
fn client(proxies: &HttpProxyRules) -> Result<reqwest::Client, reqwest::Error> {
    let proxies = proxies.clone();
    reqwest::Client::builder()
        .user_agent(concat!("modkeep/", env!("CARGO_PKG_VERSION")))
        // The headers are for this server and no other.
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .proxy(reqwest::Proxy::custom(move |url| {
            let proxy = proxies.for_url(url).ok().flatten();
            proxy.map(|proxy| proxy.to_connect().into_url())
        }))
        .build()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_pairs_with_encoded_values() {
        let of = |pair| header(pair).map(|(name, value)| (name.to_string(), value));
        let (name, value) = of("Authorization=Basic%20dTpw").unwrap();
        assert_eq!(
            (name.as_str(), value.as_bytes()),
            ("authorization", &b"Basic dTpw"[..])
        );
        assert!(value.is_sensitive());
        assert_eq!(of(" x-team = a%2Cb").unwrap().1.as_bytes(), b"a,b");
        for bad in ["", "x", "=x", "a b=x", "x=%0a"] {
            assert_eq!(of(bad), None, "{bad}");
        }
    }
}
