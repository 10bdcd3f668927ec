mod ahead;
mod chain;
mod databases;
mod incoming;
mod limits;
mod names;
mod outgoing;
mod telling;

use std::net::SocketAddr;
use std::num::NonZeroU64;
use std::path::PathBuf;
use std::time::Duration;

use databases::verify_mode;
use depot::{Cleaning, ScrubSchedule};
use goenv::SecretRef;
use goenv::goproxy::ProxyList;
use goenv::private::Patterns;
use ipnet::IpNet;
use server::TlsFiles;
use upstream::NameServers;
use vcs::{GoAuth, Govcs};

use super::{ConfigError, OriginRule, Resolved, value};

pub use ahead::{PrefetchSettings, WarmSettings};
pub use databases::SumlogSettings;
pub use telling::{LogFormat, LogSettings, OtlpSettings};

/// All settings as types, checked one by one and against each other.
#[derive(Clone, Debug)]
pub struct Effective {
    /// Where to listen.
    pub listen: SocketAddr,
    /// The store's directory.
    pub data: PathBuf,
    /// The upstreams, without this server's own address.
    pub chain: ProxyList,
    /// Own addresses that were taken out of the chain.
    pub left_out: Vec<String>,
    /// Whether the first upstream's "not found" is believed.
    pub first_is_authoritative: bool,
    /// How long an upstream may take.
    pub upstream_limits: upstream::Limits,
    /// Which upstream is asked first.
    pub upstream_order: upstream::Order,
    /// How often upstreams are probed.
    pub probe_interval: Duration,
    /// Which resolvers are asked where upstreams are.
    pub names: NameServers,
    /// What the depot needs, without the repositories.
    pub depot: depot::Settings,
    /// How repositories are reached.
    pub origins: Vec<OriginRule>,
    /// GOVCS.
    pub govcs: Govcs,
    /// GOINSECURE.
    pub insecure: Patterns,
    /// GOAUTH.
    pub goauth: GoAuth,
    /// Networks that hosts of strangers may lead to.
    pub outbound: Vec<IpNet>,
    /// The proxy auto-configuration file.
    pub auto_config: Option<PathBuf>,
    /// Where the secret of webhooks is.
    pub hooks_secret: Option<SecretRef>,
    /// Where the token of publishers is.
    pub publish_token: Option<SecretRef>,
    /// How much disk copies of repositories may take.
    pub repository_limits: vcs::Limits,
    /// The checksum database of one's own, if there is one.
    pub sumlog: Option<SumlogSettings>,
    /// Whether nothing is fetched, from the start on.
    pub offline: bool,
    /// Where the token of those who may give orders is; `None`: nobody may.
    pub api_token: Option<SecretRef>,
    /// What is fetched while clients are on their way.
    pub prefetch: PrefetchSettings,
    /// What is warmed by the clock.
    pub warm: WarmSettings,
    /// Memory for small answers, in bytes.
    pub hot_bytes: u64,
    /// From the end of one pass over the stored files to the next; zero: the server makes none.
    pub scrub_interval: Duration,
    /// Bytes that a pass reads in a second.
    pub scrub_rate: NonZeroU64,
    /// When room is made on the disk; never when nothing is to stay free.
    pub cleaning: Cleaning,
    /// Certificate files, if HTTPS is served.
    pub tls: Option<TlsFiles>,
    /// What a client may take.
    pub limits: server::Limits,
    /// What is logged, how, and where to.
    pub log: LogSettings,
    /// Who is told of spans, if anybody is.
    pub otlp: Option<OtlpSettings>,
}

impl Effective {
    /// Checks every value.
    ///
    /// # Errors
    /// All that is wrong, each with its place.
    pub fn check(resolved: &Resolved) -> Result<Self, Vec<ConfigError>> {
        let mut checker = Checker {
            resolved,
            errors: Vec::new(),
        };
        let effective = checker.effective();
        match effective {
            Some(effective) if checker.errors.is_empty() => Ok(effective),
            _ => Err(checker.errors),
        }
    }

    /// When the server makes room on the disk, if it does.
    pub fn cleaning(&self) -> Option<&Cleaning> {
        (self.cleaning.min_free > 0).then_some(&self.cleaning)
    }

