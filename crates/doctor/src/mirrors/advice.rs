//! One GOPROXY out of the ranking: which servers, which separators, and why.

use fault::Risk;
use goenv::fix::{Change, Fix, Scope};
use goenv::goproxy::{Fallback, ProxyList, Target};
use goenv::private::Patterns;
use goenv::redact::redact_text;
use goenv::{Environment, GoEnv, Key, Origin, RedactedUrl};

use super::candidates::is_own;
use super::catalogue::{Basis, same};
use super::rank::failing;
use super::remark::{Kind, Remark};
use super::{Comparison, Mirror, Provenance, Standing};

/// Why nothing is recommended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Blocked {
    /// No mirror qualified.
    NoMirror,
    /// GOPROXY names servers of the user's own network only; to add public ones is for whoever made that so.
    OwnOnly,
    /// GOPROXY is what would be recommended.
    AlreadySo,
}

impl Blocked {
    /// What is said about it.
    pub const fn kind(self) -> Kind {
        match self {
            Self::NoMirror => Kind::NoMirror,
            Self::OwnOnly => Kind::OwnOnly,
            Self::AlreadySo => Kind::AlreadySo,
        }
    }
}

/// What is recommended.
#[derive(Clone, Debug)]
pub struct Advice {
    /// The value for GOPROXY, without passwords; `None` if there is none to recommend.
    pub value: Option<String>,
    /// Why nothing is to be changed, if so.
    pub blocked: Option<Blocked>,
    /// The change, made in the file of `go env -w`.
    pub fix: Option<Fix>,
    /// The same for the running shell, when an environment variable wins over that file.
    pub shell: Option<Fix>,
    /// Why it looks as it does.
    pub reasons: Vec<Remark>,
    /// What to mind.
    pub warnings: Vec<Remark>,
}

/// What a recommendation has to respect.
#[derive(Clone, Copy, Debug)]
pub struct Surroundings<'a> {
    /// The settings as they are.
    pub settings: &'a GoEnv,
    /// The environment, for what is installed.
    pub environment: &'a Environment,
}

/// How the list ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Tail {
    Direct,
    Off,
    Nothing,
}

impl Comparison {
    /// The GOPROXY for this place. Servers of the user's own network stay in front, the end of the list stays as it is,
    /// and nothing but GOPROXY is touched.
    pub fn advice(&self, surroundings: &Surroundings<'_>) -> Advice {
        let settings = surroundings.settings;
        let setting = settings.get(Key::GOPROXY);
        let current = ProxyList::parse(&setting.value).ok();
        // What was named for this run is compared like any other.
        let is_added = |url: &RedactedUrl| {
            let mut added = self
                .mirrors
                .iter()
                .filter(|mirror| mirror.candidate.from == Provenance::Added);
            added.any(|mirror| same(mirror.candidate.url.as_url(), url.as_url()))
        };
        let stays = |url: &RedactedUrl| is_own(url) && !is_added(url);
        let named = || current.iter().flat_map(ProxyList::urls);
        let own: Vec<RedactedUrl> = named().filter(|url| stays(url)).cloned().collect();
        let mut advice = Advice {
            value: None,
            blocked: None,
            fix: None,
            shell: None,
            reasons: Vec::new(),
            warnings: self.warnings(surroundings, current.as_ref(), &own),
        };
        let has_public = named().any(|url| !stays(url));
        let has_added = self
            .mirrors
            .iter()
            .any(|mirror| mirror.candidate.from == Provenance::Added);
        if !own.is_empty() && !has_public && !has_added {
            advice.blocked = Some(Blocked::OwnOnly);
            return advice;
        }
        let chosen = self.choose(&own);
        let Some(best) = chosen.first() else {
            advice.blocked = Some(Blocked::NoMirror);
            return advice;
        };
        let tail = tail(current.as_ref());
        if tail == Tail::Nothing {
            advice.warnings.push(Remark::new(Kind::NoDirect));
        }
        let has_lonely_flaw = chosen.len() == 1 && failing(best) > 0;
        let value = join(&own, &chosen, tail, has_lonely_flaw);
        advice.reasons = reasons(settings, &own, &chosen, tail, has_lonely_flaw);
        let is_same = current
            .as_ref()
            .is_some_and(|current| same_list(current, &value));
        advice.value = Some(redact_text(&value));
        if is_same {
            advice.blocked = Some(Blocked::AlreadySo);
            return advice;
        }
        if redact_text(&value) != value {
            advice.warnings.push(Remark::new(Kind::HasPassword));
        }
        let mut previous = (setting.origin.clone(), Some(setting.value.clone()));
        if let Origin::Environment { .. } = &setting.origin {
            advice.warnings.push(
                Remark::new(Kind::EnvironmentWins).with("origin", setting.origin.to_string()),
            );
            let change = Change::Variable {
                name: "GOPROXY".to_owned(),
                value: Some(value.clone()),
                previous: Some(setting.value.clone()),
            };
            advice.shell = Some(Fix::new(change, Scope::Shell, Risk::None));
            let shadowed = setting
                .shadowed
                .iter()
                .find(|one| matches!(one.origin, Origin::UserFile { .. }));
            previous = shadowed.map_or((Origin::Default, None), |one| {
                (one.origin.clone(), Some(one.value.clone()))
            });
        }
        let change = Change::GoEnv {
            name: "GOPROXY".to_owned(),
            value: Some(value),
            previous: previous
                .1
                .filter(|_| matches!(previous.0, Origin::UserFile { .. })),
        };
        advice.fix = Some(Fix::new(change, Scope::User, Risk::Low));
        advice
    }

