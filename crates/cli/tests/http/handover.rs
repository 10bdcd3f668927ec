//! A restart that nobody notices: a service manager holds the socket, and tells it to one process after the other.

use std::net::TcpListener;
use std::os::unix::net::UnixDatagram;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use testkit::http;

use crate::scene::{Ask as _, INFO, LIST, MOD, SOON, Scene, ZIP, within};

/// Requests from the start of one process to the end of the next.
const BETWEEN: u64 = 60;

fn socket() -> (Arc<TcpListener>, String) {
    let socket = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", socket.local_addr().unwrap());
    (Arc::new(socket), url)
}

#[test]
fn no_request_fails_while_it_is_restarted() {
    let scene = Scene::new();
    let (socket, url) = socket();
    let mut modkeep = scene.command_with(&[]).socket(&socket).start();
    assert_eq!(modkeep.url(), url);
    let (is_over, answered) = (AtomicBool::new(false), AtomicU64::new(0));
    thread::scope(|scope| {
        let clients: Vec<_> = (0..4)
            .map(|_| {
                scope.spawn(|| {
                    while !is_over.load(Ordering::Relaxed) {
                        // Each on a connection of its own: nobody repeats what fails there.
                        for path in [INFO, ZIP, MOD, LIST] {
                            let reply = http::get(&format!("{url}{path}")).unwrap();
                            assert_eq!((reply.status, reply.complete), (200, true), "{path}");
                            assert!(reply.body == scene.source(path), "{path}");
                            answered.fetch_add(1, Ordering::Relaxed);
                        }
                    }
                })
            })
            .collect();
        for _ in 0..3 {
            let until = answered.load(Ordering::Relaxed) + BETWEEN;
            within(SOON, "clients are answered", || {
                answered.load(Ordering::Relaxed) > until
                    || clients.iter().any(thread::ScopedJoinHandle::is_finished)
            });
            assert_eq!(modkeep.terminate().code, Some(0));
            modkeep = scene.command_with(&[]).socket(&socket).start();
        }
        is_over.store(true, Ordering::Relaxed);
        for client in clients {
            client.join().unwrap();
        }
    });
}

#[test]
fn who_connects_while_nothing_runs_is_served_by_the_next_process() {
    let scene = Scene::new();
    let (socket, url) = socket();
    let modkeep = scene.command_with(&[]).socket(&socket).start();
    modkeep.get_stored(MOD);
    modkeep.kill();
    let waiting = thread::spawn(move || http::get(&format!("{url}{MOD}")));
    // The connection is in the queue of the socket, with nobody to take it.
    thread::sleep(Duration::from_millis(100));
    assert!(!waiting.is_finished());
    let modkeep = scene.command_with(&[]).socket(&socket).start();
    let reply = waiting.join().unwrap().unwrap();
    assert!(reply.body == scene.source(MOD));
    assert_eq!(modkeep.terminate().code, Some(0));
}

#[test]
fn the_service_manager_is_told_how_it_stands() {
    let scene = Scene::new();
    let path = scene.file("notify");
    let manager = UnixDatagram::bind(&path).unwrap();
    manager.set_read_timeout(Some(SOON)).unwrap();
    let told = || {
        let mut buffer = [0; 64];
        let length = manager.recv(&mut buffer).unwrap();
        String::from_utf8_lossy(&buffer[..length]).into_owned()
    };
    let modkeep = scene.command_with(&[]).env("NOTIFY_SOCKET", &path).start();
    assert_eq!(told(), "READY=1");
    assert_eq!(modkeep.terminate().code, Some(0));
    assert_eq!(told(), "STOPPING=1");
}
