//! Ports that stay one's own while nobody listens there.

use std::net::{Ipv4Addr, SocketAddr};
use std::os::fd::OwnedFd;

use rustix::net::sockopt::set_socket_reuseaddr;
use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, getsockname, socket_with};

/// A port of 127.0.0.1 at which connections are refused until whoever knows its number listens there, with `SO_REUSEADDR`
/// as all servers do. As long as this lives, the system gives it to nobody who takes any free port: a listener that was
/// bound to a free port and dropped leaves it to the next test.
#[derive(Debug)]
pub struct Port {
    address: SocketAddr,
    _bound: OwnedFd,
}

impl Port {
    /// One that was free.
    pub fn reserve() -> Self {
        let flags = SocketFlags::CLOEXEC;
        let bound = socket_with(AddressFamily::INET, SocketType::STREAM, flags, None)
            .expect("a socket can be made");
        set_socket_reuseaddr(&bound, true).expect("a port can be shared with a listener");
        bind(&bound, &SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))
            .expect("a port of loopback is free");
        let address = getsockname(&bound).expect("a bound socket has an address");
        Self {
            address: address.try_into().expect("it is bound to an IP address"),
            _bound: bound,
        }
    }

    /// 127.0.0.1 and the port.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

#[cfg(test)]
mod tests {
    use std::io::ErrorKind;
    use std::net::{TcpListener, TcpStream};

    use super::*;

    #[test]
    fn it_is_refused_and_can_be_listened_at_again_and_again() {
        let port = Port::reserve();
        for _ in 0..3 {
            let refused = TcpStream::connect(port.address()).unwrap_err();
            assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
            let listener = TcpListener::bind(port.address()).unwrap();
            TcpStream::connect(port.address()).unwrap();
            let taken = TcpListener::bind(port.address()).unwrap_err();
            assert_eq!(taken.kind(), ErrorKind::AddrInUse);
            drop(listener);
        }
    }
}
