//! Webhooks: a host of repositories says that something was pushed, and lists are asked for again at once instead of
//! after their time to live.
//!
//! What a hook can do is little: its sender must know the secret, and all that follows is that a few questions are
//! asked again. So whatever event comes, and wherever in it a repository is named, is understood.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use depot::Push;
use goenv::netrc::Secret;
use http::{HeaderMap, StatusCode};
use http_body_util::{BodyExt as _, Limited};
use jiff::Timestamp;
use percent_encoding::percent_decode;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use tokio::sync::Semaphore;

use crate::access::{is_secret, is_signature};
use crate::error::Refusal;

/// Below this path are the hooks.
pub(crate) const HOOKS: &str = "/api/v1/hooks/";
/// The most bytes of a hook's body: a push of thousands of commits.
const MOST_BYTES: usize = 8 << 20;
/// How long a body may take.
const BODY_TIME: Duration = Duration::from_secs(30);
/// Bodies that are read at a time.
const AT_A_TIME: usize = 8;
/// How far the clock of a signed time may be off.
const CLOCK_SKEW: u64 = 300;
/// How long a delivery is remembered: what comes again within it is a replay.
const REMEMBERED: Duration = Duration::from_secs(2 * CLOCK_SKEW);
/// How many deliveries are remembered.
const MOST_REMEMBERED: usize = 10_000;
/// How many repositories and modules one delivery may name.
const MOST_NAMES: usize = 200;

/// Whose way of sending hooks it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sender {
    GitHub,
    GitLab,
    Gitea,
    Generic,
}

/// What all hooks share.
#[derive(Debug)]
pub(crate) struct Hooks {
    seen: Mutex<HashMap<[u8; 32], Instant>>,
    reading: Semaphore,
}

impl Default for Hooks {
    fn default() -> Self {
        Self {
            seen: Mutex::default(),
            reading: Semaphore::new(AT_A_TIME),
        }
    }
}

/// What a sender is told.
#[derive(Debug, Default, JsonSchema, PartialEq, Eq, Serialize)]
pub(crate) struct Receipt {
    /// The paths below which nothing from before counts any more.
    pub(crate) refreshed: Vec<String>,
    /// Whether it had come before, and so changed nothing.
    pub(crate) replayed: bool,
}

/// A delivery that is what its sender says.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Delivery {
    pub(crate) push: Push,
    pub(crate) replayed: bool,
}

impl Hooks {
    /// Reads a delivery and checks that whoever sent it knows the secret. `path` is the request's.
    pub(crate) async fn receive<B>(
        &self,
        path: &str,
        headers: &HeaderMap,
        secret: Option<&Secret>,
        body: B,
    ) -> Result<Delivery, Refusal>
    where
        B: http_body::Body<Data = Bytes, Error: Into<axum::BoxError>>,
    {
        let sender = sender(path.strip_prefix(HOOKS).unwrap_or_default())?;
        let secret = secret.ok_or_else(|| {
            Refusal::new(
                StatusCode::FORBIDDEN,
                "forbidden: no webhooks are taken here; set hooks.secret",
            )
        })?;
        let _turn = self.reading.acquire().await;
        let read = tokio::time::timeout(BODY_TIME, Limited::new(body, MOST_BYTES).collect());
        let body = match read.await {
            Ok(Ok(body)) => body.to_bytes(),
            Ok(Err(error)) if error.is::<http_body_util::LengthLimitError>() => {
                return Err(Refusal::new(
                    StatusCode::PAYLOAD_TOO_LARGE,
                    format!("bad request: the body has more than {MOST_BYTES} bytes"),
                ));
            }
            Ok(Err(error)) => return Err(Refusal::bad_request(format!("the body: {error}"))),
            Err(_) => {
                return Err(Refusal::new(
                    StatusCode::REQUEST_TIMEOUT,
                    "bad request: the body did not come in time",
                ));
            }
        };
        let now = u64::try_from(Timestamp::now().as_second()).unwrap_or_default();
        authenticate(sender, headers, secret, &body, now)?;
        let push = push_of(sender, &body)?;
        let replayed = !self.is_first(sender, headers, &body);
        Ok(Delivery { push, replayed })
    }

    fn is_first(&self, sender: Sender, headers: &HeaderMap, body: &[u8]) -> bool {
        let mut hash = Sha256::new();
        hash.update([sender as u8]);
        // Signed, where there is one: the same text at another time is another delivery.
        if sender == Sender::Generic {
            hash.update(text(headers, "x-modkeep-timestamp").as_bytes());
        }
        hash.update([0]);
        hash.update(body);
        let digest: [u8; 32] = hash.finalize().into();
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.retain(|_, at| at.elapsed() < REMEMBERED);
        if seen.contains_key(&digest) {
            return false;
        }
        if seen.len() < MOST_REMEMBERED {
            seen.insert(digest, Instant::now());
        }
        true
    }
}

