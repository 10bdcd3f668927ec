//! Accepts connections, and keeps slow, endless and broken ones from harming the rest.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::server::graceful::GracefulShutdown;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::Instant;
use tokio_rustls::TlsAcceptor;

use crate::io::StallGuard;
use crate::kernel_send::{KernelSender, Queue};
use crate::service::App;
use crate::tls::{Certificate, TlsError, TlsFiles};
use crate::watch::Peer;

/// Connections that wait to be accepted.
const BACKLOG: u32 = 4096;
/// How often certificate files are looked at.
const CERTIFICATE_CHECK: Duration = Duration::from_secs(30);
/// How long, at the end, whoever has just connected has for sending a request: a connection without one is closed.
const FIRST_REQUEST: Duration = Duration::from_millis(150);
/// The header lines that hyper takes when it is not told how many (its documentation of `max_headers`); it reads them
/// faster then, on the stack.
const UNTOLD_HEADER_LINES: usize = 100;

/// What a client may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Connections at a time; more wait until one ends.
    pub connections: usize,
    /// To send a request's head; also the time for which a connection may be idle, and for a TLS handshake.
    pub header: Duration,
    /// Without taking a byte of an answer.
    pub stall: Duration,
    /// Bytes of a request's head.
    pub header_bytes: usize,
    /// Header lines of a request.
    pub header_lines: usize,
    /// To finish requests under way after the order to stop.
    pub drain: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 8192,
            header: Duration::from_secs(30),
            stall: Duration::from_mins(1),
            header_bytes: 64 * 1024,
            header_lines: UNTOLD_HEADER_LINES,
            drain: Duration::from_secs(30),
        }
    }
}

/// Why a server cannot listen.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The address cannot be had.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// The address asked for.
        address: SocketAddr,
        /// The system's answer.
        source: io::Error,
    },
    /// The certificate files cannot be used.
    #[error(transparent)]
    Tls(#[from] TlsError),
}

/// A bound address, ready to serve.
#[derive(Debug)]
pub struct Listener {
    socket: TcpListener,
    address: SocketAddr,
    certificate: Option<Arc<Certificate>>,
    limits: Limits,
}

impl Listener {
    /// Binds an address. From then on connections are taken up by the system, and answered once [`Self::serve`] runs.
    pub fn bind(
        address: SocketAddr,
        tls: Option<TlsFiles>,
        limits: Limits,
    ) -> Result<Self, ServeError> {
        let bind = || {
            let socket = if address.is_ipv4() {
                TcpSocket::new_v4()?
            } else {
                TcpSocket::new_v6()?
            };
            socket.set_reuseaddr(true)?;
            socket.bind(address)?;
            socket.listen(BACKLOG)
        };
        let socket = bind().map_err(|source| ServeError::Listen { address, source })?;
        Self::on(socket, address, tls, limits)
    }

    /// Takes over a socket on which another process already listens: what has connected to it in the meantime is served.
    pub fn adopt(
        socket: std::net::TcpListener,
        tls: Option<TlsFiles>,
        limits: Limits,
    ) -> Result<Self, ServeError> {
        let unknown = SocketAddr::from(([0, 0, 0, 0], 0));
        let address = socket.local_addr().unwrap_or(unknown);
        let adopt = || {
            socket.set_nonblocking(true)?;
            TcpListener::from_std(socket)
        };
        let socket = adopt().map_err(|source| ServeError::Listen { address, source })?;
        Self::on(socket, address, tls, limits)
    }

    fn on(
        socket: TcpListener,
        address: SocketAddr,
        tls: Option<TlsFiles>,
        limits: Limits,
    ) -> Result<Self, ServeError> {
        let address = socket
            .local_addr()
            .map_err(|source| ServeError::Listen { address, source })?;
        Ok(Self {
            socket,
            address,
            certificate: tls.map(Certificate::load).transpose()?,
            limits,
        })
    }

    /// The URL at which it listens.
    pub fn base_url(&self) -> String {
        let scheme = if self.certificate.is_some() {
            "https"
        } else {
            "http"
        };
        format!("{scheme}://{}", self.address)
    }

    /// The address it listens on.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The certificate in use, to be read again on demand; `None` without TLS.
    pub fn certificate(&self) -> Option<Arc<Certificate>> {
        self.certificate.clone()
    }

    /// Serves until `stop` comes; then finishes requests under way, within limits. For as long as there are any, those who
    /// still come are answered, too: load balancers learn from `/readyz` in their own time that they are to go elsewhere.
    pub async fn serve(self, app: App, stop: impl Future<Output = ()>) {
        let acceptor = self.certificate.as_ref().map(Certificate::acceptor);
        let watcher = self
            .certificate
            .clone()
            .map(|certificate| tokio::spawn(watch(certificate)));
        let server = Arc::new(Server {
            builder: builder(self.limits),
            acceptor,
            app: app.clone(),
            limits: self.limits,
        });
        let mut door = Door {
            socket: self.socket,
            permits: Arc::new(Semaphore::new(self.limits.connections)),
            server,
            last: None,
        };
        let (before, late) = (GracefulShutdown::new(), GracefulShutdown::new());
        door.let_in(&before, stop).await;
        app.start_draining();
        let drained = async {
            let last = door.last;
            door.let_in(&late, async {
                wait_for_requests(last).await;
                before.shutdown().await;
            })
            .await;
            let last = door.last;
            drop(door);
            wait_for_requests(last).await;
            late.shutdown().await;
        };
        if tokio::time::timeout(self.limits.drain, drained)
            .await
            .is_err()
        {
            tracing::warn!(limit = ?self.limits.drain, "requests were still under way when the time to drain was over");
        }
        if let Some(watcher) = watcher {
            watcher.abort();
        }
    }
}

