//! What goes wrong, one scenario after the other.

use std::fs;
use std::thread;
use std::time::Duration;

use anyhow::Result;

use super::build::download;
use super::crowd;
use super::dns::{Resolver, Says};
use super::hour;
use super::isolation::{Loss, Need, OtherResolver, SmallDisk};
use super::kill;
use super::measure::Build;
use super::mirror::{BlackHole, Mirror, authority_file};
use super::report::Shown;
use super::rig::{Comparison, Rig, Way, go, row};
use super::soak;
use super::trouble::Order;
use super::upstream::Flaw;

/// One story of failure.
pub(super) struct Scenario {
    pub(super) name: &'static str,
    pub(super) title: &'static str,
    pub(super) story: &'static str,
    pub(super) needs: &'static [Need],
    pub(super) run: fn(&Rig) -> Result<Shown>,
}

pub(super) const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "calm",
        title: "Nothing wrong",
        story: "Two mirrors, both well.",
        needs: &[],
        run: calm,
    },
    Scenario {
        name: "delay",
        title: "150 ms delay",
        story: "Both mirrors take 150 ms for each request.",
        needs: &[],
        run: delay,
    },
    Scenario {
        name: "loss",
        title: "30 % loss",
        story: "Of the packets to and from both mirrors, 30 of a hundred are lost (nftables, in a network namespace).",
        needs: &[Need::Loss],
        run: loss,
    },
    Scenario {
        name: "recovery",
        title: "A cut in the middle, then recovery",
        story: "Two seconds after the build began both mirrors are gone, with every connection; three seconds later they \
                are back.",
        needs: &[],
        run: recovery,
    },
    Scenario {
        name: "hour",
        title: "Recovery after an hour of outage",
        story: "Both mirrors are gone for an hour, in which a build is tried every five minutes; the build that counts begins \
                when they are back. The clock is simulated: the hour lasts a minute, and what modkeep does by the clock is done \
                sixty times as fast. Straight, nobody remembers an outage, and it is left out.",
        needs: &[],
        run: hour::run,
    },
    Scenario {
        name: "mix",
        title: "8 % of answers fail",
        story: "Two mirrors; 8 of 100 answers of each fail in one of nineteen ways: 403, 429, 500, 502, 503, 504, a \
                login page, bytes that are no HTTP, connections closed, reset, hanging, stalled, bodies cut, torn, too \
                long, too short, inverted, dripping.",
        needs: &[],
        run: mix,
    },
    Scenario {
        name: "mix-small",
        title: "8 % of answers fail, many small builds",
        story: "As before, with projects of 10 to 40 modules.",
        needs: &[],
        run: mix_small,
    },
    Scenario {
        name: "dead-mirror",
        title: "One of three mirrors dead",
        story: "The first mirror is a black hole (no packet comes back), or refuses connections; the other two are well.",
        needs: &[],
        run: dead_mirror,
    },
    Scenario {
        name: "slow-primary",
        title: "Primary slow but alive",
        story: "The first mirror takes 2 s for each request, or sends 500 bytes a second; the second is well.",
        needs: &[],
        run: slow_primary,
    },
    Scenario {
        name: "flapping",
        title: "Flapping",
        story: "The first mirror is there for 0.7 s and gone for 0.7 s, in turns; the second is well.",
        needs: &[],
        run: flapping,
    },
    Scenario {
        name: "tls",
        title: "TLS faults",
        story: "The first mirror has a certificate that is no good; the second is well.",
        needs: &[],
        run: tls,
    },
    Scenario {
        name: "dns",
        title: "DNS faults",
        story: "The name of the first mirror cannot be resolved, or leads astray; the second is well.",
        needs: &[Need::Resolver],
        run: dns,
    },
    Scenario {
        name: "dead-warm",
        title: "Everything dead, warm cache",
        story: "modkeep has stored what the project needs; then both mirrors and the checksum database are gone.",
        needs: &[],
        run: dead_warm,
    },
    Scenario {
        name: "dead-cold",
        title: "Everything dead, cold cache",
        story: "Both mirrors refuse connections from the start. Nobody can build; what counts is how soon that is said, \
                and how clearly.",
        needs: &[],
        run: dead_cold,
    },
    Scenario {
        name: "sumdb-down",
        title: "Checksum database down",
        story: "The project has no `go.sum`, so that `go` asks the checksum database for everything; it is out of reach. \
                modkeep has stored the project when it was there.",
        needs: &[],
        run: sumdb_down,
    },
    Scenario {
        name: "disk-full",
        title: "Disk full in the middle",
        story: "modkeep stores on a disk that has room for a part of the project only.",
        needs: &[Need::SmallDisk],
        run: disk_full,
    },
    Scenario {
        name: "kill",
        title: "kill -9 in the middle",
        story: "modkeep is killed while the build runs, and started again at once on the same store; with a socket of its \
                own, and with one that its service manager holds meanwhile. What was under way is lost: a client that asks \
                once more gets it, as `go` does when `GOPROXY` names the server twice.",
        needs: &[],
        run: kill::run,
    },
    Scenario {
        name: "crowd",
        title: "500 clients at once at a cold cache",
        story: "Every client asks for every file of a project at the same time, on a connection of its own.",
        needs: &[],
        run: crowd::run,
    },
    Scenario {
        name: "soak",
        title: "A day of load and faults",
        story: "Does memory grow, do descriptors leak? Everything that the server does by the clock happens as much faster as \
                the day is shorter.",
        needs: &[],
        run: soak::run,
    },
];

