//! What clients, upstreams and repositories may take.

use super::Checker;
use crate::config::value;

impl Checker<'_> {
    pub(super) fn upstream_limits(&mut self) -> Option<upstream::Limits> {
        let connect = self.parse("upstreams.connect-timeout", value::positive_duration);
        let first_byte = self.parse("upstreams.first-byte-timeout", value::positive_duration);
        let idle = self.parse("upstreams.idle-timeout", value::positive_duration);
        let small = self.parse("upstreams.small-timeout", value::positive_duration);
        let low_speed = self.parse("upstreams.low-speed", value::bytes);
        let deadline = self.parse("upstreams.deadline", value::positive_duration);
        let outage = self.parse("upstreams.outage-wait", value::duration);
        Some(upstream::Limits {
            connect: connect?,
            first_byte: first_byte?,
            idle: idle?,
            low_speed: low_speed?,
            small: small?,
            deadline: deadline?,
            outage: outage?,
        })
    }

    pub(super) fn client_limits(&mut self) -> Option<server::Limits> {
        let connections = self.parse("limits.connections", value::count);
        let header = self.parse("limits.header-timeout", value::positive_duration);
        let header_bytes = self.parse("limits.header-bytes", header_bytes);
        let header_lines = self.parse("limits.header-lines", value::count);
        let stall = self.parse("limits.stall-timeout", value::positive_duration);
        let drain = self.parse("limits.drain", value::duration);
        Some(server::Limits {
            connections: connections?,
            header: header?,
            stall: stall?,
            header_bytes: header_bytes?,
            header_lines: header_lines?,
            drain: drain?,
        })
    }

    pub(super) fn repository_limits(&mut self) -> Option<vcs::Limits> {
        let cache = self.parse("repositories.cache", value::bytes);
        let repository = self.parse("repositories.largest", value::bytes);
        let ahead = self.parse("repositories.ahead", value::up_to_a_thousand);
        Some(vcs::Limits {
            cache: cache?,
            repository: repository?,
            ahead: ahead?,
            ..vcs::Limits::default()
        })
    }
}

/// The HTTP library does not work with less.
fn header_bytes(text: &str) -> Result<usize, String> {
    match value::bytes(text)? {
        bytes @ 8_192..=16_777_216 => usize::try_from(bytes).map_err(|error| error.to_string()),
        _ => Err("it must be from 8KiB to 16MiB".to_owned()),
    }
}
