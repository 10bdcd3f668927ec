//! From the text of a value to its type, with a reason that says what is understood.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::num::NonZeroU64;
use std::time::Duration;

use goenv::SecretRef;
use toml::Spanned;
use toml::de::DeValue;

/// A value of the configuration file as text, if it is one value.
pub(super) fn scalar(value: &Spanned<DeValue<'_>>) -> Option<String> {
    match value.get_ref() {
        DeValue::String(text) => Some(text.to_string()),
        DeValue::Integer(number) => Some(number.to_string()),
        DeValue::Boolean(switch) => Some(switch.to_string()),
        DeValue::Float(_) | DeValue::Datetime(_) | DeValue::Array(_) | DeValue::Table(_) => None,
    }
}

/// `500ms`, `30s`, `5m`, `2h`.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    let digits = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let wrong =
        || format!("{text:?} is no duration; write a whole number and ms, s, m or h, such as 30s");
    let number: u64 = number.parse().map_err(|_| wrong())?;
    let milliseconds = match unit.trim() {
        "ms" => Some(number),
        "s" => number.checked_mul(1_000),
        "m" => number.checked_mul(60_000),
        "h" => number.checked_mul(3_600_000),
        _ => None,
    };
    milliseconds.map(Duration::from_millis).ok_or_else(wrong)
}

/// A duration in which something has to happen.
pub(super) fn positive_duration(text: &str) -> Result<Duration, String> {
    let duration = duration(text)?;
    if duration.is_zero() {
        Err("it must be longer than 0".to_owned())
    } else {
        Ok(duration)
    }
}

/// `65536`, `64KiB`, `32MiB`, `1GiB`.
pub(super) fn bytes(text: &str) -> Result<u64, String> {
    let digits = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let wrong = || {
        format!("{text:?} is no size; write a whole number of bytes, or one with KiB, MiB or GiB")
    };
    let number: u64 = number.parse().map_err(|_| wrong())?;
    let factor = match unit.trim() {
        "" | "B" => 1,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        _ => return Err(wrong()),
    };
    number.checked_mul(factor).ok_or_else(wrong)
}

/// As [`bytes`], in each second.
pub(crate) fn rate(text: &str) -> Result<NonZeroU64, String> {
    NonZeroU64::new(bytes(text)?).ok_or_else(|| "it must be more than 0".to_owned())
}

/// Networks or addresses, separated by commas.
pub(super) fn networks(text: &str) -> Result<Vec<ipnet::IpNet>, String> {
    let entries = text
        .split(',')
        .map(str::trim)
        .filter(|entry| !entry.is_empty());
    entries
        .map(|entry| {
            let network = entry.parse::<ipnet::IpNet>().ok();
            network
                .or_else(|| entry.parse::<IpAddr>().ok().map(Into::into))
                .ok_or_else(|| {
                    format!("{entry:?} is no network; write ADDRESS/BITS, such as 10.1.0.0/16")
                })
        })
        .collect()
}

/// The place of a secret; empty for none. What is neither `env:` nor a path may be the secret itself, and is not
/// repeated.
pub(crate) fn secret(text: &str) -> Result<Option<SecretRef>, String> {
    if text.is_empty() {
        return Ok(None);
    }
    let is_place =
        ["env:", "file:"].iter().any(|kind| text.starts_with(kind)) || text.contains('/');
    if !is_place {
        return Err("write env:NAME or file:PATH, and not the secret itself".to_owned());
    }
    text.parse()
        .map(Some)
        .map_err(|error: goenv::SecretError| error.to_string())
}

/// A whole number, at least 1.
pub(super) fn count(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(0) | Err(_) => Err(format!("{text:?} is no whole number of at least 1")),
        Ok(number) => Ok(number),
    }
}

/// A whole number that may be 0.
pub(super) fn up_to_a_thousand(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(number @ 0..=1000) => Ok(number),
        _ => Err(format!("{text:?} is no whole number from 0 to 1000")),
    }
}

