//! One request made as `go` makes it: its proxy, its resolver, its roots, its credentials, its redirects; each phase
//! timed, and a failure named by the hop it happened at.

use std::time::SystemTime;

use ::http::{Request, Uri, header};
use bytes::Bytes as Chunk;
use fault::Label;
use http_body_util::Empty;
use tokio::time::{Instant, timeout};
use url::Url;

use super::connect::open;
use super::credentials::Login;
use super::fetched::{Answer, Fetched, add, shown};
use super::http::{Body, Way, read, send};
use super::report::{Failure, Phases};
use super::{Net, tunnel};

/// Redirects that are followed, as by Go's client.
const MOST_REDIRECTS: usize = 10;

/// Which part of a file is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// All of it, as far as the limit for what is kept goes.
    Whole,
    /// So many bytes at its end.
    End(u64),
}

/// Fetches `url`, keeping at most `keep` bytes of the body.
pub(crate) async fn fetch(net: &Net, url: &Url, part: Part, keep: usize) -> Fetched {
    let mut fetched = Fetched {
        url: shown(url),
        phases: Phases::default(),
        result: Err(Failure::new(Label::GoproxySlow, "out of time")),
        via: None,
        address: None,
        certificate: None,
        redirects: Vec::new(),
        small_segments: false,
    };
    let left = net.left();
    let mut current = url.clone();
    let run = async {
        for _ in 0..=MOST_REDIRECTS {
            let answer = Box::pin(ask(net, &current, part, keep, &mut fetched)).await?;
            let target = redirect(&answer, &current);
            let Some(target) = target else {
                return Ok(answer);
            };
            if current.scheme() == "https" && target.scheme() == "http" {
                return Err(Failure::new(
                    Label::CaptivePortalHtml,
                    format!(
                        "redirected from secure URL {} to insecure URL {}",
                        shown(&current),
                        shown(&target)
                    ),
                ));
            }
            fetched
                .redirects
                .push(target.host_str().unwrap_or_default().to_owned());
            fetched.url = shown(&target);
            current = target;
        }
        Err(Failure::new(
            Label::GoproxyHtml,
            "stopped after 10 redirects",
        ))
    };
    let result = timeout(left, run).await;
    fetched.result = result.unwrap_or_else(|_| {
        Err(Failure::new(
            Label::GoproxySlow,
            format!(
                "Get \"{}\": no answer in {:.1} s",
                fetched.url,
                left.as_secs_f64()
            ),
        ))
    });
    if let Err(failure) = &mut fetched.result {
        failure
            .subjects
            .url
            .get_or_insert_with(|| fetched.url.clone());
        if failure.subjects.host.is_none() {
            failure.subjects.host = Url::parse(&fetched.url)
                .ok()
                .and_then(|url| url.host_str().map(str::to_owned));
        }
    }
    fetched
}

fn redirect(answer: &Answer, from: &Url) -> Option<Url> {
    if !matches!(answer.status, 301 | 302 | 303 | 307 | 308) {
        return None;
    }
    from.join(answer.header(header::LOCATION)?).ok()
}

/// As `go` does it, once more with what GOAUTH says after a refusal (cmd/go/internal/web, `get`).
async fn ask(
    net: &Net,
    url: &Url,
    part: Part,
    keep: usize,
    fetched: &mut Fetched,
) -> Result<Answer, Failure> {
    let patience = || net.limits.first_byte.min(net.left());
    let login = net.credentials.first(url, patience()).await;
    let mut answer = exchange(net, url, part, keep, login, fetched).await?;
    if !matches!(answer.status, 401 | 403 | 404) {
        return Ok(answer);
    }
    let again = net
        .credentials
        .again(url, answer.login.as_ref(), patience());
    if let Some(login) = again.await {
        return exchange(net, url, part, keep, Some(login), fetched).await;
    }
    answer.goauth = net.credentials.trouble().await;
    Ok(answer)
}