fn sender(name: &str) -> Result<Sender, Refusal> {
    match name {
        "github" => Ok(Sender::GitHub),
        "gitlab" => Ok(Sender::GitLab),
        "gitea" => Ok(Sender::Gitea),
        "generic" => Ok(Sender::Generic),
        _ => Err(Refusal::not_found(format!(
            "{HOOKS}{name}: there are github, gitlab, gitea and generic"
        ))),
    }
}

fn authenticate(
    sender: Sender,
    headers: &HeaderMap,
    secret: &Secret,
    body: &[u8],
    now: u64,
) -> Result<(), Refusal> {
    let hub = || {
        let header = text(headers, "x-hub-signature-256");
        let digits = header.strip_prefix("sha256=").unwrap_or_default();
        is_signature(digits, secret, &[body])
    };
    let (is_known, how) = match sender {
        Sender::GitHub => (
            hub(),
            "X-Hub-Signature-256: sha256=<HMAC-SHA256 of the body>",
        ),
        Sender::Gitea => (
            is_signature(text(headers, "x-gitea-signature"), secret, &[body]) || hub(),
            "X-Gitea-Signature: <HMAC-SHA256 of the body>",
        ),
        Sender::GitLab => (
            is_secret(text(headers, "x-gitlab-token").as_bytes(), secret),
            "X-Gitlab-Token: <the secret>",
        ),
        Sender::Generic => {
            let time = text(headers, "x-modkeep-timestamp");
            let header = text(headers, "x-modkeep-signature");
            let digits = header.strip_prefix("sha256=").unwrap_or_default();
            let is_signed = is_signature(digits, secret, &[time.as_bytes(), b".", body]);
            let is_recent = time
                .parse::<u64>()
                .is_ok_and(|time| time.abs_diff(now) <= CLOCK_SKEW);
            if is_signed && !is_recent {
                return Err(Refusal::new(
                    StatusCode::UNAUTHORIZED,
                    format!(
                        "unauthorized: X-Modkeep-Timestamp is more than {CLOCK_SKEW} seconds off"
                    ),
                ));
            }
            (
                is_signed,
                "X-Modkeep-Timestamp: <seconds since 1970> and X-Modkeep-Signature: sha256=<HMAC-SHA256 of the timestamp, a dot and the body>",
            )
        }
    };
    if is_known {
        return Ok(());
    }
    Err(Refusal::new(
        StatusCode::UNAUTHORIZED,
        format!(
            "unauthorized: what should prove that the sender knows the secret is missing or wrong; it is {how}"
        ),
    ))
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> &'a str {
    headers
        .get(name)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default()
        .trim()
}

fn push_of(sender: Sender, body: &[u8]) -> Result<Push, Refusal> {
    let form = body.strip_prefix(b"payload=").map(|form| {
        let form = form.split(|&byte| byte == b'&').next().unwrap_or_default();
        let spaced: Vec<u8> = form
            .iter()
            .map(|&byte| if byte == b'+' { b' ' } else { byte })
            .collect();
        percent_decode(&spaced).collect::<Vec<u8>>()
    });
    let document: Value = serde_json::from_slice(form.as_deref().unwrap_or(body))
        .map_err(|error| Refusal::bad_request(format!("the body is no JSON: {error}")))?;
    let (mut repositories, mut modules) = (Vec::new(), Vec::new());
    if sender == Sender::Generic {
        take_all(&document["repositories"], &mut repositories);
        take_all(&document["modules"], &mut modules);
        if repositories.is_empty() && modules.is_empty() {
            return Err(Refusal::bad_request(
                "the body names nothing; it is {\"repositories\": [\"https://...\"], \"modules\": [\"example.com/m\"]}",
            ));
        }
    } else {
        for place in ["repository", "project"] {
            for name in [
                "clone_url",
                "ssh_url",
                "git_url",
                "html_url",
                "git_http_url",
                "git_ssh_url",
                "web_url",
                "url",
                "homepage",
            ] {
                take(&document[place][name], &mut repositories);
            }
        }
    }
    repositories.sort();
    repositories.dedup();
    Ok(Push {
        repositories,
        modules,
    })
}

fn take_all(values: &Value, into: &mut Vec<String>) {
    for value in values.as_array().into_iter().flatten() {
        take(value, into);
    }
}

