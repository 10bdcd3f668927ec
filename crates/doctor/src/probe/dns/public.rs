//! Which answers cannot be true: addresses that no public host has.

use std::net::{IpAddr, Ipv4Addr};

/// Hosts that everybody reaches at public addresses, so that another one means that somebody else answered.
const PUBLIC: &[&str] = &[
    "proxy.golang.org",
    "sum.golang.org",
    "sum.golang.google.cn",
    "index.golang.org",
    "golang.org",
    "go.dev",
    "storage.googleapis.com",
    "goproxy.cn",
    "goproxy.io",
    "mirrors.aliyun.com",
    "github.com",
    "gitlab.com",
    "bitbucket.org",
    "go.googlesource.com",
    "gopkg.in",
    "google.golang.org",
];

/// True for a host of the public module ecosystem.
pub(crate) fn is_public_host(host: &str) -> bool {
    let host = host.trim_end_matches('.').to_lowercase();
    PUBLIC.contains(&host.as_str())
}

/// The host or one above it is known to everybody.
pub(crate) fn is_public_domain(host: &str) -> bool {
    let mut rest = host;
    loop {
        if is_public_host(rest) {
            return true;
        }
        match rest.split_once('.') {
            Some((_, above)) if above.contains('.') => rest = above,
            _ => return false,
        }
    }
}

/// True for a host whose servers are Google's, which some networks filter as a whole.
pub(crate) fn is_google_host(host: &str) -> bool {
    let host = host.trim_end_matches('.').to_lowercase();
    matches!(host.as_str(), "go.dev" | "golang.org" | "google.golang.org")
        || host.ends_with(".golang.org")
        || host.ends_with(".googleapis.com")
        || host.ends_with(".googlesource.com")
}

/// True for an address that no server on the internet has.
pub(crate) fn is_bogus(ip: IpAddr) -> bool {
    match ip.to_canonical() {
        IpAddr::V4(ip) => {
            let octets = ip.octets();
            ip.is_private()
                || ip.is_loopback()
                || ip.is_link_local()
                || ip.is_unspecified()
                || ip.is_broadcast()
                || ip.is_documentation()
                || ip.is_multicast()
                || octets[0] == 0
                || octets[0] >= 240
                || (octets[0] == 100 && (64..128).contains(&octets[1]))
                || ip == Ipv4Addr::new(198, 18, 0, 0)
                || (octets[0] == 198 && (18..20).contains(&octets[1]))
        }
        IpAddr::V6(ip) => {
            ip.is_loopback()
                || ip.is_unspecified()
                || ip.is_multicast()
                || (ip.segments()[0] & 0xfe00) == 0xfc00
                || (ip.segments()[0] & 0xffc0) == 0xfe80
                || (ip.segments()[0] == 0x2001 && ip.segments()[1] == 0xdb8)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_no_public_server_are_told() {
        for bogus in [
            "0.0.0.0",
            "127.0.0.1",
            "10.1.2.3",
            "192.168.1.1",
            "172.16.0.1",
            "169.254.1.1",
            "240.0.0.1",
            "100.64.0.1",
            "198.18.0.7",
            "::1",
            "::",
            "fd00::1",
            "fe80::1",
            "::ffff:10.0.0.1",
            "2001:db8::1",
        ] {
            assert!(is_bogus(bogus.parse().unwrap()), "{bogus}");
        }
        for public in [
            "142.250.74.49",
            "100.128.0.1",
            "198.20.0.1",
            "2a00:1450:4001::1",
            "172.32.0.1",
        ] {
            assert!(!is_bogus(public.parse().unwrap()), "{public}");
        }
    }

    #[test]
    fn hosts_of_google_are_told() {
        assert!(is_google_host("proxy.golang.org") && is_google_host("Storage.GoogleAPIs.com."));
        assert!(!is_google_host("goproxy.cn") && !is_google_host("notgolang.org"));
        assert!(is_public_host("sum.golang.org") && !is_public_host("goproxy.corp.example"));
    }
}