pub(super) fn names() -> Vec<&'static str> {
    SCENARIOS.iter().map(|scenario| scenario.name).collect()
}

/// The rows of one comparison after the other.
fn rows(rig: &Rig, comparisons: &[Comparison<'_>]) -> Result<Shown> {
    let mut shown = Shown::default();
    for comparison in comparisons {
        shown.rows.extend(rig.compare(comparison)?);
    }
    Ok(shown)
}

fn calm(rig: &Rig) -> Result<Shown> {
    let (a, b) = (rig.mirror()?, rig.mirror()?);
    rows(rig, &[Comparison::new(rig, "calm", &[a.url(), b.url()])])
}

fn delay(rig: &Rig) -> Result<Shown> {
    let (a, b) = (rig.mirror()?, rig.mirror()?);
    for mirror in [&a, &b] {
        mirror.order(Order::Delay(150))?;
    }
    let comparison = Comparison {
        builds: [1; 3],
        ..Comparison::new(rig, "150 ms", &[a.url(), b.url()])
    };
    rows(rig, &[comparison])
}

fn loss(rig: &Rig) -> Result<Shown> {
    let (a, b) = (rig.mirror()?, rig.mirror()?);
    let _loss = Loss::of(30, &[a.port()?, b.port()?])?;
    let comparison = Comparison {
        builds: [if rig.quick { 1 } else { 2 }, 1, 1],
        limit: Duration::from_mins(5),
        attempts: 3,
        ..Comparison::new(rig, "30 % loss", &[a.url(), b.url()])
    };
    rows(rig, &[comparison])
}

fn recovery(rig: &Rig) -> Result<Shown> {
    let (a, b) = (rig.mirror()?, rig.mirror()?);
    thread::scope(|scope| {
        let cut = |_| {
            for mirror in [&a, &b] {
                mirror.order(Order::Up)?;
            }
            scope.spawn(|| {
                let pauses = [(2000, Order::Down), (3000, Order::Up)];
                for (pause, order) in pauses {
                    thread::sleep(Duration::from_millis(pause));
                    for mirror in [&a, &b] {
                        mirror.order(order)?;
                    }
                }
                anyhow::Ok(())
            });
            Ok(())
        };
        let comparison = Comparison {
            before: &cut,
            ..Comparison::new(rig, "3 s cut", &[a.url(), b.url()])
        };
        rows(rig, &[comparison])
    })
}

/// Lets a share of the answers of both mirrors fail, in another way before each build.
fn spoil(mirrors: [&Mirror; 2], number: usize) -> Result<()> {
    for (place, mirror) in (1..).zip(mirrors) {
        mirror.order(Order::Heal)?;
        mirror.order(Order::Mix {
            share: 0.08,
            seed: 1000 * place + number as u64,
        })?;
    }
    Ok(())
}

fn mix(rig: &Rig) -> Result<Shown> {
    let (a, b) = (rig.mirror()?, rig.mirror()?);
    let before = |number| spoil([&a, &b], number);
    let comparison = Comparison {
        builds: if rig.quick { [1; 3] } else { [10, 2, 2] },
        before: &before,
        ..Comparison::new(rig, "8 %", &[a.url(), b.url()])
    };
    rows(rig, &[comparison])
}

fn mix_small(rig: &Rig) -> Result<Shown> {
    let (a, b) = (rig.mirror()?, rig.mirror()?);
    let heal = |_| {
        for mirror in [&a, &b] {
            mirror.order(Order::Heal)?;
        }
        Ok(())
    };
    let spoilt = |number| spoil([&a, &b], number);
    let mut shown = Shown::default();
    let builds = if rig.quick { [3, 1, 1] } else { [300, 20, 20] };
    for (case, before, builds) in [
        (
            "none",
            &heal as super::rig::Before<'_>,
            builds.map(|builds| builds.min(30)),
        ),
        ("8 %", &spoilt, builds),
    ] {
        let comparison = Comparison {
            before,
            attempts: 20,
            ..Comparison::new(rig, case, &[a.url(), b.url()])
        };
        for (way, builds) in Way::ALL.into_iter().zip(builds) {
            let builds = (0..builds)
                .map(|number| {
                    let project = rig.small_project(1 + number % rig.small_projects());
                    rig.build(&comparison, way, number, project)
                })
                .collect::<Result<Vec<Build>>>()?;
            shown.rows.push(row(case, way, &builds));
        }
    }
    Ok(shown)
}

fn dead_mirror(rig: &Rig) -> Result<Shown> {
    let (b, c) = (rig.mirror()?, rig.mirror()?);
    let hole = BlackHole::new()?;
    let refusing = rig.mirror()?;
    refusing.order(Order::Down)?;
    let hole_url = hole.url();
    rows(
        rig,
        &[
            Comparison {
                builds: [if rig.quick { 1 } else { 3 }, 1, 1],
                limit: Duration::from_secs(if rig.quick { 40 } else { 90 }),
                attempts: 1,
                ..Comparison::new(rig, "black hole", &[&hole_url, b.url(), c.url()])
            },
            Comparison {
                attempts: 2,
                ..Comparison::new(rig, "refused", &[refusing.url(), b.url(), c.url()])
            },
        ],
    )
}

fn slow_primary(rig: &Rig) -> Result<Shown> {
    let (slow, drip, b) = (rig.mirror()?, rig.mirror()?, rig.mirror()?);
    slow.order(Order::Delay(2000))?;
    drip.order(Order::Drip {
        bytes: 50,
        every: 100,
    })?;
    let case = |name, mirror: &Mirror| Comparison {
        builds: [if rig.quick { 1 } else { 2 }, 1, 1],
        attempts: 1,
        ..Comparison::new(rig, name, &[mirror.url(), b.url()])
    };
    rows(rig, &[case("2 s", &slow), case("500 bytes/s", &drip)])
}

fn flapping(rig: &Rig) -> Result<Shown> {
    let (a, b) = (rig.mirror()?, rig.mirror()?);
    a.order(Order::Flap { up: 700, down: 700 })?;
    rows(
        rig,
        &[Comparison::new(rig, "flapping", &[a.url(), b.url()])],
    )
}

fn tls(rig: &Rig) -> Result<Shown> {
    let b = rig.mirror()?;
    let mut shown = Shown::default();
    for (case, flaw) in [
        ("expired", Flaw::Expired),
        ("wrong name", Flaw::WrongName),
        ("unknown CA", Flaw::UnknownCa),
    ] {
        let authority = authority_file(rig.folder.path(), flaw);
        let a = Mirror::with_bad_certificate(flaw, &authority)?;
        let comparison = Comparison {
            builds: [1; 3],
            attempts: 2,
            authority: Some(authority),
            ..Comparison::new(rig, case, &[a.url(), b.url()])
        };
        shown.rows.extend(rig.compare(&comparison)?);
    }
    Ok(shown)
}

fn dns(rig: &Rig) -> Result<Shown> {
    let (a, b) = (rig.mirror()?, rig.mirror()?);
    let named = format!("http://mirror.chaos.test:{}", a.port()?);
    let _other = OtherResolver::on_loopback(rig.folder.path())?;
    let mut shown = Shown::default();
    for says in Says::ALL {
        let _resolver = Resolver::start(says)?;
        let comparison = Comparison {
            builds: [1; 3],
            attempts: 1,
            limit: Duration::from_secs(if rig.quick { 40 } else { 90 }),
            ..Comparison::new(rig, says.name(), &[&named, b.url()])
        };
        shown.rows.extend(rig.compare(&comparison)?);
    }
    Ok(shown)
}

fn dead_warm(rig: &Rig) -> Result<Shown> {
    let (a, b) = (rig.mirror()?, rig.mirror()?);
    let chain = [a.url(), b.url()];
    let well = |_| Ok(());
    let cut = |_| {
        for mirror in [&a, &b] {
            mirror.order(Order::Down)?;
        }
        rig.database.stop()
    };
    let mut shown = Shown::default();
    for (case, before) in [
        ("all is well", &well as super::rig::Before<'_>),
        ("all dead", &cut),
    ] {
        let comparison = Comparison {
            warm: true,
            attempts: 2,
            before,
            ..Comparison::new(rig, case, &chain)
        };
        for (way, count) in Way::ALL.into_iter().zip(comparison.builds) {
            let mut builds = Vec::new();
            for number in 0..count {
                for mirror in [&a, &b] {
                    mirror.order(Order::Up)?;
                }
                rig.database.start()?;
                builds.push(rig.build(&comparison, way, number, rig.project())?);
            }
            shown.rows.push(row(case, way, &builds));
        }
    }
    rig.database.start()?;
    Ok(shown)
}

fn dead_cold(rig: &Rig) -> Result<Shown> {
    let (a, b) = (rig.mirror()?, rig.mirror()?);
    for mirror in [&a, &b] {
        mirror.order(Order::Down)?;
    }
    let comparison = Comparison {
        builds: [1; 3],
        attempts: 1,
        ..Comparison::new(rig, "cold, all dead", &[a.url(), b.url()])
    };
    let mut shown = rows(rig, &[comparison])?;
    for row in &shown.rows {
        let words = row.figures.last_words.trim();
        shown.notes.push(format!(
            "{}, the last line of `go`:\n\n```\n{words}\n```",
            row.way.name()
        ));
    }
    Ok(shown)
}

fn sumdb_down(rig: &Rig) -> Result<Shown> {
    let (a, b) = (rig.mirror()?, rig.mirror()?);
    let chain = [a.url(), b.url()];
    let mut shown = Shown::default();
    for way in Way::ALL {
        rig.database.start()?;
        let before = |_| rig.database.stop();
        let comparison = Comparison {
            warm: true,
            go_sum: false,
            attempts: 1,
            before: &before,
            ..Comparison::new(rig, "down", &chain)
        };
        let build = rig.build(&comparison, way, 0, rig.project())?;
        shown.rows.push(row("down", way, &[build]));
    }
    rig.database.start()?;
    Ok(shown)
}

fn disk_full(rig: &Rig) -> Result<Shown> {
    let (a, b) = (rig.mirror()?, rig.mirror()?);
    let chain = [a.url().to_owned(), b.url().to_owned()];
    let data = rig.folder.path().join("small-disk");
    let megabytes = if rig.quick { 1 } else { 4 };
    let _disk = SmallDisk::on(&data, megabytes << 20)?;
    let modkeep = rig
        .modkeep(&chain, &data)
        .try_start()
        .map_err(|exit| anyhow::anyhow!("modkeep did not start: {}", exit.stderr))?;
    let mut builds = Vec::new();
    for _ in 0..3 {
        let folder = rig.data()?;
        for name in ["go.mod", "go.sum", "main.go"] {
            fs::copy(rig.project().join(name), folder.path().join(name))?;
        }
        let attempt = download(&go(modkeep.url()), folder.path(), Duration::from_secs(150))?;
        builds.push(Build {
            attempts: vec![attempt],
        });
    }
    let ready = testkit::http::get(&format!("{}/readyz", modkeep.url()))?;
    Ok(Shown {
        rows: vec![row(&format!("{megabytes} MB"), Way::Through, &builds)],
        notes: vec![format!(
            "`/readyz` then says:\n\n```\n{}\n```",
            ready
                .text()
                .trim()
                .replace(&*data.to_string_lossy(), "<data>")
        )],
    })
}
