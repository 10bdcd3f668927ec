//! Simulated upstreams as the rig sees them: processes that take orders, and places where nobody answers.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::Mutex;

use anyhow::{Context as _, Result, ensure};
use clap::ValueEnum as _;
use rustix::net::{AddressFamily, SocketType};

use super::trouble::Order;
use super::upstream::Flaw;

/// A simulated upstream in a process of its own. Dropping it ends it.
#[derive(Debug)]
pub(super) struct Mirror {
    child: Child,
    pipes: Mutex<(ChildStdin, BufReader<ChildStdout>)>,
    url: String,
}

impl Mirror {
    /// Serves a tree, without any fault.
    pub(super) fn start(tree: &Path) -> Result<Self> {
        Self::spawn(&["--tree", &tree.to_string_lossy()])
    }

    /// Breaks every TLS handshake in the same way. The certificate of the authority goes to a file.
    pub(super) fn with_bad_certificate(flaw: Flaw, authority: &Path) -> Result<Self> {
        let name = flaw
            .to_possible_value()
            .map(|value| value.get_name().to_owned())
            .unwrap_or_default();
        let authority = authority.to_string_lossy();
        Self::spawn(&["--tree", ".", "--flaw", &name, "--authority", &authority])
    }

    fn spawn(arguments: &[&str]) -> Result<Self> {
        let own = std::env::current_exe().context("looking for this program")?;
        let mut child = Command::new(own)
            .arg("chaos-upstream")
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("starting a simulated upstream")?;
        let stdin = child.stdin.take().context("its standard input")?;
        let mut stdout = BufReader::new(child.stdout.take().context("its standard output")?);
        let mut url = String::new();
        stdout.read_line(&mut url).context("reading its URL")?;
        ensure!(url.starts_with("http"), "a simulated upstream has no URL");
        Ok(Self {
            child,
            pipes: Mutex::new((stdin, stdout)),
            url: url.trim().to_owned(),
        })
    }

    pub(super) fn url(&self) -> &str {
        &self.url
    }

    pub(super) fn port(&self) -> Result<u16> {
        let port = self.url.rsplit(':').next().unwrap_or_default();
        port.parse().context("the port of a simulated upstream")
    }

    /// Gives an order and waits until it is carried out.
    pub(super) fn order(&self, order: Order) -> Result<String> {
        let mut pipes = self
            .pipes
            .lock()
            .map_err(|_| anyhow::anyhow!("a scenario panicked"))?;
        let (stdin, stdout) = &mut *pipes;
        writeln!(stdin, "{}", order.line()).context("giving an order")?;
        let mut answer = String::new();
        stdout.read_line(&mut answer).context("reading an answer")?;
        ensure!(!answer.is_empty(), "a simulated upstream has ended");
        Ok(answer.trim().to_owned())
    }

    /// Requests that came, and the most for one file.
    pub(super) fn counts(&self) -> Result<(usize, usize)> {
        let answer = self.order(Order::Count)?;
        let (all, most) = answer.split_once(' ').context("counts")?;
        Ok((all.parse()?, most.parse()?))
    }
}

impl Drop for Mirror {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// An address on loopback to which no connection comes about: its queue is full, so that further packets are dropped.
#[derive(Debug)]
pub(super) struct BlackHole {
    address: SocketAddr,
    _listener: TcpListener,
    _queued: Vec<TcpStream>,
}

impl BlackHole {
    pub(super) fn new() -> Result<Self> {
        let socket = rustix::net::socket(AddressFamily::INET, SocketType::STREAM, None)?;
        rustix::net::bind(&socket, &SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))?;
        rustix::net::listen(&socket, 0)?;
        let listener = TcpListener::from(socket);
        let address = listener.local_addr()?;
        // With a queue of no length, Linux keeps one connection.
        let queued = (0..2)
            .map_while(|_| {
                TcpStream::connect_timeout(&address, std::time::Duration::from_millis(300)).ok()
            })
            .collect();
        Ok(Self {
            address,
            _listener: listener,
            _queued: queued,
        })
    }

    pub(super) fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

/// Certificates that are no good.
pub(super) mod tls {
    use std::fs;
    use std::io::{BufRead as _, Read as _};
    use std::net::{Ipv4Addr, TcpListener};
    use std::path::Path;
    use std::sync::Arc;
    use std::thread;
    use std::time::Duration;

    use anyhow::{Context as _, Result};
    use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, date_time_ymd};
    use rustls::pki_types::PrivateKeyDer;
    use rustls::{ServerConfig, ServerConnection, StreamOwned};

    use super::Flaw;

    /// Shakes hands with a bad certificate until standard input ends.
    pub(in crate::chaos) fn serve(flaw: Flaw, authority: &Path) -> Result<()> {
        let (config, pem) = config(flaw)?;
        // What nobody is told of, nobody knows.
        let told = if flaw == Flaw::UnknownCa {
            config_pem_of_another()?
        } else {
            pem
        };
        fs::write(authority, told).with_context(|| format!("writing {}", authority.display()))?;
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        println!("https://{}", listener.local_addr()?);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let config = config.clone();
                thread::spawn(move || {
                    drop(stream.set_read_timeout(Some(Duration::from_secs(10))));
                    if let Ok(connection) = ServerConnection::new(config) {
                        let mut stream = StreamOwned::new(connection, stream);
                        // Nobody gets this far but a client that does not check.
                        drop(stream.read(&mut [0; 1024]));
                    }
                });
            }
        });
        for line in std::io::stdin().lock().lines().map_while(Result::ok) {
            drop(line);
            println!("done");
        }
        Ok(())
    }

    fn new_authority() -> Result<(Issuer<'static, KeyPair>, String)> {
        let mut params = CertificateParams::new(Vec::new())?;
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate()?;
        let pem = params.self_signed(&key)?.pem();
        Ok((Issuer::new(params, key), pem))
    }

    fn config_pem_of_another() -> Result<String> {
        new_authority().map(|(_, pem)| pem)
    }

    fn config(flaw: Flaw) -> Result<(Arc<ServerConfig>, String)> {
        let (issuer, pem) = new_authority()?;
        let name = match flaw {
            Flaw::WrongName => "other.example",
            Flaw::Expired | Flaw::UnknownCa => "127.0.0.1",
        };
        let mut params = CertificateParams::new([name.to_owned()])?;
        if flaw == Flaw::Expired {
            params.not_after = date_time_ymd(2020, 1, 1);
        }
        let key = KeyPair::generate()?;
        let certificate = params.signed_by(&key, &issuer)?;
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(
                vec![certificate.der().clone()],
                PrivateKeyDer::try_from(key.serialize_der()).map_err(anyhow::Error::msg)?,
            )?;
        Ok((Arc::new(config), pem))
    }
}

/// The authority's certificate of a mirror with a bad certificate.
pub(super) fn authority_file(folder: &Path, flaw: Flaw) -> PathBuf {
    folder.join(format!("authority-{flaw:?}.pem"))
}