/// Where connections come in, as many at a time as there are permits.
struct Door {
    socket: TcpListener,
    permits: Arc<Semaphore>,
    server: Arc<Server>,
    /// When the last connection came in.
    last: Option<Instant>,
}

/// Gives whoever connected last the time to say what for.
async fn wait_for_requests(last: Option<Instant>) {
    if let Some(last) = last {
        tokio::time::sleep_until(last + FIRST_REQUEST).await;
    }
}

impl Door {
    /// Takes up connections until `until` is over. `graceful` ends them later.
    async fn let_in(&mut self, graceful: &GracefulShutdown, until: impl Future<Output = ()>) {
        let mut until = std::pin::pin!(until);
        loop {
            let accepted = tokio::select! {
                accepted = self.accept() => accepted,
                () = &mut until => return,
            };
            match accepted {
                Ok((stream, peer, permit)) => {
                    self.last = Some(Instant::now());
                    let (server, watcher) = (self.server.clone(), graceful.watcher());
                    tokio::spawn(async move {
                        server.connection(stream, Peer(peer.ip()), watcher).await;
                        drop(permit);
                    });
                }
                Err(error) => {
                    // Out of descriptors, mostly: connections that end will free some.
                    tracing::error!(%error, "a connection could not be accepted");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            }
        }
    }

    async fn accept(
        &self,
    ) -> io::Result<(TcpStream, SocketAddr, tokio::sync::OwnedSemaphorePermit)> {
        let permit = self
            .permits
            .clone()
            .acquire_owned()
            .await
            .map_err(io::Error::other)?;
        let (stream, peer) = self.socket.accept().await?;
        Ok((stream, peer, permit))
    }
}

async fn watch(certificate: Arc<Certificate>) {
    loop {
        tokio::time::sleep(CERTIFICATE_CHECK).await;
        let certificate = certificate.clone();
        let _ended = tokio::task::spawn_blocking(move || certificate.refresh()).await;
    }
}

fn builder(limits: Limits) -> Builder<TokioExecutor> {
    let mut builder = Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.header)
        .max_buf_size(limits.header_bytes);
    if limits.header_lines != UNTOLD_HEADER_LINES {
        builder.http1().max_headers(limits.header_lines);
    }
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(256)
        .max_header_list_size(u32::try_from(limits.header_bytes).unwrap_or(u32::MAX))
        .keep_alive_interval(limits.header)
        .keep_alive_timeout(limits.header);
    builder
}

struct Server {
    builder: Builder<TokioExecutor>,
    acceptor: Option<TlsAcceptor>,
    app: App,
    limits: Limits,
}

impl Server {
    async fn connection(
        &self,
        stream: TcpStream,
        peer: Peer,
        watcher: hyper_util::server::graceful::Watcher,
    ) {
        let _not_on_every_system = stream.set_nodelay(true);
        let metrics = self.app.metrics();
        metrics.connections.inc();
        let _presence = self.app.presence(peer);
        let result = match &self.acceptor {
            None => {
                let sender = KernelSender::new(stream);
                let queue = sender.queue();
                self.exchange(sender, peer, Some(queue), watcher).await
            }
            Some(acceptor) => {
                match tokio::time::timeout(self.limits.header, acceptor.accept(stream)).await {
                    Ok(Ok(stream)) => self.exchange(stream, peer, None, watcher).await,
                    Ok(Err(error)) => Err(error.to_string()),
                    Err(_) => Err("the TLS handshake took too long".to_owned()),
                }
            }
        };
        metrics.connections.dec();
        if let Err(error) = result {
            metrics.connection_errors.inc();
            tracing::debug!(%error, "a client connection ended early");
        }
    }

    /// `queue`: what the connection can have sent by the kernel.
    async fn exchange<T>(
        &self,
        stream: T,
        peer: Peer,
        queue: Option<Arc<Queue>>,
        watcher: hyper_util::server::graceful::Watcher,
    ) -> Result<(), String>
    where
        T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let stream = TokioIo::new(StallGuard::new(
            stream,
            self.limits.header,
            self.limits.stall,
        ));
        let app = self.app.clone();
        let service = service_fn(move |mut request: http::Request<hyper::body::Incoming>| {
            request.extensions_mut().insert(peer);
            let (app, queue) = (
                app.clone(),
                queue
                    .clone()
                    .filter(|_| request.version() <= http::Version::HTTP_11),
            );
            let responding = app.respond(request);
            async move {
                let mut response = responding.await;
                if let Some(queue) = queue {
                    response.body_mut().send_by_kernel(&queue);
                }
                Ok::<_, std::convert::Infallible>(response)
            }
        });
        let connection = self.builder.serve_connection(stream, service);
        watcher
            .watch(connection.into_owned())
            .await
            .map_err(|error| error.to_string())
    }
}
