//! Downloads: whole or not at all, with a cookie for the site alone, a few at once.

use std::fs;

use serde_json::json;

use super::Desk;
use crate::site::tests::server::{Move, Server};

fn token() -> Move {
    Move::json(r#"{"session_id":"canary-token-of-the-web"}"#)
}

fn moved(to: &str) -> Move {
    Move::status("302 Found", &format!("location: {to}\r\n"), b"")
}

#[tokio::test]
async fn a_download_is_whole_and_the_storage_sees_no_cookie() {
    let storage = Server::start([Move::status("200 OK", "", b"the bytes")]).await;
    let desk = Desk::new([
        token(),
        moved(&format!("{}/x?signature=s1gned", storage.url)),
    ])
    .await;
    fs::write(desk.at("b.mov"), "an older one").unwrap();
    for attachment in ["12", r#"{"type":"Attachment","id":12}"#] {
        let params = format!(r#"{{"attachment":{attachment},"file_path":"b.mov"}}"#);
        assert_eq!(
            desk.bench.call("sg.download", &params).await.unwrap(),
            "\"b.mov\""
        );
    }
    assert_eq!(fs::read(desk.at("b.mov")).unwrap(), b"the bytes");
    assert_eq!(desk.names(), ["a.mov", "b.mov"]);
    let mode = std::os::unix::fs::PermissionsExt::mode(
        &fs::metadata(desk.at("b.mov")).unwrap().permissions(),
    );
    assert_eq!(mode & 0o777, 0o666);
    let asked = desk.server.asked();
    assert_eq!(asked.len(), 3, "one token for both");
    assert!(asked[1].head.starts_with("GET /file_serve/attachment/12 "));
    assert!(
        asked[1]
            .head
            .contains("cookie: _session_id=canary-token-of-the-web")
    );
    assert!(
        storage
            .asked()
            .iter()
            .all(|asked| !asked.head.contains("canary"))
    );
}

#[tokio::test]
async fn a_token_that_has_ended_is_asked_for_anew() {
    let page = || {
        Move::status(
            "200 OK",
            "content-type: text/html\r\n",
            b"<title>Sign in</title>",
        )
    };
    let file = Move::status(
        "200 OK",
        "content-type: text/html\r\ncontent-disposition: inline\r\n",
        b"<p>",
    );
    let desk = Desk::new([token(), page(), token(), file]).await;
    let params = r#"{"attachment":12,"file_path":"b.html"}"#;
    desk.bench.call("sg.download", params).await.unwrap();
    assert_eq!(fs::read(desk.at("b.html")).unwrap(), b"<p>");
    let desk = Desk::new([token(), page(), token(), page()]).await;
    let error = desk.bench.call("sg.download", params).await.unwrap_err();
    assert!(
        error.message.contains("HTML") && error.message.contains("Sign in"),
        "{error}"
    );
    assert_eq!(desk.names(), ["a.mov"]);
}

#[tokio::test]
async fn a_download_that_breaks_off_begins_anew_and_leaves_nothing() {
    let half = || Move::cut("half", 100);
    let storage = Server::start([half(), half(), Move::status("200 OK", "", b"whole")]).await;
    let desk = Desk::new([]).await;
    let params = json!({"attachment": {"url": format!("{}/x", storage.url)}, "file_path": "b.mov"})
        .to_string();
    desk.bench.call("sg.download", &params).await.unwrap();
    assert_eq!(fs::read(desk.at("b.mov")).unwrap(), b"whole");
    assert_eq!(desk.server.count(), 0, "the site has no part in it");

    let storage = Server::start([half()]).await;
    let params = json!({"attachment": {"url": format!("{}/x", storage.url)}, "file_path": "c.mov"})
        .to_string();
    let (code, data) = desk.bench.refused("sg.download", &params).await;
    assert_eq!((code, &data["sent"]), (-32015, &json!(false)));
    assert_eq!(storage.count(), 3);
    let gone = Server::start([Move::status("410 Gone", "", b"malware was found")]).await;
    let params =
        json!({"attachment": {"url": format!("{}/x", gone.url)}, "file_path": "c.mov"}).to_string();
    let error = desk.bench.call("sg.download", &params).await.unwrap_err();
    assert!(error.message.contains("malware was found"), "{error}");
    until_gone(&desk).await;
}

/// The thread that writes takes the rest away when it hears that nobody goes on.
async fn until_gone(desk: &Desk) {
    while desk.names().iter().any(|name| name.ends_with(".part")) {
        tokio::task::yield_now().await;
    }
    assert!(!desk.names().contains(&"c.mov".to_owned()));
}

#[tokio::test]
async fn a_cancelled_download_leaves_nothing() {
    let head = b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf".to_vec();
    let storage = Server::start([Move::Raw(head)]).await;
    let desk = Desk::new([]).await;
    let params = json!({"attachment": {"url": format!("{}/x", storage.url)}, "file_path": "c.mov"})
        .to_string();
    {
        let mut call = Box::pin(desk.bench.call("sg.download", &params));
        while !desk.names().iter().any(|name| name.ends_with(".part")) {
            assert!(futures::poll!(&mut call).is_pending());
            tokio::task::yield_now().await;
        }
    }
    until_gone(&desk).await;
}

#[tokio::test]
async fn what_is_no_attachment_is_said() {
    let desk = Desk::new([]).await;
    for (attachment, words) in [
        ("null", "allowed: an id"),
        ("\"12\"", "allowed: an id"),
        (r#"{"type":"Shot","id":3}"#, "allowed: an id"),
        (
            r#"{"link_type":"local","url":"file:///x","local_path":"/x"}"#,
            "read by its path",
        ),
        (r#"{"url":"file:///etc/passwd"}"#, "begins with https://"),
        (r#"{"url":"/relative"}"#, "begins with https://"),
    ] {
        let params = format!(r#"{{"attachment":{attachment},"file_path":"b.mov"}}"#);
        let error = desk.bench.call("sg.download", &params).await.unwrap_err();
        assert!(error.message.contains(words), "{attachment}: {error}");
    }
    assert_eq!(desk.server.count(), 0);
    until_gone(&desk).await;
}

#[tokio::test]
async fn the_fifth_file_of_a_plugin_waits_for_one_to_end() {
    let storage = Server::start([Move::Hang]).await;
    let desk = Desk::new([]).await;
    let params = |name: &str| {
        json!({"attachment": {"url": format!("{}/x", storage.url)}, "file_path": name}).to_string()
    };
    let names = ["1", "2", "3", "4", "5"].map(params);
    let mut calls: Vec<_> = names
        .iter()
        .map(|params| Box::pin(desk.bench.call("sg.download", params)))
        .collect();
    let drafts = |desk: &Desk| {
        desk.names()
            .iter()
            .filter(|name| name.ends_with(".part"))
            .count()
    };
    while storage.count() < 4 {
        for call in &mut calls {
            assert!(futures::poll!(call).is_pending());
        }
        tokio::task::yield_now().await;
    }
    assert_eq!(drafts(&desk), 4);
    drop(calls.remove(0));
    while storage.count() < 5 {
        for call in &mut calls {
            assert!(futures::poll!(call).is_pending());
        }
        tokio::task::yield_now().await;
    }
    assert_eq!(drafts(&desk), 4);
    drop(calls);
    until_gone(&desk).await;
}