pub(super) fn percent(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(number @ 1..=100) => Ok(number),
        _ => Err(format!("{text:?} is no whole number from 1 to 100")),
    }
}

pub(super) fn switch(text: &str) -> Result<bool, String> {
    match text {
        "true" => Ok(true),
        "false" => Ok(false),
        _ => Err(format!("{text:?} is neither true nor false")),
    }
}

/// `127.0.0.1:8090`, `[::1]:8090`, `localhost:8090`, `:8090`.
pub(super) fn address(text: &str) -> Result<SocketAddr, String> {
    let wrong = || {
        format!(
            "{text:?} is no address to listen on; write IP:PORT, such as 127.0.0.1:8090 or [::1]:8090"
        )
    };
    let (host, port) = text.rsplit_once(':').ok_or_else(wrong)?;
    let port: u16 = port.parse().map_err(|_| wrong())?;
    let ip = match host {
        "" => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
        "localhost" => IpAddr::from([127, 0, 0, 1]),
        host => {
            let bare = host
                .strip_prefix('[')
                .and_then(|host| host.strip_suffix(']'))
                .unwrap_or(host);
            bare.parse().map_err(|_| wrong())?
        }
    };
    Ok(SocketAddr::new(ip, port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_a_unit() {
        let ms = |text| duration(text).map(|duration| duration.as_millis()).ok();
        for (text, expected) in [
            ("500ms", Some(500)),
            ("30s", Some(30_000)),
            ("5m", Some(300_000)),
            ("2h", Some(7_200_000)),
            ("0s", Some(0)),
            ("30", None),
            ("s", None),
            ("-1s", None),
            ("1.5s", None),
            ("99999999999999999999s", None),
            ("18446744073709551615h", None),
        ] {
            assert_eq!(ms(text), expected, "{text}");
        }
        assert!(positive_duration("0s").is_err());
    }

    #[test]
    fn sizes_are_in_binary_units() {
        for (text, expected) in [
            ("0", Some(0)),
            ("65536", Some(65_536)),
            ("64KiB", Some(65_536)),
            ("32 MiB", Some(33_554_432)),
            ("1GiB", Some(1 << 30)),
            ("64KB", None),
            ("99999999999GiB", None),
            ("", None),
        ] {
            assert_eq!(bytes(text).ok(), expected, "{text}");
        }
    }

    #[test]
    fn networks_are_addresses_with_bits() {
        assert_eq!(networks("").unwrap(), []);
        let found = networks("10.1.0.0/16, ::1,192.0.2.7").unwrap();
        let found: Vec<String> = found.iter().map(ToString::to_string).collect();
        assert_eq!(found, ["10.1.0.0/16", "::1/128", "192.0.2.7/32"]);
        assert!(networks("10.1.0.0/33").is_err() && networks("localhost").is_err());
    }

    #[test]
    fn secrets_are_places_and_are_not_repeated() {
        assert_eq!(secret(""), Ok(None));
        assert!(secret("env:TOKEN").unwrap().is_some());
        assert!(secret("/etc/token").unwrap().is_some() && secret("file:token").unwrap().is_some());
        assert!(!secret("glpat-hush").unwrap_err().contains("hush"));
    }

    #[test]
    fn addresses_name_a_port() {
        for (text, expected) in [
            ("127.0.0.1:0", Some("127.0.0.1:0")),
            ("[::1]:8090", Some("[::1]:8090")),
            ("localhost:80", Some("127.0.0.1:80")),
            (":8090", Some("[::]:8090")),
            ("127.0.0.1", None),
            ("127.0.0.1:99999", None),
            ("example.com:80", None),
            ("", None),
        ] {
            assert_eq!(
                address(text)
                    .ok()
                    .map(|address| address.to_string())
                    .as_deref(),
                expected,
                "{text}"
            );
        }
    }
}