    /// The best mirror, and another one to fall back on: not on the same host, and not known to fail.
    fn choose(&self, own: &[RedactedUrl]) -> Vec<&Mirror> {
        let ranked = self
            .mirrors
            .iter()
            .filter(|mirror| matches!(mirror.standing, Standing::Ranked(_)));
        let ranked = ranked.filter(|mirror| {
            let is_kept = own
                .iter()
                .any(|url| same(url.as_url(), mirror.candidate.url.as_url()));
            let is_confirmed = mirror
                .candidate
                .listed
                .is_none_or(|listed| listed.basis == Basis::Operator);
            !is_kept && (is_confirmed || mirror.candidate.from != Provenance::Catalogue)
        });
        let ranked: Vec<&Mirror> = ranked.collect();
        let Some(best) = ranked.first().copied() else {
            return Vec::new();
        };
        let address = |mirror: &Mirror| {
            let url = mirror.candidate.url.as_url();
            (
                url.host_str().map(str::to_owned),
                url.port_or_known_default(),
            )
        };
        let second = ranked.iter().skip(1).copied().find(|mirror| {
            address(mirror) != address(best) && failing(mirror) <= 1 && mirror.lacking.is_empty()
        });
        std::iter::once(best).chain(second).collect()
    }

    fn warnings(
        &self,
        surroundings: &Surroundings<'_>,
        current: Option<&ProxyList>,
        own: &[RedactedUrl],
    ) -> Vec<Remark> {
        let settings = surroundings.settings;
        let mut warnings = Vec::new();
        if settings.value(Key::GOSUMDB) == "off" {
            warnings.push(Remark::new(Kind::SumdbOff));
        }
        for (key, name) in [(Key::GONOSUMDB, "GONOSUMDB"), (Key::GOPRIVATE, "GOPRIVATE")] {
            let is_all = Patterns::parse(settings.value(key))
                .globs()
                .any(|glob| glob == "*");
            if is_all
                && matches!(
                    settings.get(key).origin,
                    Origin::Environment { .. } | Origin::UserFile { .. }
                )
            {
                warnings.push(Remark::new(Kind::SumdbSkipped).with("setting", name));
            }
        }
        if current
            .and_then(|list| list.entries.first())
            .is_some_and(|entry| entry.target == Target::Off)
        {
            warnings.push(Remark::new(Kind::WasOff));
        }
        for mirror in &self.mirrors {
            let failure = mirror.failures().first();
            if let Some(failure) =
                failure.filter(|_| !mirror.is_up() && own.contains(&mirror.candidate.url))
            {
                let remark = Remark::new(Kind::OwnDown).with("entry", mirror.candidate.shown());
                warnings.push(remark.with("label", failure.label.as_str()));
            }
        }
        let has_public_behind = |at: usize| {
            let behind = current
                .iter()
                .flat_map(|list| list.entries.iter())
                .skip(at + 1);
            behind
                .into_iter()
                .any(|entry| matches!(&entry.target, Target::Url(url) if !is_own(url)))
        };
        for (at, entry) in current
            .iter()
            .flat_map(|list| list.entries.iter())
            .enumerate()
        {
            if let Target::Url(url) = &entry.target
                && is_own(url)
                && entry.fallback == Fallback::OnAny
                && has_public_behind(at)
            {
                warnings.push(Remark::new(Kind::BarBehindOwn).with("entry", url.to_string()));
            }
        }
        if !own.is_empty() && Patterns::parse(settings.value(Key::GONOPROXY)).is_empty() {
            warnings.push(Remark::new(Kind::NamesMayLeave));
        }
        let ends_direct = tail(current) == Tail::Direct;
        if ends_direct && surroundings.environment.look_path("git").is_none() {
            warnings.push(Remark::new(Kind::DirectNeedsGit));
        }
        warnings
    }
}