    /// When the server reads stored files again, if it does.
    pub fn scrub(&self) -> Option<ScrubSchedule> {
        let (interval, rate) = (self.scrub_interval, self.scrub_rate);
        (!interval.is_zero()).then_some(ScrubSchedule { interval, rate })
    }
}

struct Checker<'a> {
    resolved: &'a Resolved,
    errors: Vec<ConfigError>,
}

impl Checker<'_> {
    /// `None` only after an error was noted.
    fn effective(&mut self) -> Option<Effective> {
        let listen = self.parse("listen", value::address);
        let data = self.data();
        let chain = self.chain(listen);
        let sumdbs = self.sumdbs();
        let verify = self.parse("verify", verify_mode);
        let origins = self.origins();
        let govcs = self.parse("govcs", |text| {
            Govcs::parse(text).map_err(|error| error.to_string())
        });
        let goauth = self.parse("goauth", |text| {
            GoAuth::parse(text).map_err(|error| error.to_string())
        });
        let outbound = self.parse("outbound.allow", value::networks);
        let auto_config = self.auto_config();
        let sumlog = self.sumlog();
        let hooks_secret = self.parse("hooks.secret", value::secret);
        let publish_token = self.publish_token();
        let repository_limits = self.repository_limits();
        let upstream_limits = self.upstream_limits();
        let first_is_authoritative = self.parse("upstreams.first-is-authoritative", value::switch);
        let offline = self.parse("offline", value::switch);
        let api_token = self.api_token();
        let upstream_order = self.upstream_order();
        let probe_interval = self.parse("upstreams.probe-interval", value::positive_duration);
        let names = self.names(origins.as_deref().unwrap_or_default());
        let ttl = self.parse("cache.ttl", value::duration);
        let absent_ttl = self.parse("cache.absent-ttl", value::duration);
        let stale_wait = self.parse("cache.stale-wait", value::duration);
        let hot_bytes = self.parse("cache.memory", value::bytes);
        let scrub_interval = self.parse("scrub.interval", value::duration);
        let scrub_rate = self.parse("scrub.rate", value::rate);
        let warm = self.warm();
        let cleaning = self.cleaning();
        let fetching = self.fetching();
        let tls = self.tls();
        let limits = self.client_limits();
        let log = self.log();
        let otlp = self.otlp();
        let (chain, left_out) = chain?;
        let (admission, prefetch) = fetching?;
        Some(Effective {
            listen: listen?,
            data: data?,
            chain,
            left_out,
            first_is_authoritative: first_is_authoritative?,
            upstream_limits: upstream_limits?,
            offline: offline?,
            api_token,
            upstream_order: upstream_order?,
            probe_interval: probe_interval?,
            names: names?,
            depot: depot::Settings {
                ttl: ttl?,
                absent_ttl: absent_ttl?,
                stale_wait: stale_wait?,
                no_sumdb: Patterns::parse(&self.resolved.get("no-sumdb").value),
                verify: verify?,
                private: self.private(origins.as_deref()?),
                published: Patterns::parse(&self.resolved.get("publish.modules").value),
                sumdbs: sumdbs?,
                repositories: None,
                admission,
            },
            origins: origins?,
            govcs: govcs?,
            insecure: Patterns::parse(&self.resolved.get("insecure").value),
            goauth: goauth?,
            outbound: outbound?,
            auto_config,
            hooks_secret: hooks_secret?,
            publish_token: publish_token?,
            repository_limits: repository_limits?,
            sumlog,
            prefetch,
            warm: warm?,
            hot_bytes: hot_bytes?,
            scrub_interval: scrub_interval?,
            scrub_rate: scrub_rate?,
            cleaning: cleaning?,
            tls,
            limits: limits?,
            log: log?,
            otlp: otlp?,
        })
    }

    fn parse<T>(
        &mut self,
        name: &'static str,
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> Option<T> {
        match parse(&self.resolved.get(name).value) {
            Ok(value) => Some(value),
            Err(reason) => {
                self.fail(name, &reason);
                None
            }
        }
    }

    /// `None` only after an error was noted.
    fn cleaning(&mut self) -> Option<Cleaning> {
        let min_free = self.parse("clean.min-free", value::bytes);
        let min_age = self.parse("clean.min-age", value::duration);
        Some(Cleaning {
            min_free: min_free?,
            min_age: min_age?,
            keep: Patterns::parse(&self.resolved.get("clean.keep").value),
        })
    }

    fn fail(&mut self, name: &'static str, reason: &str) {
        let origin = self.resolved.get(name).origin.clone();
        self.errors
            .push(ConfigError::new(Some(origin), format!("{name}: {reason}")));
    }

    fn data(&mut self) -> Option<PathBuf> {
        let data = self.resolved.get("data").value.clone();
        if data.is_empty() {
            self.fail(
                "data",
                "there is no home directory to put the store into; name one with --data",
            );
            return None;
        }
        Some(data.into())
    }

    fn origins(&mut self) -> Option<Vec<OriginRule>> {
        let mut rules = Vec::new();
        let before = self.errors.len();
        for table in &self.resolved.origins {
            match table.check() {
                Ok(rule) => rules.push(rule),
                Err(errors) => self.errors.extend(errors),
            }
        }
        (self.errors.len() == before).then_some(rules)
    }

    /// The setting, what is published here, and the patterns of origins that are nobody else's business.
    fn private(&self, origins: &[OriginRule]) -> Patterns {
        let setting = |name| self.resolved.get(name).value.as_str();
        let patterns = origins
            .iter()
            .filter(|rule| rule.exclusive)
            .map(|rule| rule.pattern.as_str());
        let all: Vec<&str> = [setting("private"), setting("publish.modules")]
            .into_iter()
            .chain(patterns)
            .filter(|pattern| !pattern.is_empty())
            .collect();
        Patterns::parse(&all.join(","))
    }

    /// Both files or none.
    fn tls(&mut self) -> Option<TlsFiles> {
        let file =
            |name| Some(self.resolved.get(name).value.clone()).filter(|value| !value.is_empty());
        let (certificate, key) = (file("tls.certificate"), file("tls.key"));
        if certificate.is_some() && key.is_none() {
            self.fail(
                "tls.certificate",
                "it needs its private key; set tls.key, too",
            );
        }
        if key.is_some() && certificate.is_none() {
            self.fail(
                "tls.key",
                "it needs its certificate; set tls.certificate, too",
            );
        }
        Some(TlsFiles {
            certificate: certificate?.into(),
            key: key?.into(),
        })
    }
}

