//! What the process may still ask of the system: memory, the time, and its standard streams (seccomp, on Linux).

/// Forbids every other system call from now on, to all threads, and for good: what is called nevertheless fails for want
/// of permission. Does nothing on systems that have no such filter.
///
/// # Errors
///
/// Why this kernel, or this machine, has no filter.
pub(crate) fn filter_system_calls() -> Result<(), String> {
    #[cfg(all(
        target_os = "linux",
        any(target_arch = "aarch64", target_arch = "x86_64")
    ))]
    return linux::filter().map_err(|error| error.to_string());
    #[cfg(all(
        target_os = "linux",
        not(any(target_arch = "aarch64", target_arch = "x86_64"))
    ))]
    return Err(format!("none is known for {}", std::env::consts::ARCH));
    #[cfg(not(target_os = "linux"))]
    Ok(())
}

#[cfg(all(
    target_os = "linux",
    any(target_arch = "aarch64", target_arch = "x86_64")
))]
mod linux {
    use std::collections::BTreeMap;

    use seccompiler::SeccompCmpArgLen::Dword;
    use seccompiler::SeccompCmpOp::Eq;
    use seccompiler::{
        BackendError, BpfProgram, Error, SeccompAction, SeccompCondition, SeccompFilter,
        SeccompRule, apply_filter_all_threads,
    };

    /// What the engine, the allocator, the end of a thread and that of the process need.
    const ALLOWED: [i64; 19] = [
        libc::SYS_brk,
        libc::SYS_clock_gettime,
        libc::SYS_exit,
        libc::SYS_exit_group,
        libc::SYS_futex,
        libc::SYS_getrandom,
        libc::SYS_gettimeofday,
        libc::SYS_madvise,
        libc::SYS_mmap,
        libc::SYS_mprotect,
        libc::SYS_mremap,
        libc::SYS_munmap,
        libc::SYS_restart_syscall,
        libc::SYS_rseq,
        libc::SYS_rt_sigprocmask,
        libc::SYS_rt_sigreturn,
        libc::SYS_sched_yield,
        libc::SYS_set_robust_list,
        libc::SYS_sigaltstack,
    ];

    pub(super) fn filter() -> Result<(), Error> {
        let mut rules: BTreeMap<i64, Vec<SeccompRule>> =
            ALLOWED.iter().map(|call| (*call, Vec::new())).collect();
        // Whatever else this process was given open is out of its reach.
        rules.insert(libc::SYS_read, vec![on(libc::STDIN_FILENO)?]);
        rules.insert(
            libc::SYS_write,
            vec![on(libc::STDOUT_FILENO)?, on(libc::STDERR_FILENO)?],
        );
        let filter = SeccompFilter::new(
            rules,
            SeccompAction::Errno(libc::EPERM.unsigned_abs()),
            SeccompAction::Allow,
            std::env::consts::ARCH.try_into()?,
        )?;
        apply_filter_all_threads(&BpfProgram::try_from(filter)?)
    }

