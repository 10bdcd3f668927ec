//! What systemd, or another service manager that does as it does, has for this process: a socket that it holds, so that
//! those who connect during a restart wait instead of being turned away; and its wish to know how this process stands.

use std::net::TcpListener;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};

use goenv::Environment;
use listenfd::ListenFd;
use rustix::io::{FdFlags, fcntl_setfd};

use super::CannotDo;

/// The listening socket that was handed to this process (`LISTEN_FDS`, see `sd_listen_fds(3)`), if one was.
pub(super) fn held_socket() -> Result<Option<TcpListener>, CannotDo> {
    let cannot = |error: std::io::Error| {
        CannotDo::new(format!("the socket handed over by LISTEN_FDS: {error}"))
    };
    let socket = ListenFd::from_env().take_tcp_listener(0).map_err(cannot)?;
    if let Some(socket) = &socket {
        // It is not for the programs that this one runs.
        fcntl_setfd(socket, FdFlags::CLOEXEC).map_err(|error| cannot(error.into()))?;
    }
    Ok(socket)
}

/// Tells the service manager how this process stands (`NOTIFY_SOCKET`, see `sd_notify(3)`), if it wants to know.
pub(super) fn tell(environment: &Environment, state: &str) {
    let Some(name) = environment.non_empty("NOTIFY_SOCKET") else {
        return;
    };
    let send = || {
        let address = match name.strip_prefix('@') {
            Some(name) => SocketAddr::from_abstract_name(name)?,
            None => SocketAddr::from_pathname(name)?,
        };
        UnixDatagram::unbound()?.send_to_addr(state.as_bytes(), &address)
    };
    if let Err(error) = send() {
        tracing::warn!(%error, state, "the service manager could not be told");
    }
}