fn one_of(words: &str, text: &str) -> String {
    format!("{text:?} is none of {words}")
}

#[cfg(test)]
mod tests {
    use goenv::Environment;
    use sumlog::LogName;

    use super::*;
    use crate::config::resolve_and_check;

    fn check(pairs: &[(&str, &str)]) -> Result<Effective, Vec<String>> {
        let base = [
            ("HOME", "/nonexistent"),
            ("GOENV", "off"),
            ("MODKEEP_CONFIG", ""),
        ];
        let environment = Environment::from_pairs(base.iter().chain(pairs).copied());
        resolve_and_check(&environment, std::iter::empty(), None)
            .map(|(_, effective)| effective)
            .map_err(|errors| errors.iter().map(ToString::to_string).collect())
    }

    fn chain(effective: &Effective) -> Vec<String> {
        effective
            .chain
            .entries
            .iter()
            .map(|entry| entry.target.to_string())
            .collect()
    }

    #[test]
    fn the_defaults_are_sound() {
        let effective = check(&[]).unwrap();
        assert_eq!(effective.listen.to_string(), "127.0.0.1:8090");
        assert_eq!(chain(&effective).len(), 2);
        assert_eq!(effective.depot.sumdbs[0].name, "sum.golang.org");
        assert!(effective.depot.sumdbs[0].through_upstreams);
    }

