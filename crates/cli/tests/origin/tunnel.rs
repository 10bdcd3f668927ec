//! An HTTP proxy that leads every host to one server, and writes down which were asked for.

use std::io::{BufRead as _, BufReader, Write as _, copy};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

pub(crate) struct Tunnel {
    pub(crate) url: String,
    hosts: Arc<Mutex<Vec<String>>>,
}

impl Tunnel {
    pub(crate) fn to(server: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let tunnel = Self {
            url: format!("http://{}", listener.local_addr().unwrap()),
            hosts: Arc::default(),
        };
        let hosts = tunnel.hosts.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let hosts = hosts.clone();
                std::thread::spawn(move || serve(&stream, server, &hosts));
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

fn serve(client: &TcpStream, server: SocketAddr, hosts: &Mutex<Vec<String>>) -> Option<()> {
    let mut reader = BufReader::new(client);
    let mut line = String::new();
    reader.read_line(&mut line).ok()?;
    let target = line.split(' ').nth(1)?.to_owned();
    let mut header = String::new();
    while reader.read_line(&mut header).ok()? > 2 {
        header.clear();
    }
    hosts.lock().unwrap().push(target);
    if !line.starts_with("CONNECT ") {
        let refusal = b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n";
        return (&*client).write_all(refusal).ok();
    }
    let upstream = TcpStream::connect(server).ok()?;
    (&*client).write_all(b"HTTP/1.1 200 OK\r\n\r\n").ok()?;
    let (mut from, mut to) = (upstream.try_clone().ok()?, client.try_clone().ok()?);
    let back = std::thread::spawn(move || {
        let _cut = copy(&mut from, &mut to);
        to.shutdown(Shutdown::Write)
    });
    let _cut = copy(&mut reader, &mut &upstream);
    let _gone = upstream.shutdown(Shutdown::Write);
    back.join().ok()?.ok()
}
