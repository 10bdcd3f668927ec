use std::net::ToSocketAddrs as _;
use std::time::{Duration, Instant};

use fault::Label;

use crate::scene::{LIST, Options, assert_says, failure};

/// A name that no resolver may know (RFC 6761, 6.4).
const NOWHERE: &str = "proxy.modkeep.invalid";

#[tokio::test]
async fn a_name_that_does_not_exist_is_no_absence() {
    let began = Instant::now();
    let known = (NOWHERE, 80).to_socket_addrs().map(|_| ());
    let slow = began.elapsed() > Duration::from_secs(3);
    let words = known
        .err()
        .map(|error| error.to_string())
        .unwrap_or_default();
    let expected = if slow {
        None
    } else if words.contains("not known") || words.contains("No address") {
        Some((Label::DnsNxdomain, "no such host"))
    } else if words.contains("Temporary failure") {
        Some((Label::DnsServfail, "server misbehaving"))
    } else {
        None
    };
    let Some((label, words)) = expected else {
        testkit::skipped("a name that does not exist (the resolver here gives no clear answer)");
        return;
    };
    for scheme in ["http", "https"] {
        let chain = Options::new(&format!("{scheme}://{NOWHERE}")).chain();
        let failure = failure(&chain, LIST).await;
        assert_says(&failure, label, &format!("lookup {NOWHERE}: {words}"));
        assert!(!failure.label.means_absent());
    }
}
