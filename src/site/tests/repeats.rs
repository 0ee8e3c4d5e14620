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
async fn a_write_that_found_no_listener_was_not_sent() {
    let session = session("http://127.0.0.1:1");
    let error = session.call(&Call::new("create", None)).await.unwrap_err();
    assert!(matches!(error, SiteError::Connect { .. }), "{error:?}");
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
async fn a_refused_key_is_not_tried_again_by_plugins_until_it_worked() {
    let auth = Move::json(
        r#"{"exception":true,"message":"Can't authenticate script 'daemon'","error_code":102}"#,
    );
    let server = Server::start([auth, Move::results("7")]).await;
    let session = session(&server.url);
    let call = Call::new("read", None);
    for _ in 0..3 {
        let error = session.clone().call(&call).await.unwrap_err();
        assert!(matches!(error, SiteError::Auth { .. }), "{error:?}");
    }
    assert_eq!(server.count(), 1);
    session.call_once(&call).await.unwrap();
    session.call(&call).await.unwrap();
    assert_eq!(server.count(), 3);
}

#[tokio::test]
async fn a_login_that_cannot_be_acted_for_says_nothing_against_the_key() {
    let sudo = Move::json(
        r#"{"exception":true,"message":"Cannot 'sudo' - unknown or retired user: 'x'","error_code":102}"#,
    );
    let server = Server::start([sudo, Move::results("7")]).await;
    let session = session(&server.url);
    let call = Call::new("read", None);
    let error = session.call(&call).await.unwrap_err();
    assert!(
        matches!(
            error,
            SiteError::Fault {
                code: Some(102),
                ..
            }
        ),
        "{error:?}"
    );
    session.call(&call).await.unwrap();
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
