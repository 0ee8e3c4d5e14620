//! One try: what is sent, what comes back, how each kind of trouble is named.

use std::time::Duration;

use serde_json::{json, value::RawValue};

use super::{
    server::{Move, Server},
    session, session_with,
};
use crate::{
    clock::Unix,
    ident::EventId,
    site::{
        Call, ConnectKind, EventQuery, Site, SiteError, SiteOptions, Span, Tries,
        tap::{CallRecord, CallTap},
    },
};

async fn answer(answer: Move) -> Result<String, SiteError> {
    let server = Server::start([answer]).await;
    let reply = session(&server.url)
        .call_once(&Call::new("read", None))
        .await?;
    Ok(reply.to_raw().get().to_owned())
}

#[tokio::test]
async fn a_call_goes_out_as_the_official_client_sends_it() {
    let server = Server::start([Move::results("{ \"a\": [1.0, 2] }")]).await;
    let url = server.url.replace("http://", "http://Us%20er:pass-word-1@");
    let payload = RawValue::from_string(r#"{"type":"Shot"}"#.into()).unwrap();
    let call = Call {
        session_uuid: Some("dd6a1d6a"),
        sudo_as_login: Some("artist"),
        ..Call::new("read", Some(&payload))
    };
    let reply = session(&format!("{url}/base/"))
        .call_once(&call)
        .await
        .unwrap();
    assert_eq!(reply.result, "{ \"a\": [1.0, 2] }");
    assert_eq!(reply.date, Some(Unix(784_111_777_000)));
    let asked = server.asked().remove(0);
    assert!(
        asked.head.starts_with("POST /base/api3/json HTTP/1.1\r\n"),
        "{}",
        asked.head
    );
    let head = asked.head.to_ascii_lowercase();
    for line in [
        "content-type: application/json; charset=utf-8\r\n",
        "accept-encoding: gzip\r\n",
        "authorization: Basic VXMgZXI6cGFzcy13b3JkLTE=\r\n",
    ] {
        assert!(
            head.contains(&line.to_ascii_lowercase()),
            "{line} in {head}"
        );
    }
    assert_eq!(
        asked.json(),
        json!({"method_name": "read", "params": [
            {"script_name": "daemon", "script_key": "canary-key-of-the-daemon", "session_uuid": "dd6a1d6a", "sudo_as_login": "artist"},
            {"type": "Shot"}]})
    );
}

#[tokio::test]
async fn info_carries_no_credentials_and_is_remembered() {
    let server = Server::start([Move::json(
        r#"{"version":[8,89,0],"api_max_entities_per_page":5000}"#,
    )])
    .await;
    let session = session(&server.url);
    assert_eq!(session.capabilities().await.unwrap().page_max, 5000);
    assert_eq!(session.capabilities().await.unwrap().version, [8, 89, 0]);
    session.call(&Call::new("info", None)).await.unwrap();
    let asked = server.asked();
    assert_eq!(asked.len(), 2, "the second answer came from memory");
    for asked in asked {
        assert_eq!(asked.json(), json!({"method_name": "info", "params": []}));
    }
}

#[tokio::test]
async fn good_answers_come_back_unwrapped() {
    assert_eq!(answer(Move::json("[1]")).await.unwrap(), "[1]");
    assert_eq!(
        answer(Move::gzip(b"{\"results\": {\"x\": null}}"))
            .await
            .unwrap(),
        "{\"x\": null}"
    );
    let plain = Move::status("200 OK", "", b"{\"results\": 1}");
    assert_eq!(answer(plain).await.unwrap(), "1");
}

#[tokio::test]
async fn each_trouble_has_a_name() {
    let html = Move::status(
        "200 OK",
        "content-type: text/html\r\n",
        b"<html><title>Sign in</title>",
    );
    let sly = Move::status(
        "200 OK",
        "content-type: application/json\r\n",
        b"\n<!DOCTYPE html>",
    );
    let moved = Move::status(
        "302 Found",
        "location: https://sso.example/login?token=abc\r\n",
        b"",
    );
    let busy = Move::status(
        "503 Busy",
        "retry-after: 17\r\n",
        b"<html><title>Maintenance</title>",
    );
    let blocked = Move::status("403 Forbidden", "", b"API access is blocked");
    let fault = Move::json(r#"{"exception":true,"message":"no","error_code":104}"#);
    let auth = Move::json(
        r#"{"exception":true,"message":"Can't authenticate script 'daemon'","error_code":102}"#,
    );
    let garbage = Move::status("200 OK", "content-encoding: gzip\r\n", b"no gzip at all");
    let mut shown = Vec::new();
    for broken in [
        html,
        sly,
        moved,
        busy,
        blocked,
        fault,
        auth,
        Move::json(""),
        Move::json("{\"results\": [1, 2"),
        Move::cut("{\"results\"", 500),
        garbage,
        Move::Cut(b"not http at all\r\n\r\n".to_vec()),
        Move::Cut(Vec::new()),
    ] {
        let error = answer(broken).await.unwrap_err();
        shown.push(error.to_string().replace(|c: char| c.is_ascii_digit(), "9"));
    }
    insta::assert_snapshot!(shown.join("\n"), @r#"
        the site answered HTML, not JSON (proxy? SSO?): Sign in
        the site answered HTML, not JSON (proxy? SSO?)
        the site answered HTTP 999, a redirect to https://sso.example/login; redirects are not followed: is [site] url right?
        the site answered HTTP 999: Maintenance
        the site answered HTTP 999: API access is blocked
        the site refused read: no
        the site does not accept the credentials of script `daemon`: Can't authenticate script 'daemon'
        the site's answer is not JSON: the body is empty
        the site's answer is not JSON: EOF while parsing a list at line 9 column 99
        the site's answer ended after 99 bytes: end of file before message length reached
        the site's answer ended after 9 bytes: it cannot be decompressed: Invalid gzip header
        the connection to 999.9.9.9:99999 was lost before an answer: invalid HTTP version parsed
        the connection to 999.9.9.9:99999 was lost before an answer: connection closed before message completed
        "#);
}

#[tokio::test]
async fn retry_after_is_kept() {
    let busy = Move::status("429 Slow down", "retry-after: 17\r\n", b"");
    let error = answer(busy).await.unwrap_err();
    assert_eq!(error.retry_after(), Some(Duration::from_secs(17)));
}

#[tokio::test]
async fn an_answer_has_a_largest_size_whatever_its_compression() {
    let options = |url: &str| SiteOptions {
        answer_bytes: 1 << 20,
        ..SiteOptions::new(url)
    };
    let bomb = vec![b' '; 64 << 20];
    let announced = Move::cut("", 2 << 30);
    for broken in [Move::gzip(&bomb), announced] {
        let server = Server::start([broken]).await;
        let session = session_with(options(&server.url));
        let error = session
            .call_once(&Call::new("read", None))
            .await
            .unwrap_err();
        assert_eq!(error, SiteError::TooLarge { limit: 1 << 20 });
    }
}

#[tokio::test]
async fn the_deadline_covers_the_whole_answer() {
    for slow in [Move::Hang, Move::Trickle] {
        let server = Server::start([slow]).await;
        let after = Duration::from_millis(60);
        let session = session_with(SiteOptions {
            timeout: after,
            ..SiteOptions::new(&server.url)
        });
        let error = session
            .call_once(&Call::new("read", None))
            .await
            .unwrap_err();
        assert_eq!(error, SiteError::Timeout { after });
    }
}

#[tokio::test]
async fn no_connection_says_which_step_failed() {
    // Nobody listens on port 1.
    let error = session("http://127.0.0.1:1")
        .call_once(&Call::new("read", None))
        .await;
    assert!(
        matches!(
            error,
            Err(SiteError::Connect {
                kind: ConnectKind::Refused,
                ..
            })
        ),
        "{error:?}"
    );
    let error = session("http://no-such-host.invalid")
        .call_once(&Call::new("read", None))
        .await;
    let error = error.unwrap_err();
    assert!(
        matches!(
            error,
            SiteError::Connect {
                kind: ConnectKind::Dns,
                ..
            }
        ),
        "{error:?}"
    );
}

#[tokio::test]
async fn a_proxy_gets_the_request_with_its_password() {
    let proxy = Server::start([Move::results("1")]).await;
    let session = session_with(SiteOptions {
        proxy: Some(proxy.url.replace("http://", "me:proxy-pass-1@")),
        ..SiteOptions::new("http://studio.invalid")
    });
    assert_eq!(
        session
            .call_once(&Call::new("read", None))
            .await
            .unwrap()
            .result,
        "1"
    );
    let head = proxy.asked().remove(0).head;
    assert!(
        head.starts_with("POST http://studio.invalid/api3/json"),
        "{head}"
    );
    assert!(
        head.to_ascii_lowercase()
            .contains("proxy-authorization: basic"),
        "{head}"
    );
}

#[tokio::test]
async fn a_proxy_that_refuses_is_named() {
    let mut shown = Vec::new();
    for status in ["407 Proxy Authentication Required", "403 Forbidden"] {
        let proxy = Server::start([Move::status(status, "", b"")]).await;
        let session = session_with(SiteOptions {
            proxy: Some(proxy.url),
            ..SiteOptions::new("https://studio.invalid")
        });
        let error = session.call_once(&Call::new("create", None)).await;
        shown.push(error.unwrap_err().to_string());
    }
    insta::assert_snapshot!(shown.join("\n"), @r#"
        cannot connect to studio.invalid: the proxy does not let us through: tunnel error: proxy authorization required; it wants a user in [site] proxy and a proxy_password
        cannot connect to studio.invalid: the proxy does not let us through: tunnel error: unsuccessful
        "#);
}

#[tokio::test]
async fn a_bad_setup_is_said_before_anything_is_sent() {
    let with = |change: fn(&mut SiteOptions)| {
        let mut options = SiteOptions::new("https://h");
        change(&mut options);
        Site::new(&options)
            .err()
            .map(|error| error.to_string())
            .unwrap_or_default()
    };
    let shown = [
        with(|options| options.url = "studio".into()),
        with(|options| options.proxy = Some("socks5://x".into())),
        with(|options| options.ca_file = Some("/nonexistent.pem".into())),
        with(|options| options.ca_file = Some("Cargo.toml".into())),
    ];
    insta::assert_snapshot!(shown.join("\n"), @r#"
        the site's URL cannot be read (relative URL without a base); it looks like https://studio.shotgrid.autodesk.com
        [site] proxy cannot be read (socks5:// is not supported); it looks like http://user@proxy.studio.example:3128
        cannot read [site] ca_file /nonexistent.pem
        [site] ca_file Cargo.toml holds no certificate; it must be PEM, with -----BEGIN CERTIFICATE-----
        "#);
}

#[tokio::test]
async fn events_are_read_and_counted() {
    let rows = r#"{"entities":[{"id":5, "meta":null},{"id":7}]}"#;
    let count = r#"{"summaries":{"id":4},"groups":[]}"#;
    let server = Server::start([Move::results(rows), Move::results(count)]).await;
    let session = session(&server.url);
    let spans = [Span::Above(EventId(4))];
    let page = session
        .read_events(&EventQuery::new(&spans, 500), Tries::Once)
        .await
        .unwrap();
    assert_eq!(
        page.rows().collect::<Vec<_>>(),
        [r#"{"id":5, "meta":null}"#, r#"{"id":7}"#]
    );
    assert_eq!(page.date, Some(Unix(784_111_777_000)));
    let counted = session.count_events(&spans, Tries::Once).await.unwrap();
    assert_eq!(counted.rows, 4);
}

#[derive(Default)]
struct Notes(std::sync::Mutex<Vec<String>>);

impl CallTap for Notes {
    fn tried(&self, record: &CallRecord<'_>) {
        let line = format!("{record:?}");
        assert!(!line.contains("canary-key"), "{line}");
        let CallRecord {
            method,
            attempt,
            status,
            request_id,
            ..
        } = record;
        let note = format!("{method} {attempt} {status:?} {request_id:?}");
        self.0.lock().unwrap().push(note);
    }
}

#[tokio::test]
async fn every_try_is_noted_without_the_key() {
    let notes = std::sync::Arc::new(Notes::default());
    let good = Move::status("200 OK", "x-request-id: abc\r\n", b"{\"results\": 1}");
    let bad = Move::status("502 Bad", "x-request-id: first\r\n", b"");
    let server = Server::start([bad, good]).await;
    let session = session_with(SiteOptions {
        tap: Some(notes.clone()),
        ..SiteOptions::new(&server.url)
    });
    session.call(&Call::new("read", None)).await.unwrap();
    let notes = notes.0.lock().unwrap().clone();
    assert_eq!(
        notes,
        [
            "read 1 Some(502) Some(\"first\")",
            "read 2 Some(200) Some(\"abc\")"
        ]
    );
}
