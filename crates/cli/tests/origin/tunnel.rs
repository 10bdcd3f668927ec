//! Proxies that lead every host to one server, and write down which were asked for.

use std::io::{self, BufReader, Read, Write as _, copy};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

pub(crate) struct Tunnel {
    pub(crate) url: String,
    hosts: Arc<Mutex<Vec<String>>>,
}

impl Tunnel {
    /// An HTTP proxy.
    pub(crate) fn to(server: SocketAddr) -> Self {
        Self::start("http", move |client, hosts| serve(&client, server, hosts))
    }

    /// A SOCKS proxy (version 5) that resolves names itself.
    pub(crate) fn socks(server: SocketAddr) -> Self {
        Self::start("socks5", move |client, hosts| {
            serve_socks(client, server, hosts)
        })
    }

    fn start(
        scheme: &str,
        serve: impl Fn(TcpStream, &Mutex<Vec<String>>) -> Option<()> + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let tunnel = Self {
            url: format!("{scheme}://{}", listener.local_addr().unwrap()),
            hosts: Arc::default(),
        };
        let (hosts, serve) = (tunnel.hosts.clone(), Arc::new(serve));
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (hosts, serve) = (hosts.clone(), serve.clone());
                std::thread::spawn(move || serve(stream, &hosts));
            }
        });
        tunnel
    }

    /// Every `host:port` that was asked for, each once.
    pub(crate) fn hosts(&self) -> Vec<String> {
        let mut hosts = self.hosts.lock().unwrap().clone();
        hosts.sort();
        hosts.dedup();
        hosts
    }
}

/// What stands in the first line of a request that a proxy gets.
fn asked(reader: &mut impl io::BufRead) -> Option<(bool, String)> {
    let mut line = String::new();
    reader.read_line(&mut line).ok()?;
    let target = line.split(' ').nth(1)?.to_owned();
    let mut header = String::new();
    while reader.read_line(&mut header).ok()? > 2 {
        header.clear();
    }
    Some((line.starts_with("CONNECT "), target))
}

fn serve(client: &TcpStream, server: SocketAddr, hosts: &Mutex<Vec<String>>) -> Option<()> {
    let mut reader = BufReader::new(client);
    let (is_tunnel, target) = asked(&mut reader)?;
    hosts.lock().unwrap().push(target);
    if !is_tunnel {
        let refusal = b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n";
        return (&*client).write_all(refusal).ok();
    }
    let upstream = TcpStream::connect(server).ok()?;
    (&*client).write_all(b"HTTP/1.1 200 OK\r\n\r\n").ok()?;
    lead(reader, client, &upstream)
}

fn serve_socks(
    mut client: TcpStream,
    server: SocketAddr,
    hosts: &Mutex<Vec<String>>,
) -> Option<()> {
    let mut head = [0; 2];
    client.read_exact(&mut head).ok()?;
    let mut methods = vec![0; usize::from(head[1])];
    client.read_exact(&mut methods).ok()?;
    client.write_all(&[5, 0]).ok()?;
    let mut request = [0; 5];
    client.read_exact(&mut request).ok()?;
    // Anything but a name was resolved by somebody else.
    if request[..4] != [5, 1, 0, 3] {
        hosts.lock().unwrap().push(format!("{request:?}"));
        return client.write_all(&[5, 8, 0, 1, 0, 0, 0, 0, 0, 0]).ok();
    }
    let mut name = vec![0; usize::from(request[4])];
    client.read_exact(&mut name).ok()?;
    let mut port = [0; 2];
    client.read_exact(&mut port).ok()?;
    let (name, port) = (String::from_utf8(name).ok()?, u16::from_be_bytes(port));
    hosts.lock().unwrap().push(format!("{name}:{port}"));
    let upstream = TcpStream::connect(server).ok()?;
    client.write_all(&[5, 0, 0, 1, 0, 0, 0, 0, 0, 0]).ok()?;
    lead(BufReader::new(&client), &client, &upstream)
}

/// Passes on what either says.
fn lead(mut reader: impl Read, client: &TcpStream, upstream: &TcpStream) -> Option<()> {
    let (mut from, mut to) = (upstream.try_clone().ok()?, client.try_clone().ok()?);
    let back = std::thread::spawn(move || {
        let _cut = copy(&mut from, &mut to);
        to.shutdown(Shutdown::Write)
    });
    let _cut = copy(&mut reader, &mut &*upstream);
    let _gone = upstream.shutdown(Shutdown::Write);
    back.join().ok()?.ok()
}
