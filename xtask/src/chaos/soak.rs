//! A day of mixed load and faults in some minutes: does memory grow, do descriptors leak?
//!
//! Whatever a server does by the clock, it does as much faster as the day is shorter: what is believed for a minute is
//! believed for a part of a second, and so on. Its clients are the same few as ever, and ask as fast as they get answers.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use testkit::http::{self, Connection};
use testkit::{Modkeep, Module};

use super::build::download;
use super::mirror::Mirror;
use super::report::Shown;
use super::rig::{Rig, go};
use super::trouble::Order;

const DAY: Duration = Duration::from_hours(24);
const CLIENTS: usize = 8;
/// Memory for small answers: small, so that it is full long before the first sample that counts.
const HOT_BYTES: &str = "2MiB";
/// Samples before that are of a server that is still filling its caches.
const WARM_UP: f64 = 0.25;

/// What the process holds at one moment.
#[derive(Clone, Copy, Debug)]
struct Sample {
    /// The part of the day that is over.
    at: f64,
    resident: u64,
    descriptors: usize,
    threads: usize,
}

/// Something about a process as a number.
type Figure = fn(&Sample) -> f64;

/// What clients were told, by status; 0: the connection ended first.
type Answers = Mutex<BTreeMap<u16, usize>>;

struct Soak<'a> {
    rig: &'a Rig,
    modkeep: &'a Modkeep,
    /// Files that the store has soon.
    known: Vec<String>,
    /// Files that nobody has asked for yet.
    fresh: Vec<String>,
    taken: AtomicUsize,
    began: Instant,
    time: Duration,
    is_over: AtomicBool,
    answers: Answers,
    builds: [AtomicUsize; 2],
}

pub(super) fn run(rig: &Rig) -> Result<Shown> {
    let time = rig.soak;
    let [a, b] = [rig.mirror()?, rig.mirror()?];
    let count = if rig.quick { 200 } else { 3000 };
    let mut fresh = Vec::new();
    for number in 0..count {
        let path = format!("example.com/rare{:02}/m{number:04}", number % 50);
        let module = Module::new(&path, "v1.0.0").file("rare.go", "package rare\n");
        rig.publish(&module)?;
        fresh.extend(["info", "mod", "zip"].map(|kind| format!("/{path}/@v/v1.0.0.{kind}")));
    }
    let known = (0..=rig.small_projects())
        .map(|number| rig.files_of(number))
        .collect::<Result<Vec<_>>>()?
        .concat();
    let data = rig.data()?;
    let chain = [a.url().to_owned(), b.url().to_owned()];
    let mut command = rig.modkeep(&chain, data.path());
    for (name, value) in hurried(time) {
        command = command.env(name, value);
    }
    let modkeep = command
        .try_start()
        .map_err(|exit| anyhow::anyhow!("modkeep did not start: {}", exit.stderr))?;
    let soak = Soak {
        rig,
        modkeep: &modkeep,
        known,
        fresh,
        taken: AtomicUsize::new(0),
        began: Instant::now(),
        time,
        is_over: AtomicBool::new(false),
        answers: Answers::default(),
        builds: Default::default(),
    };
    let samples = soak.run([&a, &b])?;
    Ok(Shown {
        rows: Vec::new(),
        notes: soak.notes(&samples)?,
    })
}

/// The settings of a server whose day lasts so long.
pub(super) fn hurried(day: Duration) -> Vec<(&'static str, String)> {
    let shorter = |usual: Duration| {
        let part = usual.mul_f64(day.as_secs_f64() / DAY.as_secs_f64());
        format!("{}ms", part.as_millis().max(1))
    };
    vec![
        ("MODKEEP_CACHE_TTL", shorter(Duration::from_mins(1))),
        ("MODKEEP_CACHE_ABSENT_TTL", shorter(Duration::from_secs(30))),
        ("MODKEEP_CACHE_MEMORY", HOT_BYTES.to_owned()),
        (
            "MODKEEP_UPSTREAMS_PROBE_INTERVAL",
            shorter(Duration::from_secs(5)),
        ),
        // More often than once in a day, or there would be none.
        ("MODKEEP_SCRUB_INTERVAL", shorter(Duration::from_hours(1))),
        ("MODKEEP_SCRUB_RATE", "1GiB".to_owned()),
        // Outages are as much shorter, but people's patience is not.
        ("MODKEEP_UPSTREAMS_OUTAGE_WAIT", "1s".to_owned()),
        ("MODKEEP_UPSTREAMS_DEADLINE", "5s".to_owned()),
    ]
}

