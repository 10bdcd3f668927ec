//! What a failure says about an upstream, and about a further try.

use fault::Label;

use crate::breaker::Weight;

/// How often one request may be sent to one upstream that fails so.
pub(crate) fn tries(label: Label) -> u32 {
    match label {
        // A wrong credential does not get better, and asking on may lock an account. The others are settled matters.
        Label::Goproxy401
        | Label::Httpproxy407
        | Label::HttpproxyConnectForbidden
        | Label::ModZipTooLarge
        | Label::SumdbMismatch
        | Label::DnsPoisoned
        | Label::TlsPlainHttp
        | Label::TlsMissingCaBundle
        | Label::TlsClockSkew
        | Label::DiskPermission => 1,
        // Also bad bytes, a web page, or an odd status: one server behind a load balancer may be ill, or a box on the way
        // may have meddled. Whatever comes the next time is checked as thoroughly.
        _ => 3,
    }
}

/// Whether it may be the network that is gone, and may soon be back: no answer came, neither from the upstream nor in its
/// name.
pub(crate) fn is_outage(label: Label) -> bool {
    matches!(
        label,
        Label::TcpRefused
            | Label::TcpReset
            | Label::TcpTimeout
            | Label::TcpNoRoute
            | Label::TlsHandshakeTimeout
            | Label::DnsTimeout
            | Label::DnsServfail
    )
}

/// What a failure says about the upstream as a whole.
pub(crate) fn weight(label: Label) -> Weight {
    match label {
        Label::Goproxy403 | Label::Goproxy4xx | Label::ModZipTooLarge => Weight::Nothing,
        Label::TcpTimeout
        | Label::TcpNoRoute
        | Label::TlsHandshakeTimeout
        | Label::DnsTimeout
        | Label::DnsServfail => Weight::Decisive,
        _ => Weight::Some,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_passes_by_itself_is_tried_most_often_and_a_mismatch_never_again() {
        for label in Label::ALL {
            let tries = tries(*label);
            assert!((1..=3).contains(&tries));
            assert!(!label.is_retryable() || tries == 3, "{label}");
        }
        assert_eq!(tries(Label::SumdbMismatch), 1);
        assert_eq!(tries(Label::Goproxy401), 1);
    }

    #[test]
    fn only_what_costs_a_wait_takes_an_upstream_out_at_once() {
        assert_eq!(weight(Label::TcpTimeout), Weight::Decisive);
        assert_eq!(weight(Label::TcpRefused), Weight::Some);
        assert_eq!(weight(Label::Goproxy403), Weight::Nothing);
    }
}
