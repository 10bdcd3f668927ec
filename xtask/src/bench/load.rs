//! The programs that the load comes from and goes to: wrk and nginx, both from the system's packages.

use std::fs;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use tempfile::TempDir;
use testkit::{CpuSeconds, cpu_of_tree, http};

/// Writes the figures of a run in full, for wrk's own output rounds them.
const REPORT: &str = r#"
done = function(summary, latency, requests)
  local errors = summary.errors.connect + summary.errors.read + summary.errors.write
               + summary.errors.status + summary.errors.timeout
  io.write(string.format("FIGURES %d %d %d %d %d %d\n", summary.requests, summary.duration, summary.bytes, errors,
                         latency:percentile(50), latency:percentile(99)))
end
"#;

/// A run of wrk.
pub(super) struct Load {
    pub(super) connections: usize,
    pub(super) time: Duration,
    /// Lua that says what is asked for, in place of the URL's own path.
    pub(super) requests: Option<String>,
}

/// What a run of wrk gave.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Figures {
    pub(super) requests: f64,
    pub(super) seconds: f64,
    pub(super) bytes: f64,
    pub(super) median_ms: f64,
    pub(super) p99_ms: f64,
}

impl Figures {
    pub(super) fn requests_per_second(&self) -> f64 {
        self.requests / self.seconds
    }

    pub(super) fn bytes_per_second(&self) -> f64 {
        self.bytes / self.seconds
    }
}

impl Load {
    /// Puts `url` under load. Any failed request fails the run: errors are fast, and would look like speed.
    pub(super) fn run(&self, url: &str, folder: &Path) -> Result<Figures> {
        let wrk = installed("wrk")?;
        let script = folder.join("wrk.lua");
        fs::write(
            &script,
            format!("{}{REPORT}", self.requests.as_deref().unwrap_or_default()),
        )?;
        let output = Command::new(wrk)
            .args(["--threads", "2", "--timeout", "60s"])
            .args(["--connections", &self.connections.to_string()])
            .args(["--duration", &format!("{}s", self.time.as_secs())])
            .arg("--script")
            .arg(&script)
            .arg(url)
            .output()
            .context("starting wrk")?;
        let text = String::from_utf8_lossy(&output.stdout);
        ensure!(
            output.status.success(),
            "wrk failed: {text}{}",
            String::from_utf8_lossy(&output.stderr)
        );
        figures(&text).with_context(|| format!("load on {url}"))
    }
}

fn figures(text: &str) -> Result<Figures> {
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix("FIGURES "))
        .context("wrk printed no figures")?;
    let numbers: Vec<f64> = line
        .split_whitespace()
        .filter_map(|word| word.parse().ok())
        .collect();
    let [requests, microseconds, bytes, errors, median, p99] = numbers[..] else {
        bail!("wrk printed other figures than asked for: {line}");
    };
    ensure!(errors == 0.0, "{errors} of {requests} requests failed");
    ensure!(requests > 0.0, "no request was answered in time");
    Ok(Figures {
        requests,
        seconds: microseconds / 1e6,
        bytes,
        median_ms: median / 1e3,
        p99_ms: p99 / 1e3,
    })
}

/// nginx with a folder as its root, tuned as a file server.
pub(super) struct Nginx {
    child: Child,
    url: String,
    _folder: TempDir,
}

impl Nginx {
    pub(super) fn serve(root: &Path) -> Result<Self> {
        let nginx = installed("nginx")?;
        let folder = tempfile::tempdir()?;
        // Another program could take the port in between; then the wait below fails.
        let address = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?;
        let own = folder.path().display();
        let user = if rustix::process::geteuid().is_root() {
            "user root;"
        } else {
            ""
        };
        let settings = format!(
            "daemon off;\n{user}\nworker_processes 2;\npid {own}/pid;\nerror_log {own}/error.log;\n\
             events {{ worker_connections 4096; }}\n\
             http {{\n  access_log off;\n  sendfile on;\n  tcp_nopush on;\n  keepalive_timeout 1h;\n  \
             keepalive_requests 1000000000;\n  default_type application/octet-stream;\n  \
             client_body_temp_path {own}/body;\n  proxy_temp_path {own}/proxy;\n  fastcgi_temp_path {own}/fastcgi;\n  \
             uwsgi_temp_path {own}/uwsgi;\n  scgi_temp_path {own}/scgi;\n  \
             server {{ listen {address}; location / {{ root {root}; }} }}\n}}\n",
            root = root.display(),
        );
        let file = folder.path().join("nginx.conf");
        fs::write(&file, settings)?;
        let child = Command::new(nginx)
            .arg("-e")
            .arg(folder.path().join("error.log"))
            .arg("-p")
            .arg(folder.path())
            .arg("-c")
            .arg(&file)
            .stdin(Stdio::null())
            .spawn()
            .context("starting nginx")?;
        let server = Self {
            child,
            url: format!("http://{address}"),
            _folder: folder,
        };
        let until = Instant::now() + Duration::from_secs(10);
        while http::get(&server.url).is_err() {
            ensure!(Instant::now() < until, "nginx does not answer");
            thread::sleep(Duration::from_millis(20));
        }
        Ok(server)
    }

    pub(super) fn url(&self) -> &str {
        &self.url
    }

    pub(super) fn cpu(&self) -> CpuSeconds {
        cpu_of_tree(self.child.id())
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        // SIGTERM, so that the master process ends its workers.
        let pid = rustix::process::Pid::from_child(&self.child);
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        let _ = self.child.wait();
    }
}

/// Where a program of the system is.
fn installed(program: &str) -> Result<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(["/usr/sbin".into()])
        .map(|folder| folder.join(program))
        .find(|file| file.is_file())
        .with_context(|| {
            format!("this benchmark needs {program}: install the system's package `{program}`")
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_figures_of_a_run_are_read() {
        let found = figures("Running 1s test\nFIGURES 1000 2000000 500000 0 150 2500\n").unwrap();
        let wanted = Figures {
            requests: 1000.0,
            seconds: 2.0,
            bytes: 500_000.0,
            median_ms: 0.15,
            p99_ms: 2.5,
        };
        assert_eq!(found, wanted);
        assert!((found.requests_per_second() - 500.0).abs() < 1e-9);
        assert!((found.bytes_per_second() - 250_000.0).abs() < 1e-9);
    }

    #[test]
    fn a_run_with_failed_requests_is_no_result() {
        assert!(figures("FIGURES 1000 2000000 500000 3 150 2500\n").is_err());
        assert!(figures("FIGURES 0 2000000 0 0 0 0\n").is_err());
        assert!(figures("Running\n").is_err());
    }

    #[test]
    fn a_program_that_is_missing_is_named() {
        let error = installed("no-such-program").unwrap_err();
        assert!(error.to_string().contains("`no-such-program`"), "{error}");
    }
}