    /// A call whose first argument is this descriptor.
    fn on(descriptor: i32) -> Result<SeccompRule, BackendError> {
        let descriptor = u64::from(descriptor.unsigned_abs());
        SeccompRule::new(vec![SeccompCondition::new(0, Dword, Eq, descriptor)?])
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::fs::{self, File};
    use std::io::{self, Read as _};
    use std::net::{TcpListener, TcpStream, UdpSocket};
    use std::os::unix::net::UnixStream;
    use std::path::PathBuf;
    use std::process::Command;
    use std::time::Duration;

    use rustix::io::Errno;
    use rustix::process::{Pid, getppid, test_kill_process};
    use url::Url;

    use super::filter_system_calls;
    use crate::engine::{World, run};

    /// They tell [`do_harm_as_a_child`] where to do it, and whom to call.
    const FOLDER: &str = "MODKEEP_TEST_FOLDER";
    const LISTENER: &str = "MODKEEP_TEST_LISTENER";

    /// What is within reach of a process that nothing holds.
    struct Reach {
        folder: PathBuf,
        open: File,
        listener: String,
        parent: Pid,
    }

    impl Reach {
        /// Every way to do harm with it, and what came of it.
        fn harm(&self) -> Vec<(&'static str, io::Result<()>)> {
            let at = |name: &str| self.folder.join(name);
            vec![
                ("open", File::open(&self.folder).map(drop)),
                ("look", fs::metadata(&self.folder).map(drop)),
                ("list", fs::read_dir(&self.folder).map(drop)),
                ("create", File::create(at("new")).map(drop)),
                ("make a folder", fs::create_dir(at("folder"))),
                ("rename", fs::rename(at("victim"), at("renamed"))),
                ("remove", fs::remove_file(at("other victim"))),
                ("read on", (&self.open).read(&mut [0]).map(drop)),
                ("connect", TcpStream::connect(&self.listener).map(drop)),
                ("bind", UdpSocket::bind("127.0.0.1:0").map(drop)),
                ("pair", UnixStream::pair().map(drop)),
                ("start", Command::new("true").status().map(drop)),
                ("fork", std::thread::Builder::new().spawn(|| ()).map(drop)),
                (
                    "signal",
                    test_kill_process(self.parent).map_err(io::Error::from),
                ),
            ]
        }
    }

    #[test]
    #[ignore = "run by the other test, in a process of its own"]
    #[expect(
        clippy::print_stdout,
        reason = "how it tells the process that began it"
    )]
    fn do_harm_as_a_child() {
        let (Some(folder), Some(listener)) = (std::env::var_os(FOLDER), std::env::var_os(LISTENER))
        else {
            return;
        };
        let folder = PathBuf::from(folder);
        let reach = Reach {
            open: File::open(folder.join("open")).unwrap(),
            folder,
            listener: listener.into_string().unwrap(),
            parent: getppid().unwrap(),
        };
        // Once it may, so that what fails later fails for no other reason.
        for (what, done) in reach.harm() {
            println!("free {what}: {done:?}");
        }
        fs::write(reach.folder.join("victim"), "").unwrap();
        fs::write(reach.folder.join("other victim"), "").unwrap();
        if let Err(reason) = filter_system_calls() {
            println!("no filter: {reason}");
            return;
        }
        for (what, done) in reach.harm() {
            let code = done.err().and_then(|error| error.raw_os_error());
            println!("held {what}: {}", code == Some(Errno::PERM.raw_os_error()));
        }
        let script = "function FindProxyForURL(url, host) { return 'PROXY ' + host + ':' + new Date(0).getHours() + typeof Math.random() }";
        let url = Url::parse("https://a.test/").unwrap();
        let said = run(script, &url, World::default(), Duration::from_secs(20));
        println!("said {said:?}");
        println!("again {:?}", filter_system_calls().is_err());
    }

    #[test]
    fn a_filtered_process_reaches_nothing_and_still_answers() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["open", "victim", "other victim"] {
            fs::write(folder.path().join(name), "x").unwrap();
        }
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let output = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "filter::tests::do_harm_as_a_child"])
            .args(["--ignored", "--nocapture"])
            .env(FOLDER, folder.path())
            .env(LISTENER, listener.local_addr().unwrap().to_string())
            .env("TZ", "XXX-9")
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&output.stdout);
        let said = |start: &str| -> Vec<&str> {
            let lines = text.lines();
            lines.filter_map(|line| line.strip_prefix(start)).collect()
        };
        let free = said("free ");
        assert_eq!(free.len(), 14, "{text}");
        assert!(free.iter().all(|line| line.ends_with("Ok(())")), "{text}");
        if let [reason] = said("no filter: ").as_slice() {
            testkit::skipped(&format!(
                "the confinement of PAC files (no seccomp: {reason})"
            ));
            return;
        }
        let held = said("held ");
        assert_eq!(held.len(), 14, "{text}");
        assert!(held.iter().all(|line| line.ends_with(": true")), "{text}");
        for victim in ["victim", "other victim"] {
            assert!(folder.path().join(victim).exists(), "{victim}");
        }
        assert_eq!(
            said("said "),
            ["Ok(Answered(\"PROXY a.test:9number\"))"],
            "{text}"
        );
        assert_eq!(said("again "), ["true"], "{text}");
    }
}