impl Soak<'_> {
    fn run(&self, mirrors: [&Mirror; 2]) -> Result<Vec<Sample>> {
        thread::scope(|scope| {
            for number in 0..CLIENTS {
                scope.spawn(move || self.client(number as u64));
            }
            scope.spawn(|| self.builder());
            let faults = scope.spawn(move || self.trouble(mirrors));
            let samples = self.watch();
            self.is_over.store(true, Ordering::Relaxed);
            faults
                .join()
                .map_err(|_| anyhow::anyhow!("causing trouble panicked"))??;
            samples
        })
    }

    fn is_over(&self) -> bool {
        self.is_over.load(Ordering::Relaxed)
    }

    /// Looks at the process from time to time, until the day is over.
    fn watch(&self) -> Result<Vec<Sample>> {
        let pause = (self.time / 400).max(Duration::from_millis(50));
        let mut samples = Vec::new();
        loop {
            let at = self.began.elapsed().as_secs_f64() / self.time.as_secs_f64();
            if at >= 1.0 {
                return Ok(samples);
            }
            let process = format!("/proc/{}", self.modkeep.pid());
            samples.push(Sample {
                at,
                resident: self.modkeep.memory().resident,
                descriptors: entries(&format!("{process}/fd"))?,
                threads: entries(&format!("{process}/task"))?,
            });
            if samples.len() % 20 == 0 {
                eprintln!("{:.0} % of the day: {:?}", at * 100.0, samples.last());
            }
            thread::sleep(pause);
        }
    }

    /// One fault after the other, each for about half an hour of the day, with as much time between them.
    fn trouble(&self, [a, b]: [&Mirror; 2]) -> Result<()> {
        let kinds: [&[(&Mirror, Order)]; 8] = [
            &[
                (
                    a,
                    Order::Mix {
                        share: 0.08,
                        seed: 1,
                    },
                ),
                (
                    b,
                    Order::Mix {
                        share: 0.08,
                        seed: 2,
                    },
                ),
            ],
            &[(a, Order::Down)],
            &[(a, Order::Flap { up: 150, down: 150 })],
            &[(a, Order::Delay(400)), (b, Order::Delay(300))],
            &[(a, Order::Down), (b, Order::Down)],
            &[(
                a,
                Order::Drip {
                    bytes: 50,
                    every: 20,
                },
            )],
            &[
                (
                    a,
                    Order::Mix {
                        share: 0.5,
                        seed: 3,
                    },
                ),
                (b, Order::Delay(100)),
            ],
            &[(b, Order::Down)],
        ];
        let pause = self.time / 48;
        for kind in kinds.iter().cycle() {
            for (mirror, order) in *kind {
                mirror.order(*order)?;
            }
            self.sleep(pause);
            for mirror in [a, b] {
                mirror.order(Order::Heal)?;
                mirror.order(Order::Delay(super::rig::ROUND_TRIP))?;
                // What it remembers of requests is of no use here.
                mirror.order(Order::Forget)?;
            }
            // Somebody changes the configuration, too.
            self.modkeep.reload();
            self.sleep(pause);
            if self.is_over() {
                return Ok(());
            }
        }
        Ok(())
    }

    fn sleep(&self, pause: Duration) {
        let until = Instant::now() + pause;
        while !self.is_over() && Instant::now() < until {
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// The real `go`, again and again from an empty cache.
    fn builder(&self) {
        let mut number = 0;
        while !self.is_over() {
            number += 1;
            let built = self.rig.data().and_then(|folder| {
                let project = self.rig.small_project(number % 3 + 1);
                for name in ["go.mod", "go.sum", "main.go"] {
                    fs::copy(project.join(name), folder.path().join(name))?;
                }
                let client = go(self.modkeep.url());
                download(&client, folder.path(), Duration::from_mins(1))
            });
            let success = built.is_ok_and(|attempt| attempt.success);
            self.builds[usize::from(success)].fetch_add(1, Ordering::Relaxed);
        }
    }

    fn client(&self, seed: u64) {
        let mut random = fastrand::Rng::with_seed(seed);
        while !self.is_over() {
            // A connection lasts for some requests, and ends in the middle of one now and then.
            let Ok(mut connection) = Connection::open(self.modkeep.authority()) else {
                self.note(0);
                continue;
            };
            for _ in 0..random.usize(1..60) {
                let path = self.path(&mut random);
                let sent = connection.request("GET", self.modkeep.authority(), &path, &[]);
                if random.u8(..100) == 0 {
                    break;
                }
                let Ok(reply) = sent.and_then(|()| connection.reply(false)) else {
                    self.note(0);
                    break;
                };
                self.note(reply.status);
                thread::sleep(Duration::from_millis(random.u64(0..5)));
                if self.is_over() {
                    break;
                }
            }
        }
    }

    /// What a client asks for: mostly what is stored, now and then something new, something that is not there, or what only
    /// operators want.
    fn path(&self, random: &mut fastrand::Rng) -> String {
        let known = &self.known[random.usize(..self.known.len())];
        let module = known.split("/@v/").next().unwrap_or_default();
        match random.u8(..100) {
            0..60 => known.clone(),
            60..70 => format!("{module}/@v/list"),
            70..76 => format!("{module}/@latest"),
            // What is not there is remembered for a while, up to a number: few names, so that all are known early.
            76..80 => format!("{module}/@v/v9.0.{}.info", random.u8(..4)),
            80..83 => format!("/nowhere.example/m{}/@v/list", random.u16(..2000)),
            83..85 => format!("/cached-only{known}"),
            85..86 => "/metrics".to_owned(),
            86..87 => "/readyz".to_owned(),
            87..88 => "/index?limit=100".to_owned(),
            88..90 => "/not%zz/a/path".to_owned(),
            _ => self.fresh_path().unwrap_or_else(|| known.clone()),
        }
    }

    /// The next file that nobody has asked for; they last until the end of the day.
    fn fresh_path(&self) -> Option<String> {
        let over = self.began.elapsed().as_secs_f64() / self.time.as_secs_f64();
        #[expect(
            clippy::cast_precision_loss,
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a part of a count"
        )]
        let due = (self.fresh.len() as f64 * over) as usize;
        let taken = self.taken.load(Ordering::Relaxed);
        if taken >= due {
            return None;
        }
        let number = self.taken.fetch_add(1, Ordering::Relaxed);
        self.fresh.get(number).cloned()
    }

    fn note(&self, status: u16) {
        if let Ok(mut answers) = self.answers.lock() {
            *answers.entry(status).or_default() += 1;
        }
    }

    fn notes(&self, samples: &[Sample]) -> Result<Vec<String>> {
        let counted: Vec<Sample> = samples
            .iter()
            .copied()
            .filter(|one| one.at >= WARM_UP)
            .collect();
        let figures: [(&str, Figure); 3] = [
            ("memory, MiB", |one| mebibytes(one.resident)),
            ("descriptors", |one| count(one.descriptors)),
            ("threads", |one| count(one.threads)),
        ];
        let mut table = format!(
            "| what | {} | slope per hour of the day |\n|---|---|---|---|---|---|\n",
            ["00:00–06:00", "06:00–12:00", "12:00–18:00", "18:00–24:00"].join(" | ")
        );
        for (name, figure) in figures {
            let quarter = |number: f64| {
                let part: Vec<f64> = samples
                    .iter()
                    .filter(|one| (number..number + 0.25).contains(&one.at))
                    .map(figure)
                    .collect();
                let most = part.iter().copied().fold(0.0, f64::max);
                format!("{:.1} (most {most:.1})", mean(&part))
            };
            let points: Vec<(f64, f64)> = counted
                .iter()
                .map(|one| (one.at * 24.0, figure(one)))
                .collect();
            let quarters = [0.0, 0.25, 0.5, 0.75].map(quarter).join(" | ");
            let slope = slope(&points);
            let _a_string_takes_everything =
                writeln!(table, "| {name} | {quarters} | {slope:+.3} |");
        }
        let answers = self
            .answers
            .lock()
            .map_err(|_| anyhow::anyhow!("a client panicked"))?;
        let told: Vec<String> = answers
            .iter()
            .map(|(status, count)| match status {
                0 => format!("{count} ended connections"),
                status => format!("{count} × {status}"),
            })
            .collect();
        // What is left when everybody has gone.
        let rest = http::get(&format!("{}/readyz", self.modkeep.url()))?;
        let descriptors = entries(&format!("/proc/{}/fd", self.modkeep.pid()))?;
        Ok(vec![
            format!(
                "A day in {:.0} minutes: {CLIENTS} clients, and one `go mod download` after the other ({} succeeded, {} \
                 failed); every half hour of the day something else goes wrong, and half an hour later the configuration \
                 is read again. {} files were fetched for the first time, evenly over the day. Means over six hours, \
                 slopes from 06:00 on.",
                self.time.as_secs_f64() / 60.0,
                self.builds[1].load(Ordering::Relaxed),
                self.builds[0].load(Ordering::Relaxed),
                self.taken.load(Ordering::Relaxed),
            ),
            table.trim_end().to_owned(),
            format!(
                "Answers: {}. Afterwards `/readyz` answers {}, and {descriptors} descriptors are open.",
                told.join(", "),
                rest.status
            ),
        ])
    }
}

