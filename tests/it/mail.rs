//! Mail reaches people: a real SMTP server with STARTTLS and a login, any language, refusals waited out, wrong certificates refused.
//!
//! Needs a Python with aiosmtpd: `SGEVENTD_TEST_PYTHON`, else `.venv/bin/python`.

use std::{
    io::{BufRead as _, BufReader},
    path::{Path, PathBuf},
    process::{Child, ChildStdout, Command, Stdio},
    time::Duration,
};

use sgeventd::{
    alert::{Alert, Alerts, CauseKey, Context, Grade, Letter, Mailer, Options, Policy, start},
    clock::{Clock, Unix},
    config::{Mail, MailServer, MailTls},
    secret::Secret,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

pub(crate) const PASSWORD: &str = "canary-mail-password";

/// A real SMTP server.
pub(crate) struct Server {
    child: Child,
    lines: BufReader<ChildStdout>,
    pub(crate) port: u16,
    dir: tempfile::TempDir,
}

impl Server {
    /// Starts it.
    pub(crate) fn start(options: &[&str]) -> Self {
        let dir = tempfile::tempdir().expect("a folder");
        let made =
            rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
        std::fs::write(dir.path().join("cert.pem"), made.cert.pem()).expect("a file");
        std::fs::write(dir.path().join("key.pem"), made.signing_key.serialize_pem())
            .expect("a file");
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let python = std::env::var_os("SGEVENTD_TEST_PYTHON")
            .map_or_else(|| root.join(".venv/bin/python"), PathBuf::from);
        let mut child = Command::new(&python)
            .arg(root.join("tests/python/mail/smtp_server.py"))
            .args(options)
            .current_dir(dir.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| {
                panic!("no Python with aiosmtpd at {}: {error}", python.display())
            });
        let lines = BufReader::new(child.stdout.take().expect("a pipe"));
        let mut server = Self {
            child,
            lines,
            port: 0,
            dir,
        };
        server.port = server.next()["port"]
            .as_u64()
            .and_then(|port| port.try_into().ok())
            .expect("a port");
        server
    }

    /// The certificate that clients may trust.
    pub(crate) fn certificate(&self) -> PathBuf {
        self.dir.path().join("cert.pem")
    }

    /// The next line, a mail.
    pub(crate) fn next(&mut self) -> serde_json::Value {
        let mut line = String::new();
        self.lines.read_line(&mut line).expect("a line");
        serde_json::from_str(&line).expect("a line of the server")
    }

    fn mailer(&self, change: impl FnOnce(&mut Mail)) -> Mailer {
        rustls::crypto::ring::default_provider()
            .install_default()
            .ok();
        let mut mail = Mail {
            server: MailServer::Smtp {
                host: "localhost".to_owned(),
                port: self.port,
            },
            tls: MailTls::Required,
            ca_file: Some(self.certificate()),
            from: "Wächter <sgeventd@studio.example>".to_owned(),
            username: Some("sg".to_owned()),
            ..Mail::default()
        };
        change(&mut mail);
        Mailer::new(&mail, Some(&Secret::new(PASSWORD)), "evt01").expect("a mailer")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

pub(crate) const STARTTLS: [&str; 8] = [
    "--cert",
    "cert.pem",
    "--key",
    "key.pem",
    "--user",
    "sg",
    "--password",
    PASSWORD,
];

fn letter() -> Letter {
    Letter {
        to: "Jürgen Müller <pipeline@studio.example>".to_owned(),
        subject: "[sgeventd mill] 撮影 DISABLED: KeyError 'größe'".to_owned(),
        body: "Ω étoile\n".to_owned(),
        message_id: "abc@evt01".to_owned(),
        about: Some("root@evt01".to_owned()),
        time: Unix(1_783_625_617_000),
    }
}

/// The header's value, unfolded, as it was sent.
fn header(data: &str, name: &str) -> String {
    let head = data
        .split("\r\n\r\n")
        .next()
        .unwrap_or_default()
        .replace("\r\n ", " ");
    let prefix = format!("{name}: ");
    head.lines()
        .find_map(|line| line.strip_prefix(&prefix))
        .unwrap_or_default()
        .to_owned()
}

#[tokio::test]
async fn a_mail_in_any_language_goes_out_by_starttls_with_a_login() {
    let mut server = Server::start(&STARTTLS);
    server.mailer(|_| ()).send(&letter()).await.unwrap();
    let got = server.next();
    assert_eq!(
        (&got["is_tls"], &got["login"]),
        (&true.into(), &"sg".into())
    );
    assert_eq!(got["to"], serde_json::json!(["pipeline@studio.example"]));
    let data = got["data"].as_str().unwrap();
    assert!(header(data, "Subject").contains("=?utf-8?b?"), "{data}");
    assert_eq!(header(data, "Message-ID"), "<abc@evt01>");
    assert_eq!(header(data, "References"), "<root@evt01>");
    assert_eq!(header(data, "Auto-Submitted"), "auto-generated");
    assert_eq!(header(data, "List-Id"), "<sgeventd.evt01>");
}

#[tokio::test]
async fn smtps_works_too() {
    let options: Vec<&str> = STARTTLS.into_iter().chain(["--wrapped"]).collect();
    let mut server = Server::start(&options);
    let port = server.port;
    let mailer = server.mailer(|mail| {
        mail.server = MailServer::Smtps {
            host: "localhost".to_owned(),
            port,
        }
    });
    mailer.send(&letter()).await.unwrap();
    assert_eq!(server.next()["is_tls"], true);
}

#[tokio::test]
async fn what_goes_wrong_is_said_in_words_and_without_the_password() {
    let server = Server::start(&STARTTLS);
    let stranger = server
        .mailer(|mail| mail.ca_file = None)
        .send(&letter())
        .await
        .unwrap_err();
    assert!(
        stranger.is_worth_a_retry() && stranger.to_string().contains("mail.ca_file"),
        "{stranger}"
    );
    let login = server
        .mailer(|mail| mail.username = Some("other".to_owned()))
        .send(&letter())
        .await
        .unwrap_err();
    assert!(
        login.is_worth_a_retry() && login.to_string().contains("535"),
        "{login}"
    );
    let plain = Server::start(&[]);
    let no_tls = plain
        .mailer(|mail| mail.tls = MailTls::Auto)
        .send(&letter())
        .await
        .unwrap_err();
    assert!(
        !no_tls.to_string().contains(PASSWORD) && !no_tls.to_string().contains("os error"),
        "{no_tls}"
    );
    let refusing = Server::start(
        &[
            &STARTTLS[..],
            &["--refuse", "550 no such user", "--refuse-times", "9"],
        ]
        .concat(),
    );
    let refused = refusing.mailer(|_| ()).send(&letter()).await.unwrap_err();
    assert!(
        !refused.is_worth_a_retry() && refused.to_string().contains("550"),
        "{refused}"
    );
}

/// A server that says "not now" once: the mail is tried again and arrives, once.
#[tokio::test]
async fn an_alert_is_mailed_though_the_server_is_away_at_first() {
    let mut server = Server::start(&[&STARTTLS[..], &["--refuse-times", "1"]].concat());
    let (tasks, stop, clock) = (TaskTracker::new(), CancellationToken::new(), Clock::start());
    let policy = Policy {
        to: vec!["pipeline@studio.example".to_owned()],
        has_mail: true,
        gather: Duration::from_millis(10),
        digest: Duration::from_secs(3600),
        max_per_day: 10,
    };
    let context = Context {
        host: "evt01".to_owned(),
        site: "mill".to_owned(),
        url: None,
        zone: jiff::tz::TimeZone::UTC,
        way: sgeventd::way::Way::Packaged,
    };
    let options = Options {
        policy,
        context,
        mailer: Some(server.mailer(|_| ())),
        webhook: None,
    };
    let alerts: Alerts = start(options, clock, &tasks, &stop);
    for _ in 0..1000 {
        alerts.begin(Alert::new(
            CauseKey::new("site/down"),
            "site_down",
            Grade::Error,
            "the site is away",
        ));
    }
    assert_eq!(alerts.open()[0].count, 1000);
    // The server comes back out of the thread: it must live until it has answered.
    let read = tokio::task::spawn_blocking(move || (server.next(), server));
    let (got, _server) = read.await.unwrap();
    assert!(header(got["data"].as_str().unwrap(), "Subject").contains("the site is away"));
    stop.cancel();
    tasks.close();
    tasks.wait().await;
    assert_eq!(
        alerts.status().mail.map(|mail| (mail.sent, mail.dropped)),
        Some((1, 0))
    );
}
