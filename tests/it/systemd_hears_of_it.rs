//! What systemd is told, and in which order; and a start that fails hands nothing out.

use std::{os::unix::net::UnixDatagram, time::Duration};

use nix::sys::signal::Signal;

use crate::support::{Daemon, Site, Studio, until};

/// All that was said so far.
fn heard(socket: &UnixDatagram, all: &mut Vec<String>) {
    let mut words = [0; 4096];
    while let Ok(length) = socket.recv(&mut words) {
        let text = String::from_utf8_lossy(&words[..length]);
        all.extend(text.lines().map(str::to_owned));
    }
}

#[tokio::test]
async fn ready_reloading_ready_stopping_and_that_it_takes_a_while() {
    let site = Site::quiet().await;
    let studio = Studio::new(&site).witness();
    let path = studio.path("notify.sock");
    let socket = UnixDatagram::bind(&path).expect("a socket");
    socket.set_nonblocking(true).expect("it does not wait");
    let environment = [("NOTIFY_SOCKET", path.display().to_string())];
    let daemon = Daemon::spawn_with(&studio, &studio.config(), &[], &environment);
    let mut all = Vec::new();
    let count = |all: &[String], word: &str| all.iter().filter(|one| *one == word).count();
    until("it is ready", || {
        heard(&socket, &mut all);
        count(&all, "READY=1") == 1
    })
    .await;
    daemon.signal(Signal::SIGHUP);
    until("it is ready again", || {
        heard(&socket, &mut all);
        count(&all, "READY=1") == 2
    })
    .await;
    let at = |all: &[String], word: &str| all.iter().position(|one| one.starts_with(word));
    let reloading = at(&all, "RELOADING=1").expect("it said so");
    assert!(all[reloading + 1].starts_with("MONOTONIC_USEC="), "{all:?}");
    assert_eq!(daemon.stop().await, Some(0));
    heard(&socket, &mut all);
    let stopping = at(&all, "STOPPING=1").expect("it said so");
    let extended = at(&all, "EXTEND_TIMEOUT_USEC=").expect("it said so");
    assert!(stopping < extended, "{all:?}");
    let usec: u64 = all[extended]["EXTEND_TIMEOUT_USEC=".len()..]
        .parse()
        .expect("a number");
    assert!(Duration::from_micros(usec) > Duration::from_secs(5));
    assert!(
        !studio.log().contains("a loop has ended"),
        "{}",
        studio.log()
    );
}

#[tokio::test]
async fn a_socket_that_cannot_be_made_ends_it_before_anything_is_handed_out() {
    let site = Site::quiet().await;
    let studio = Studio::new(&site).witness();
    let path = studio.config();
    let text = std::fs::read_to_string(&path).expect("a config");
    let text = text.replace("socket = \"admin.sock\"", "socket = \"nowhere/admin.sock\"");
    std::fs::write(&path, text).expect("a config");
    let daemon = Daemon::spawn(&studio, &path);
    assert_eq!(daemon.exit().await, Some(74));
    assert_eq!(studio.witnessed(), [0; 0]);
    let plugins = studio.path("state/plugins/witness/data");
    assert!(!plugins.exists(), "no plugin was started");
}
