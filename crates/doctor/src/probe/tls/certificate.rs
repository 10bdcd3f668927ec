//! What a chain of certificates says about itself, and why it is not accepted, in the order Go finds out.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use fault::Label;
use rustls::pki_types::CertificateDer;
use x509_parser::prelude::{FromDer as _, GeneralName, X509Certificate, X509Name};

use super::super::report::Failure;
use super::roots::Roots;

/// The parts of a chain that people ask about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Summary {
    pub(crate) names: Vec<String>,
    pub(crate) common_name: Option<String>,
    /// Who issued the last certificate that was sent.
    pub(crate) issuer: String,
    pub(crate) issuer_organisation: String,
    pub(crate) not_before: i64,
    pub(crate) not_after: i64,
    pub(crate) is_self_signed: bool,
    pub(crate) chain_length: usize,
}

/// Reads a chain, the server's own certificate first.
pub(crate) fn summarize(chain: &[CertificateDer<'static>]) -> Option<Summary> {
    let (_, leaf) = X509Certificate::from_der(chain.first()?).ok()?;
    let (_, last) = X509Certificate::from_der(chain.last()?).ok()?;
    let alternative = leaf.subject_alternative_name().ok().flatten();
    let names = alternative
        .map(|extension| {
            extension
                .value
                .general_names
                .iter()
                .filter_map(name)
                .collect()
        })
        .unwrap_or_default();
    Some(Summary {
        names,
        common_name: part(leaf.subject().iter_common_name().next()),
        issuer: shown(last.issuer()),
        issuer_organisation: part(last.issuer().iter_organization().next()).unwrap_or_default(),
        not_before: leaf.validity().not_before.timestamp(),
        not_after: leaf.validity().not_after.timestamp(),
        is_self_signed: leaf.subject() == leaf.issuer(),
        chain_length: chain.len(),
    })
}

fn name(name: &GeneralName<'_>) -> Option<String> {
    match name {
        GeneralName::DNSName(name) => Some((*name).to_owned()),
        GeneralName::IPAddress(bytes) => match bytes.len() {
            4 => <[u8; 4]>::try_from(*bytes)
                .ok()
                .map(|b| std::net::IpAddr::from(b).to_string()),
            16 => <[u8; 16]>::try_from(*bytes)
                .ok()
                .map(|b| std::net::IpAddr::from(b).to_string()),
            _ => None,
        },
        _ => None,
    }
}

fn part(attribute: Option<&x509_parser::x509::AttributeTypeAndValue<'_>>) -> Option<String> {
    Some(attribute?.as_str().ok()?.to_owned())
}

/// The organisation and the common name.
fn shown(name: &X509Name<'_>) -> String {
    let words: Vec<String> = [
        part(name.iter_organization().next()),
        part(name.iter_common_name().next()),
    ]
    .into_iter()
    .flatten()
    .collect();
    if words.is_empty() {
        name.to_string()
    } else {
        words.join(", ")
    }
}

/// Organisations whose roots are in the public trust stores, as they write themselves; the start of the name counts.
const PUBLIC_AUTHORITIES: &[&str] = &[
    "Internet Security Research Group",
    "Let's Encrypt",
    "Google Trust Services",
    "DigiCert",
    "GlobalSign",
    "Sectigo",
    "COMODO",
    "The USERTRUST Network",
    "Amazon",
    "Starfield",
    "GoDaddy",
    "Entrust",
    "AffirmTrust",
    "Baltimore",
    "Cybertrust",
    "IdenTrust",
    "Digital Signature Trust",
    "Microsoft Corporation",
    "QuoVadis",
    "Buypass",
    "Certum",
    "Unizeto",
    "Asseco",
    "SwissSign",
    "SSL Corp",
    "SSL.com",
    "TrustAsia",
    "WoSign",
    "China Financial Certification",
    "GUANG DONG CERTIFICATE",
    "BEIJING CERTIFICATE",
    "iTrusChina",
    "Hongkong Post",
    "Actalis",
    "Telekom Security",
    "Deutsche Telekom",
    "D-Trust",
    "T-Systems",
    "Atos",
    "Certigna",
    "Dhimyotis",
    "HARICA",
    "Hellenic Academic",
    "Izenpe",
    "FNMT",
    "Firmaprofesional",
    "SECOM",
    "Chunghwa Telecom",
    "TAIWAN-CA",
    "NAVER",
    "e-Mudhra",
    "eMudhra",
    "emSign",
    "Trustwave",
    "SecureTrust",
    "Viking Cloud",
    "Network Solutions",
    "certSIGN",
    "Disig",
    "Krajowa Izba",
    "Microsec",
    "NetLock",
    "TeliaSonera",
    "Telia",
    "GlobalTrust",
    "ZeroSSL",
    "Cloudflare",
    "GTS ",
    "VeriSign",
    "Symantec",
    "GeoTrust",
    "thawte",
    "CommScope",
];

/// True when the name is that of a public authority. Anybody can write it, so it tells something only of a chain that
/// was verified, or was not verified for want of roots.
pub(crate) fn is_public_authority(organisation: &str) -> bool {
    let organisation = organisation.to_lowercase();
    PUBLIC_AUTHORITIES
        .iter()
        .any(|known| organisation.starts_with(&known.to_lowercase()))
}

/// So few roots are no public bundle.
const BUNDLE: usize = 20;

/// Why a chain was not accepted. The order is Go's: dates, names, authority (crypto/x509, `Verify`).
pub(crate) fn why_refused(
    chain: &[CertificateDer<'static>],
    host: &str,
    now: SystemTime,
    roots: &Roots,
    error: &rustls::Error,
) -> Failure {
    let failed = |label, words: String| {
        Failure::new(
            label,
            format!("tls: failed to verify certificate: x509: {words}"),
        )
    };
    let Some(summary) = summarize(chain) else {
        return failed(
            Label::TlsUnknownCaMitm,
            format!("malformed certificate ({error})"),
        );
    };
    let issued = format!("issuer: {}", summary.issuer);
    let seconds = now.duration_since(UNIX_EPOCH).map_or(0, |since| {
        i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
    });
    let (now, start, end) = (
        date(seconds),
        date(summary.not_before),
        date(summary.not_after),
    );
    if seconds > summary.not_after {
        let words = format!(
            "certificate has expired or is not yet valid: current time {now} is after {end}"
        );
        return failed(Label::TlsCertExpired, words).because(issued);
    }
    if seconds < summary.not_before {
        let words = format!(
            "certificate has expired or is not yet valid: current time {now} is before {start}"
        );
        return failed(Label::TlsClockSkew, words).because(issued);
    }
    if !summary.names.iter().any(|name| name_matches(name, host)) {
        let legacy = summary.names.is_empty()
            && summary
                .common_name
                .as_deref()
                .is_some_and(|name| name_matches(name, host));
        if legacy {
            let words =
                "certificate relies on legacy Common Name field, use SANs instead".to_owned();
            return failed(Label::TlsLegacyCn, words).because(issued);
        }
        let names = if summary.names.is_empty() {
            "certificate is not valid for any names, but wanted to match".to_owned()
        } else {
            format!("certificate is valid for {}, not", summary.names.join(", "))
        };
        return failed(Label::TlsHostnameMismatch, format!("{names} {host}")).because(issued);
    }
    let words = "certificate signed by unknown authority".to_owned();
    let lacks_bundle = roots.len() < BUNDLE
        && (roots.is_empty() || is_public_authority(&summary.issuer_organisation));
    if lacks_bundle {
        return failed(Label::TlsMissingCaBundle, words)
            .because(issued)
            .because(format!("{} root certificates on this machine", roots.len()));
    }
    let failure = failed(Label::TlsUnknownCaMitm, words).because(issued);
    if summary.is_self_signed {
        failure.because("the certificate is signed by itself")
    } else {
        failure
    }
}

/// Whether a name of a certificate, which may begin with `*.`, is that of `host`.
pub(crate) fn name_matches(name: &str, host: &str) -> bool {
    let name = name.trim_end_matches('.').to_lowercase();
    let host = host
        .trim_end_matches('.')
        .trim_matches(['[', ']'])
        .to_lowercase();
    match name.strip_prefix("*.") {
        Some(parent) => host.split_once('.').is_some_and(|(_, rest)| rest == parent),
        None => name == host,
    }
}

/// A time as Go's messages have it.
pub(crate) fn date(seconds: i64) -> String {
    let Ok(seconds) = u64::try_from(seconds) else {
        return seconds.to_string();
    };
    httpdate::fmt_http_date(UNIX_EPOCH + Duration::from_secs(seconds.min(253_402_300_799)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_match_as_in_certificates() {
        for (name, host, expected) in [
            ("a.example", "A.Example.", true),
            ("*.a.example", "b.a.example", true),
            ("*.a.example", "c.b.a.example", false),
            ("*.a.example", "a.example", false),
            ("127.0.0.1", "127.0.0.1", true),
            ("::1", "[::1]", true),
        ] {
            assert_eq!(name_matches(name, host), expected, "{name} {host}");
        }
    }

    #[test]
    fn public_authorities_are_known_by_their_organisation() {
        assert!(is_public_authority("Let's Encrypt"));
        assert!(is_public_authority("DigiCert Inc"));
        assert!(!is_public_authority("Example Corporation"));
        assert!(!is_public_authority(""));
    }
}