async fn exchange(
    net: &Net,
    url: &Url,
    part: Part,
    keep: usize,
    login: Option<Login>,
    fetched: &mut Fetched,
) -> Result<Answer, Failure> {
    let mut result = exchange_once(net, url, part, keep, login.clone(), fetched).await;
    if fetched.via.as_deref() == Some("direct") && has_stalled(&result) && !net.left().is_zero() {
        let limit = net.left() / 2;
        let again = |small| {
            let sized = sized(net, url, part, keep, login.clone(), small);
            timeout(limit, Box::pin(sized))
        };
        let (small, usual) = tokio::join!(again(true), again(false));
        let passes = |answer: Result<Result<Answer, Failure>, _>| matches!(answer, Ok(answer) if answer.is_ok() && !has_stalled(&answer));
        if passes(small) && !passes(usual) {
            let failure = Failure::new(
                Label::TcpMtu,
                format!("Get \"{}\": nothing comes in", shown(url)),
            );
            let mut failure =
                failure.because("the same request succeeds with segments of 536 bytes");
            failure.subjects.address.clone_from(&fetched.address);
            result = Err(failure);
        }
    }
    result
}

/// Whether a connection that stood went silent.
fn has_stalled(result: &Result<Answer, Failure>) -> bool {
    match result {
        Ok(answer) => answer
            .broken
            .as_ref()
            .is_some_and(|failure| failure.label == Label::GoproxySlow),
        Err(failure) => failure.label == Label::GoproxySlow,
    }
}

/// The same exchange once more, with small segments or with usual ones.
async fn sized(
    net: &Net,
    url: &Url,
    part: Part,
    keep: usize,
    login: Option<Login>,
    small_segments: bool,
) -> Result<Answer, Failure> {
    let mut fetched = Fetched {
        url: shown(url),
        phases: Phases::default(),
        result: Err(Failure::new(Label::GoproxySlow, "out of time")),
        via: None,
        address: None,
        certificate: None,
        redirects: Vec::new(),
        small_segments,
    };
    exchange_once(net, url, part, keep, login, &mut fetched).await
}

async fn exchange_once(
    net: &Net,
    url: &Url,
    part: Part,
    keep: usize,
    login: Option<Login>,
    fetched: &mut Fetched,
) -> Result<Answer, Failure> {
    let way = open(net, url, fetched).await?;
    let request = request(url, part, &way, login.as_ref())?;
    let start = Instant::now();
    let is_h2 = way.is_h2;
    let response = send(net, way, request)
        .await
        .map_err(|failure| failure_with_url(failure, url))?;
    add(&mut fetched.phases.first_byte, start.elapsed());
    let at = SystemTime::now();
    let (head, body) = response.into_parts();
    let start = Instant::now();
    let Body {
        bytes,
        is_cut,
        is_slow,
        broken,
    } = read(net, body, keep).await;
    add(&mut fetched.phases.transfer, start.elapsed());
    Ok(Answer {
        status: head.status.as_u16(),
        headers: head.headers,
        body: bytes,
        is_cut,
        is_slow,
        is_h2,
        login,
        goauth: None,
        broken: broken.map(|failure| failure_with_url(failure, url)),
        at,
    })
}

fn failure_with_url(mut failure: Failure, url: &Url) -> Failure {
    if let Some(first) = failure.evidence.first_mut()
        && !first.starts_with("Get ")
    {
        *first = format!("Get \"{}\": {first}", shown(url));
    }
    failure
}

fn request(
    url: &Url,
    part: Part,
    way: &Way,
    login: Option<&Login>,
) -> Result<Request<Empty<Chunk>>, Failure> {
    let target = if way.is_h2 || way.absolute.is_some() {
        let mut plain = url.clone();
        let _no_host = (plain.set_username(""), plain.set_password(None));
        plain.set_fragment(None);
        plain.to_string()
    } else {
        url[url::Position::BeforePath..url::Position::AfterQuery].to_owned()
    };
    let uri: Uri = target.parse().map_err(|error| {
        Failure::new(Label::CfgGoproxySyntax, format!("{}: {error}", shown(url)))
    })?;
    let mut builder =
        Request::get(uri).header(header::USER_AGENT, "Go-http-client/1.1 (modkeep doctor)");
    if !way.is_h2 {
        builder = builder.header(
            header::HOST,
            &url[url::Position::BeforeHost..url::Position::AfterPort],
        );
    }
    if let Part::End(bytes) = part {
        builder = builder.header(header::RANGE, format!("bytes=-{bytes}"));
    }
    if let Some(credentials) = way.absolute.as_ref().and_then(tunnel::basic) {
        builder = builder.header(header::PROXY_AUTHORIZATION, format!("Basic {credentials}"));
    }
    if let Some(login) = login {
        for (name, value) in login.headers() {
            builder = builder.header(name, value);
        }
    }
    builder
        .body(Empty::new())
        .map_err(|error| Failure::new(Label::CfgGoproxySyntax, format!("{}: {error}", shown(url))))
}