fn entries(folder: &str) -> Result<usize> {
    let entries = fs::read_dir(folder).with_context(|| format!("reading {folder}"))?;
    Ok(entries.count())
}

#[expect(clippy::cast_precision_loss, reason = "shown with one decimal place")]
fn mebibytes(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}

#[expect(clippy::cast_precision_loss, reason = "thousands at most")]
fn count(number: usize) -> f64 {
    number as f64
}

fn mean(values: &[f64]) -> f64 {
    if values.is_empty() {
        return 0.0;
    }
    values.iter().sum::<f64>() / count(values.len())
}

/// Of the straight line through these points with the least squares.
fn slope(points: &[(f64, f64)]) -> f64 {
    let of = |value: fn(&(f64, f64)) -> f64| mean(&points.iter().map(value).collect::<Vec<_>>());
    let (x, y) = (of(|point| point.0), of(|point| point.1));
    let (mut above, mut below) = (0.0, 0.0);
    for point in points {
        above += (point.0 - x) * (point.1 - y);
        below += (point.0 - x).powi(2);
    }
    if below == 0.0 { 0.0 } else { above / below }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_slope_is_that_of_the_line() {
        let line: Vec<(f64, f64)> = [0.0, 1.0, 2.0, 5.0].map(|x| (x, 3.0 + 0.5 * x)).into();
        assert!((slope(&line) - 0.5).abs() < 1e-9);
        assert!(slope(&[(1.0, 2.0)]).abs() < 1e-9 && slope(&[]).abs() < 1e-9);
    }

    #[test]
    fn a_shorter_day_has_shorter_minutes() {
        let settings = hurried(Duration::from_mins(24));
        assert!(settings.contains(&("MODKEEP_CACHE_TTL", "1000ms".to_owned())));
        assert!(settings.contains(&("MODKEEP_UPSTREAMS_PROBE_INTERVAL", "83ms".to_owned())));
    }
}
