//! A made-up site of a test, and its calls.

use std::time::Duration;

use serde_json::{Value, json};
use sgeventd::{
    sandbox::{Options, Sandbox, Scenario},
    secret::Secret,
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::KEY;

/// A made-up site.
pub(crate) struct Site {
    pub(crate) sandbox: Sandbox,
    _stop: DropGuard,
}

impl Site {
    /// A site where nobody works by themselves.
    pub(crate) async fn quiet() -> Self {
        Self::start(0.0, 7).await
    }

    /// A site where artists work.
    pub(crate) async fn start(rate: f64, seed: u64) -> Self {
        let stop = CancellationToken::new();
        let options = Options {
            listen: ([127, 0, 0, 1], 0).into(),
            scripts: ["sgeventd", "other"]
                .map(|name| (name.to_owned(), Secret::new(KEY.to_owned())))
                .into(),
            seed,
            scenario: Scenario::Demo,
            rate,
            page_delay: Duration::ZERO,
        };
        let sandbox = Sandbox::start(options, stop.clone()).await.expect("a site");
        Self {
            sandbox,
            _stop: stop.drop_guard(),
        }
    }

    /// Gives it an order.
    pub(crate) fn order(&self, order: &Value) -> Value {
        self.sandbox.order(order).expect("an order")
    }

    /// Artists do so many things.
    pub(crate) fn work(&self, times: u32) {
        self.order(&json!({"verb": "work", "times": times}));
    }

    /// Everything works again.
    pub(crate) fn clear(&self) {
        self.order(&json!({"verb": "clear"}));
    }

    /// When it was asked since a time, after it; but for its limits, which is one question beside the others after each outage.
    pub(crate) fn asked_since(&self, begun: tokio::time::Instant) -> Vec<Duration> {
        let asked = self.sandbox.asked().into_iter();
        let asked = asked.filter(|call| call.at >= begun && call.method != "info");
        asked.map(|call| call.at - begun).collect()
    }

    /// How many of them were refused because of their key.
    pub(crate) fn refused(&self) -> u64 {
        self.count("refused")
    }

    fn count(&self, what: &str) -> u64 {
        self.sandbox.summary()[what].as_u64().expect("a number")
    }

    /// One call of the site's API by the daemon's script; its whole answer.
    pub(crate) async fn call(&self, method: &str, payload: &Value) -> Value {
        self.call_by("sgeventd", method, payload).await
    }

    /// One call of the site's API by a script, `sgeventd` or `other`; its whole answer.
    pub(crate) async fn call_by(&self, script: &str, method: &str, payload: &Value) -> Value {
        let auth = json!({"script_name": script, "script_key": KEY});
        let body = json!({"method_name": method, "params": [auth, payload]}).to_string();
        let host = self.sandbox.url().replace("http://", "");
        let request = format!(
            "POST /api3/json HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        let mut stream = TcpStream::connect(&host).await.expect("the site");
        stream
            .write_all(request.as_bytes())
            .await
            .expect("it listens");
        let mut answer = String::new();
        stream
            .read_to_string(&mut answer)
            .await
            .expect("it answers");
        let (_, body) = answer.split_once("\r\n\r\n").expect("an answer");
        serde_json::from_str(body).expect("JSON")
    }

    /// Gives the first Shot another description.
    pub(crate) async fn describe(&self, words: &str) {
        let field = json!({ "field_name": "description", "value": words });
        let update = json!({ "type": "Shot", "id": 1, "fields": [field] });
        let answer = self.call("update", &update).await;
        assert_eq!(answer["results"]["description"], words, "{answer}");
    }

    /// The ids that are readable.
    pub(crate) fn truth(&self) -> Vec<i64> {
        self.sandbox.truth()
    }
}