    #[test]
    fn its_own_address_is_left_out_of_what_go_would_use() {
        for own in [
            "http://127.0.0.1:8090",
            "http://localhost:8090/",
            "http://127.0.0.1:8090,direct",
        ] {
            let effective = check(&[("GOPROXY", own)]).unwrap();
            assert!(
                chain(&effective)[0].contains("proxy.golang.org"),
                "{own}: {:?}",
                chain(&effective)
            );
            assert_eq!(effective.left_out.len(), 1, "{own}");
        }
        let effective =
            check(&[("GOPROXY", "http://127.0.0.1:8090|http://127.0.0.1:9000")]).unwrap();
        assert_eq!(chain(&effective).len(), 1);
        assert!(chain(&effective)[0].contains(":9000"));
    }

    #[test]
    fn its_own_address_is_refused_when_it_was_set_on_purpose() {
        let errors = check(&[("MODKEEP_UPSTREAM", "http://127.0.0.1:8090")]).unwrap_err();
        assert_eq!(errors.len(), 1);
        assert!(
            errors[0].starts_with("environment variable MODKEEP_UPSTREAM: upstream: "),
            "{errors:?}"
        );
    }

    #[test]
    fn every_problem_is_reported_with_its_place() {
        let errors = check(&[
            ("MODKEEP_LISTEN", "nowhere"),
            ("MODKEEP_CACHE_TTL", "soon"),
            ("MODKEEP_LIMITS_CONNECTIONS", "0"),
            ("MODKEEP_TLS_KEY", "key.pem"),
            ("MODKEEP_SUMDB", "some+thing"),
            ("MODKEEP_LOG_LEVEL", "loud"),
            ("MODKEEP_LIMITS_HEADER_BYTES", "1KiB"),
        ])
        .unwrap_err();
        assert_eq!(errors.len(), 7, "{errors:#?}");
        for (error, variable) in errors.iter().zip([
            "MODKEEP_LISTEN",
            "MODKEEP_SUMDB",
            "MODKEEP_CACHE_TTL",
            "MODKEEP_TLS_KEY",
            "MODKEEP_LIMITS_CONNECTIONS",
            "MODKEEP_LIMITS_HEADER_BYTES",
            "MODKEEP_LOG_LEVEL",
        ]) {
            assert!(
                error.starts_with(&format!("environment variable {variable}: ")),
                "{error}"
            );
        }
    }

    #[test]
    fn a_log_has_a_name_and_is_not_verified_against_itself() {
        let witness = "w+2b2ad0ba+BAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
        let effective = check(&[
            ("MODKEEP_SUMLOG_NAME", "sum.example.com/team"),
            ("MODKEEP_SUMLOG_KEY", "env:KEY"),
        ]);
        let log = effective.unwrap().sumlog.unwrap();
        assert_eq!(log.name.as_str(), "sum.example.com/team");
        assert_eq!(log.key.unwrap().to_string(), "env:KEY");
        assert!(check(&[]).unwrap().sumlog.is_none());

        let bad = |pairs: &[(&str, &str)]| check(pairs).unwrap_err().join("\n");
        assert!(bad(&[("MODKEEP_SUMLOG_KEY", "env:KEY")]).contains("set sumlog.name"));
        assert!(bad(&[("MODKEEP_SUMLOG_NAME", "a b")]).contains("no name"));
        let with_name =
            |name, value| bad(&[("MODKEEP_SUMLOG_NAME", "sum.example.com"), (name, value)]);
        assert!(with_name("MODKEEP_SUMLOG_WITNESSES", witness).contains("no witness's key"));
        assert!(with_name("MODKEEP_SUMLOG_KEY", "env:").contains("no place of a secret"));
        let ring = sumlog::KeyRing::generate(&LogName::parse("sum.example.com").unwrap()).unwrap();
        let own = ring.verifier().to_string();
        assert!(with_name("MODKEEP_SUMDB", &own).contains("own log"));
    }

    #[test]
    fn a_database_with_a_url_is_asked_there_only() {
        let effective =
            check(&[("MODKEEP_SUMDB", "sum.golang.org https://sum.example.com/db")]).unwrap();
        let route = &effective.depot.sumdbs[0];
        assert_eq!(
            (route.name.as_str(), route.base.as_str()),
            ("sum.golang.org", "https://sum.example.com/db")
        );
        assert!(!route.through_upstreams);
        assert!(
            check(&[("MODKEEP_SUMDB", "off")])
                .unwrap()
                .depot
                .sumdbs
                .is_empty()
        );
    }
}