/// How the list ends now: that is the user's own choice.
fn tail(current: Option<&ProxyList>) -> Tail {
    let Some(current) = current else {
        return Tail::Direct;
    };
    match current.entries.as_slice() {
        // Nothing was to be downloaded at all, which is no choice of an end.
        [only] if only.target == Target::Off => Tail::Direct,
        entries => match entries.last().map(|entry| &entry.target) {
            Some(Target::Url(_)) => Tail::Nothing,
            Some(Target::Off) => Tail::Off,
            Some(Target::Direct) | None => Tail::Direct,
        },
    }
}

fn join(own: &[RedactedUrl], chosen: &[&Mirror], tail: Tail, bar_before_tail: bool) -> String {
    let mut value = String::new();
    for url in own {
        let url = url.as_url();
        value.push_str(if url.path() == "/" {
            url.as_str().trim_end_matches('/')
        } else {
            url.as_str()
        });
        value.push(',');
    }
    let mirrors: Vec<String> = chosen
        .iter()
        .map(|mirror| mirror.candidate.entry())
        .collect();
    value.push_str(&mirrors.join("|"));
    let word = match tail {
        Tail::Direct => "direct",
        Tail::Off => "off",
        Tail::Nothing => return value,
    };
    value.push(if bar_before_tail && tail == Tail::Direct {
        '|'
    } else {
        ','
    });
    value.push_str(word);
    value
}

fn reasons(
    settings: &GoEnv,
    own: &[RedactedUrl],
    chosen: &[&Mirror],
    tail: Tail,
    bar_before_tail: bool,
) -> Vec<Remark> {
    let mut reasons = Vec::new();
    if !own.is_empty() {
        reasons.push(Remark::new(Kind::CommaOwn));
    }
    reasons.push(Remark::new(if chosen.len() > 1 {
        Kind::BarMirrors
    } else {
        Kind::NoSecond
    }));
    if tail == Tail::Direct {
        reasons.push(Remark::new(if bar_before_tail {
            Kind::BarDirect
        } else {
            Kind::CommaDirect
        }));
        reasons.push(Remark::new(Kind::WithDirect));
    }
    let globs = settings.value(Key::GOPRIVATE);
    if !globs.is_empty() {
        reasons.push(Remark::new(Kind::PrivateKept).with("globs", globs));
    }
    reasons
}

/// Whether a value says what a list says, slashes at the ends of URLs aside.
fn same_list(current: &ProxyList, value: &str) -> bool {
    let Ok(value) = ProxyList::parse(value) else {
        return false;
    };
    let target = |target: &Target| match target {
        Target::Url(url) => url.as_url().as_str().trim_end_matches('/').to_owned(),
        Target::Direct => "direct".to_owned(),
        Target::Off => "off".to_owned(),
    };
    let shape = |list: &ProxyList| -> Vec<(String, Fallback)> {
        list.entries
            .iter()
            .map(|entry| (target(&entry.target), entry.fallback))
            .collect()
    };
    shape(current) == shape(&value)
}
