//! The power fails: of what was written, only what was flushed to the disk is left.
//!
//! The store is on a file system of its own, made in a file. What the file holds at one moment is what a disk would hold
//! whose power fails at that moment: writes that only the system's memory has seen are not in it.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use testkit::{Modkeep, ModkeepCommand, Module, http};

use crate::crash::{assert_is_right, assert_records_are_complete, assert_serves};
use crate::scene::{BINARY, IMMUTABLE, Scene, files_below, isolated, unfinished};

/// Clients that fetch everything when it happens.
const CLIENTS: u64 = 6;
const ROUNDS: u64 = 4;
const SIZE: u64 = 128 << 20;
/// The options under which a file system loses most: names reach the disk without the bytes behind them, nothing is
/// flushed because of a rename, and nothing by itself for long.
const OPTIONS: &str = "loop,data=writeback,noauto_da_alloc,commit=300";

/// A file system in a file.
struct Disk {
    image: PathBuf,
    mounted: PathBuf,
}

impl Disk {
    /// A fresh one; `None` where this cannot be done.
    fn format(image: PathBuf) -> Option<Self> {
        let file = fs::File::create(&image).unwrap();
        file.set_len(SIZE).unwrap();
        drop(file);
        let formatted = run(Command::new("mkfs.ext4").args(["-q", "-F"]).arg(&image));
        formatted.then(|| Self::mount(image)).flatten()
    }

    fn mount(image: PathBuf) -> Option<Self> {
        let mounted = image.with_extension("mounted");
        fs::create_dir_all(&mounted).unwrap();
        let mut mount = Command::new("mount");
        let done = run(mount.args(["-o", OPTIONS]).arg(&image).arg(&mounted));
        done.then_some(Self { image, mounted })
    }

    fn data(&self) -> PathBuf {
        self.mounted.join("data")
    }

    /// The disk as it is when the power fails now. The process that writes to it stands still while it is copied, so that
    /// the copy is of one moment.
    fn cut(&self, modkeep: &Modkeep, name: &str) -> PathBuf {
        let pid = Pid::from_raw(i32::try_from(modkeep.pid()).unwrap()).unwrap();
        kill_process(pid, Signal::STOP).unwrap();
        let copy = self.image.with_file_name(name);
        loop {
            let before = fs::metadata(&self.image).unwrap().modified().unwrap();
            // What was on its way to the disk arrives, or the copy is made again.
            thread::sleep(Duration::from_millis(30));
            let mut copying = Command::new("cp");
            assert!(run(copying
                .arg("--sparse=always")
                .args([&self.image, &copy])));
            if fs::metadata(&self.image).unwrap().modified().unwrap() == before {
                return copy;
            }
        }
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        run(Command::new("umount").arg("--lazy").arg(&self.mounted));
    }
}

fn run(command: &mut Command) -> bool {
    command.output().is_ok_and(|output| output.status.success())
}

fn start(scene: &Scene, disk: &Disk) -> Modkeep {
    isolated(ModkeepCommand::new(BINARY))
        .data(disk.data())
        .upstream(&scene.upstream.url())
        .start()
}

/// Waits until everything that was asked for is stored.
fn settle(modkeep: &Modkeep) {
    let until = Instant::now() + Duration::from_mins(1);
    loop {
        let metrics = http::get(&format!("{}/metrics", modkeep.url())).unwrap();
        if metrics.text().contains("\nmodkeep_fetches_in_flight 0\n") {
            return;
        }
        assert!(Instant::now() < until, "a fetch goes on and on");
        thread::sleep(Duration::from_millis(5));
    }
}

fn get(modkeep: &Modkeep, path: &str) {
    let reply = http::get(&format!("{}/{path}", modkeep.url())).unwrap();
    assert_eq!((reply.status, reply.complete), (200, true), "{path}");
}

/// Fetches files until the power fails at that moment. Returns the disk as it is then.
fn work_until_cut(
    disk: &Disk,
    modkeep: Modkeep,
    paths: &[String],
    moment: Duration,
    mut random: fastrand::Rng,
) -> PathBuf {
    let url = modkeep.url().to_owned();
    thread::scope(|scope| {
        for _ in 0..CLIENTS {
            let mut paths = paths.to_vec();
            random.shuffle(&mut paths);
            let url = url.as_str();
            scope.spawn(move || {
                for path in paths {
                    let Ok(reply) = http::get(&format!("{url}/{path}")) else {
                        break;
                    };
                    if !reply.complete {
                        break;
                    }
                }
            });
        }
        thread::sleep(moment);
        let copy = disk.cut(&modkeep, "cut");
        modkeep.kill();
        copy
    })
}

#[test]
fn after_a_power_cut_what_has_a_name_is_whole_and_what_was_stored_is_there() {
    let scene = Scene::with_modules(32, 60);
    for number in 0..4 {
        let path = format!("example.com/big{number}");
        let bytes = 1_500_000 + number * 111;
        scene.tree.add(&Module::big(&path, "v1.0.0", bytes));
    }
    let mut random = fastrand::Rng::with_seed(32);
    let mut interrupted = 0;
    for _ in 0..ROUNDS {
        let folder = tempfile::tempdir().unwrap();
        let Some(disk) = Disk::format(folder.path().join("disk")) else {
            testkit::skipped("power cuts (no right to mount an ext4 file system from a file)");
            return;
        };
        let mut paths = files_below(scene.tree.root(), &IMMUTABLE);
        random.shuffle(&mut paths);
        let (stored, others) = paths.split_at(paths.len() / 3);
        scene.upstream.set_delay(Duration::ZERO);
        scene.upstream.set_bandwidth(None);
        let modkeep = start(&scene, &disk);
        for path in stored {
            get(&modkeep, path);
        }
        settle(&modkeep);
        // What nobody has flushed must be lost, else this is no power cut.
        let unflushed = "unflushed";
        let bytes = vec![7; 100_000];
        fs::write(disk.mounted.join(unflushed), &bytes).unwrap();
        scene.upstream.set_delay(Duration::from_millis(2));
        scene.upstream.set_bandwidth(Some(20_000_000));
        let moment = Duration::from_millis(random.u64(5..900));
        let image = work_until_cut(&disk, modkeep, others, moment, random.fork());
        drop(disk);

        let disk = Disk::mount(image).unwrap();
        assert!(fs::read(disk.mounted.join(unflushed)).ok() != Some(bytes));
        let tree = disk.data().join("tree");
        let found = files_below(&tree, &IMMUTABLE);
        interrupted += u64::from(found.len() < paths.len());
        for path in &found {
            assert_is_right(&scene, path, &fs::read(tree.join(path)).unwrap());
        }
        for path in stored {
            assert!(found.contains(path), "{path} was stored, and is lost");
        }
        scene.upstream.set_delay(Duration::ZERO);
        scene.upstream.set_bandwidth(None);
        let unfinished = unfinished(&disk.data());
        let modkeep = start(&scene, &disk);
        assert!(unfinished.iter().all(|file| !file.exists()));
        assert_serves(&scene, &modkeep, &paths);
        settle(&modkeep);
        assert_eq!(modkeep.terminate().code, Some(0));
        assert_records_are_complete(&disk.data(), paths.len());
    }
    assert!(
        interrupted > ROUNDS / 2,
        "only {interrupted} of {ROUNDS} cuts hit work under way"
    );
}
