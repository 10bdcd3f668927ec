//! Servers that misbehave.
#![allow(unreachable_pub, dead_code, reason = "a module of tests")]

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::time::Duration;

/// A server that answers every connection with `bytes`, a piece every `pause`, and then stays silent or closes.
pub fn misbehaving(
    bytes: &'static [u8],
    piece: usize,
    pause: Duration,
    silent: bool,
) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            std::thread::spawn(move || {
                let mut request = [0; 4096];
                let _request = stream.read(&mut request);
                for part in bytes.chunks(piece.max(1)) {
                    if stream.write_all(part).is_err() {
                        return;
                    }
                    std::thread::sleep(pause);
                }
                if silent {
                    std::thread::sleep(Duration::from_mins(2));
                }
            });
        }
    });
    address
}
