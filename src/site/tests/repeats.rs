//! Calls of plugins: what is repeated, what waits for the site, who comes next.

use std::{sync::Arc, time::Duration};

use super::{
    server::{Move, Server},
    session, session_with,
};
use crate::{
    clock::Unix,
    ident::PluginName,
    site::{Call, Health, SiteError, SiteOptions},
};

fn bad(status: &str) -> Move {
    Move::status(status, "retry-after: 0\r\n", b"")
}

#[tokio::test]
async fn a_read_is_repeated_until_it_is_answered() {
    for trouble in [
        bad("429 Slow"),
        bad("502 Bad"),
        bad("503 Busy"),
        bad("504 Late"),
        Move::Cut(Vec::new()),
        Move::cut("{", 9),
    ] {
        let server = Server::start([trouble.clone(), trouble, Move::results("7")]).await;
        let reply = session(&server.url)
            .call(&Call::new("read", None))
            .await
            .unwrap();
        assert_eq!((&*reply.result, server.count()), (&b"7"[..], 3));
    }
}

#[tokio::test]
async fn a_write_is_repeated_only_when_nobody_took_it() {
    for (trouble, expected) in [
        (bad("429 Slow"), 2),
        (bad("503 Busy"), 2),
        (bad("500 Oops"), 1),
        (bad("502 Bad"), 1),
        (Move::Cut(Vec::new()), 1),
        (Move::cut("{", 9), 1),
        (Move::json("{"), 1),
    ] {
        let server = Server::start([trouble, Move::results("7")]).await;
        let result = session(&server.url).call(&Call::new("create", None)).await;
        assert_eq!(server.count(), expected, "{result:?}");
        match expected {
            1 => assert!(matches!(result, Err(SiteError::MaybeDone(_))), "{result:?}"),
            _ => assert_eq!(result.unwrap().result, "7"),
        }
    }
}

#[tokio::test]
async fn a_write_that_found_no_listener_waits_for_one() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    let session = session(&format!("http://127.0.0.1:{port}"));
    let call = tokio::spawn(async move { session.call(&Call::new("create", None)).await });
    let error = call.await.unwrap().unwrap_err();
    assert!(
        matches!(error, SiteError::Connect { .. }),
        "not a MaybeDone: {error:?}"
    );
}

#[tokio::test]
async fn a_fault_is_never_repeated() {
    let fault = Move::json(r#"{"exception":true,"message":"no","error_code":103}"#);
    let server = Server::start([fault]).await;
    let error = session(&server.url)
        .call(&Call::new("read", None))
        .await
        .unwrap_err();
    assert!(matches!(
        error,
        SiteError::Fault {
            code: Some(103),
            ..
        }
    ));
    assert_eq!(server.count(), 1);
}

#[tokio::test]
async fn calls_wait_while_the_site_is_down() {
    let server = Server::start([Move::results("7")]).await;
    let session = session(&server.url);
    let down = |reason: &str| Health::Down {
        since: Unix(0),
        reason: reason.into(),
    };
    session.site().set_health(down("refused"));
    let call = Call::new("read", None);
    let mut waiting = Box::pin(session.call(&call));
    assert!(futures::poll!(&mut waiting).is_pending());
    session.site().set_health(down("still refused"));
    assert!(futures::poll!(&mut waiting).is_pending());
    assert_eq!(server.count(), 0);
    session.site().set_health(Health::Up);
    assert_eq!(waiting.await.unwrap().result, "7");
}

#[tokio::test(start_paused = true)]
async fn patience_ends_and_says_why() {
    let session = session("http://127.0.0.1:1");
    session.site().set_health(Health::Down {
        since: Unix(0),
        reason: "connection refused".into(),
    });
    let error = session.call(&Call::new("create", None)).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "the site is away; gave up after 600 s: connection refused"
    );
}

#[tokio::test]
async fn only_the_refused_script_waits_for_new_credentials() {
    let health = Health::AuthFailed {
        since: Unix(0),
        script: Arc::from("daemon"),
        reason: "Can't authenticate script 'daemon'".into(),
    };
    assert!(health.blocks("daemon").is_some());
    assert_eq!(health.blocks("task-bot"), None);
}

#[tokio::test]
async fn a_dropped_call_gives_its_place_back() {
    let server = Server::start([Move::Hang, Move::results("7")]).await;
    let session = session_with(SiteOptions {
        max_calls: 1,
        timeout: Duration::from_secs(5),
        ..SiteOptions::new(&server.url)
    });
    let (busy, calm) = (PluginName::new("busy"), PluginName::new("calm"));
    let of = |plugin| Call {
        plugin: Some(plugin),
        ..Call::new("read", None)
    };
    let (first, second) = (of(&busy), of(&calm));
    let mut hanging = Box::pin(session.call(&first));
    let mut waiting = Box::pin(session.call(&second));
    assert!(futures::poll!(&mut hanging).is_pending());
    assert!(futures::poll!(&mut waiting).is_pending());
    while server.count() == 0 {
        assert!(futures::poll!(&mut hanging).is_pending());
        tokio::task::yield_now().await;
    }
    drop(hanging);
    assert_eq!(waiting.await.unwrap().result, "7");
}