fn take(value: &Value, into: &mut Vec<String>) {
    if let Some(text) = value.as_str()
        && into.len() < MOST_NAMES
    {
        into.push(text.to_owned());
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use hmac::{Hmac, KeyInit as _, Mac as _};
    use http_body_util::Full;

    use super::*;

    const SECRET: &str = "a secret of hooks";

    fn sign(parts: &[&[u8]]) -> String {
        let mut mac = Hmac::<Sha256>::new_from_slice(SECRET.as_bytes()).unwrap();
        for part in parts {
            mac.update(part);
        }
        let mut text = String::new();
        for byte in mac.finalize().into_bytes() {
            write!(text, "{byte:02x}").unwrap();
        }
        text
    }

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| (http::HeaderName::from_static(name), value.parse().unwrap()))
            .collect()
    }

    async fn sent(
        hooks: &Hooks,
        kind: &str,
        headers: &HeaderMap,
        body: &[u8],
    ) -> Result<Delivery, Refusal> {
        let secret = Secret::new(SECRET);
        let body = Full::new(Bytes::copy_from_slice(body));
        hooks
            .receive(&format!("{HOOKS}{kind}"), headers, Some(&secret), body)
            .await
    }

    #[tokio::test]
    async fn each_sender_proves_itself_in_its_own_way() {
        let hooks = Hooks::default();
        let body = br#"{"ref":"refs/tags/v1.0.0","repository":{"clone_url":"https://git.example/a/b.git","ssh_url":"git@git.example:a/b.git","id":7}}"#;
        let gitlab = br#"{"object_kind":"tag_push","project":{"git_http_url":"https://git.example/a/b.git","web_url":"https://git.example/a/b"}}"#;
        let signature = sign(&[body]);
        let hub = format!("sha256={signature}");
        let now = Timestamp::now().as_second().to_string();
        let generic =
            br#"{"repositories":["https://git.example/a/b"],"modules":["vanity.example/m"]}"#;
        let generic_signature = format!("sha256={}", sign(&[now.as_bytes(), b".", generic]));
        let table: [(&str, HeaderMap, &[u8], usize); 5] = [
            ("github", headers(&[("x-hub-signature-256", &hub)]), body, 2),
            (
                "gitea",
                headers(&[("x-gitea-signature", &signature)]),
                body,
                2,
            ),
            ("gitea", headers(&[("x-hub-signature-256", &hub)]), body, 2),
            ("gitlab", headers(&[("x-gitlab-token", SECRET)]), gitlab, 2),
            (
                "generic",
                headers(&[
                    ("x-modkeep-timestamp", &now),
                    ("x-modkeep-signature", &generic_signature),
                ]),
                generic,
                1,
            ),
        ];
        for (kind, headers, body, count) in &table {
            let delivery = sent(&hooks, kind, headers, body).await.unwrap();
            assert_eq!(delivery.push.repositories.len(), *count, "{kind}");
            for (other, ..) in &table {
                if other != kind {
                    let refused = sent(&hooks, other, headers, body).await;
                    // Gitea takes what GitHub does.
                    if *other == "gitea" && headers.contains_key("x-hub-signature-256")
                        || *other == "github" && headers.contains_key("x-hub-signature-256")
                    {
                        continue;
                    }
                    let refused = refused.unwrap_err();
                    assert_eq!(refused.status, 401, "{kind} as {other}");
                    assert!(!refused.line.contains(SECRET));
                }
            }
            let mut changed = body.to_vec();
            changed.push(b' ');
            let changed = sent(&hooks, kind, headers, &changed).await;
            assert_eq!(changed.is_ok(), *kind == "gitlab", "{kind}");
        }
    }

    #[tokio::test]
    async fn a_delivery_that_comes_again_changes_nothing_and_an_old_one_is_refused() {
        let hooks = Hooks::default();
        let body = br#"{"modules":["example.com/m"]}"#;
        let at = |seconds: i64| {
            let time = (Timestamp::now().as_second() + seconds).to_string();
            let signature = format!("sha256={}", sign(&[time.as_bytes(), b".", body]));
            headers(&[
                ("x-modkeep-timestamp", &time),
                ("x-modkeep-signature", &signature),
            ])
        };
        let now = at(0);
        assert!(!sent(&hooks, "generic", &now, body).await.unwrap().replayed);
        assert!(sent(&hooks, "generic", &now, body).await.unwrap().replayed);
        assert!(
            !sent(&hooks, "generic", &at(-100), body)
                .await
                .unwrap()
                .replayed
        );
        for seconds in [-400, 400] {
            let refused = sent(&hooks, "generic", &at(seconds), body)
                .await
                .unwrap_err();
            assert!(refused.line.contains("off"), "{}", refused.line);
        }
    }

    #[tokio::test]
    async fn a_body_that_is_too_large_or_makes_no_sense_is_refused() {
        let hooks = Hooks::default();
        let large = vec![b' '; MOST_BYTES + 1];
        let gitlab = headers(&[("x-gitlab-token", SECRET)]);
        let status = async |kind: &str, body: &[u8]| {
            sent(&hooks, kind, &gitlab, body)
                .await
                .unwrap_err()
                .status
                .as_u16()
        };
        assert_eq!(status("gitlab", &large).await, 413);
        assert_eq!(status("gitlab", b"{").await, 400);
        assert_eq!(status("bitbucket", b"{}").await, 404);
        let form = b"payload=%7B%22repository%22%3A%7B%22clone_url%22%3A%22https%3A%2F%2Fgit.example%2Fa%22%7D%7D";
        let delivery = sent(&hooks, "gitlab", &gitlab, form).await.unwrap();
        assert_eq!(delivery.push.repositories, ["https://git.example/a"]);
        let refused = hooks
            .receive(
                &format!("{HOOKS}gitlab"),
                &gitlab,
                None,
                Full::new(Bytes::new()),
            )
            .await;
        assert_eq!(refused.unwrap_err().status, 403);
    }
}
