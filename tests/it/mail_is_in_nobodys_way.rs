//! The mail server is refused, slow or not who it says it is: the daemon says so, and every event flows meanwhile.

use std::time::Duration;

use tokio::{net::TcpListener, time::Instant};

use crate::{
    mail::{PASSWORD, STARTTLS, Server},
    support::{Daemon, PATIENCE, Site, Studio},
};

/// A stop with a mail that nobody takes is not held up for longer: last words, twice, and a slow machine.
const STOPS: Duration = Duration::from_secs(20);

/// A studio whose mails go to a port, with a plugin that needs a mail at once.
fn studio(site: &Site, keys: &str) -> Studio {
    let mail = format!(
        "[mail]\nfrom = \"sgeventd@studio.example\"\nto = [\"pipeline@studio.example\"]\n{keys}\n"
    );
    Studio::new(site)
        .witness()
        .vice("exits_78", "", "")
        .section(&mail)
}

/// Runs until the log has some words about the mail, while events flow; then stops in time.
async fn events_flow(site: &Site, studio: &Studio, words: &str) {
    let daemon = Daemon::start(studio).await;
    daemon
        .plugin_when("exits_78", "disabled", |report| {
            report["state"] == "disabled"
        })
        .await;
    let until = Instant::now() + PATIENCE;
    while !studio.log().contains(words) {
        assert!(Instant::now() < until, "never: {words}\n{}", studio.log());
        site.work(2);
        daemon.delivered(studio, &site.truth()).await;
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    site.work(5);
    daemon.delivered(studio, &site.truth()).await;
    let began = Instant::now();
    assert_eq!(daemon.stop().await, Some(0), "{}", studio.log());
    assert!(began.elapsed() < STOPS, "{:?}", began.elapsed());
    assert_eq!(studio.witnessed(), site.truth(), "in order, each once");
}

#[tokio::test]
async fn a_server_that_refuses_connections() {
    let site = Site::quiet().await;
    let closed = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = closed.local_addr().expect("an address").port();
    drop(closed);
    let studio = studio(&site, &format!("server = \"smtp://127.0.0.1:{port}\""));
    events_flow(&site, &studio, "alert not out yet").await;
    let log = studio.log();
    assert!(log.contains(&format!("127.0.0.1:{port}")), "{log}");
}

#[tokio::test]
async fn a_server_that_takes_the_connection_and_says_nothing() {
    let site = Site::quiet().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let silent = tokio::spawn(async move { listener.accept().await });
    let studio = studio(&site, &format!("server = \"smtp://127.0.0.1:{port}\""));
    let daemon = Daemon::start(&studio).await;
    let held = tokio::time::timeout(PATIENCE, silent)
        .await
        .expect("it comes")
        .expect("no panic");
    site.work(10);
    daemon.delivered(&studio, &site.truth()).await;
    let began = Instant::now();
    assert_eq!(daemon.stop().await, Some(0), "{}", studio.log());
    assert!(began.elapsed() < STOPS, "{:?}", began.elapsed());
    assert_eq!(studio.witnessed(), site.truth(), "in order, each once");
    assert!(
        studio.log().contains("alert lost on its way out"),
        "{}",
        studio.log()
    );
    drop(held);
}

#[tokio::test]
async fn a_server_whose_certificate_nobody_signed() {
    let site = Site::quiet().await;
    let server = Server::start(&STARTTLS);
    let studio = studio(
        &site,
        &format!(
            "server = \"smtp://localhost:{}\"\ntls = \"required\"\nusername = \"sg\"\npassword = {{ file = \"mail.key\" }}",
            server.port
        ),
    )
    .file("mail.key", PASSWORD, 0o600);
    events_flow(&site, &studio, "mail.ca_file").await;
    assert!(!studio.log().contains(PASSWORD));
}
