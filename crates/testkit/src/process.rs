use std::fs;

/// Memory of a process, in bytes, as the kernel counts it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Memory {
    /// Resident now (`VmRSS`).
    pub resident: u64,
    /// The most that was ever resident (`VmHWM`).
    pub peak: u64,
}

/// Processor time in seconds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CpuSeconds {
    /// In the program.
    pub user: f64,
    /// In the kernel on its behalf.
    pub system: f64,
}

impl CpuSeconds {
    /// Both together.
    pub fn total(self) -> f64 {
        self.user + self.system
    }
}

/// The memory of a running process; `None` when there is no such process.
pub fn memory_of(pid: u32) -> Option<Memory> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let bytes = |name: &str| -> Option<u64> {
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
        Some(line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()? * 1024)
    };
    Some(Memory {
        resident: bytes("VmRSS")?,
        peak: bytes("VmHWM")?,
    })
}

/// The processor time that a process and its living descendants have used.
pub fn cpu_of_tree(pid: u32) -> CpuSeconds {
    let mut sum = own_cpu(pid).unwrap_or(CpuSeconds {
        user: 0.0,
        system: 0.0,
    });
    for child in children(pid) {
        let below = cpu_of_tree(child);
        sum.user += below.user;
        sum.system += below.system;
    }
    sum
}

/// Fields 14 and 15 of `/proc/<pid>/stat`, in ticks.
fn own_cpu(pid: u32) -> Option<CpuSeconds> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name, in parentheses, may hold anything.
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
    #[expect(
        clippy::cast_precision_loss,
        reason = "ticks of a process that lives for minutes"
    )]
    let mut seconds =
        |skip| Some(fields.nth(skip)?.parse::<u64>().ok()? as f64 / ticks_per_second());
    Some(CpuSeconds {
        user: seconds(11)?,
        system: seconds(0)?,
    })
}

#[expect(
    clippy::cast_precision_loss,
    reason = "a hundred on every Linux there is"
)]
fn ticks_per_second() -> f64 {
    rustix::param::clock_ticks_per_second() as f64
}

fn children(pid: u32) -> Vec<u32> {
    let Ok(threads) = fs::read_dir(format!("/proc/{pid}/task")) else {
        return Vec::new();
    };
    threads
        .flatten()
        .filter_map(|thread| fs::read_to_string(thread.path().join("children")).ok())
        .flat_map(|list| {
            list.split_whitespace()
                .filter_map(|pid| pid.parse().ok())
                .collect::<Vec<_>>()
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_has_memory_and_uses_its_processor() {
        let pid = std::process::id();
        let memory = memory_of(pid).unwrap();
        assert!(
            memory.peak >= memory.resident && memory.resident > 100_000,
            "{memory:?}"
        );
        let before = cpu_of_tree(pid).total();
        // As long as a busy machine may keep it from its work.
        let until = std::time::Instant::now() + std::time::Duration::from_mins(1);
        while cpu_of_tree(pid).total() - before < 0.05 {
            assert!(std::time::Instant::now() < until, "no time is counted");
            for number in 0..100_000 {
                std::hint::black_box(number);
            }
        }
    }

    #[test]
    fn there_is_no_memory_where_no_process_is() {
        assert_eq!(memory_of(u32::MAX), None);
    }
}
