//! `sandbox`: a made-up site until Ctrl-C, and orders for one that runs.
//!
//! The one place where a key may stand on a command line: the site is made up, and so is the key.

use std::time::Duration;

use serde_json::{Map, Value, json};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use super::{
    Exit,
    args::{CtlArgs, SandboxArgs, SandboxCommand, ScenarioArg},
    exit::Failure,
    output::{data, talk},
};
use crate::{
    sandbox::{Options, Sandbox, Scenario},
    secret::Secret,
};

/// A made-up site answers at once, or not at all.
const PATIENCE: Duration = Duration::from_secs(10);

/// Runs a site, or gives one an order.
pub(super) fn run(args: &SandboxArgs) -> Result<Exit, Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(|error| Failure::new(Exit::Io, &error))?;
    runtime.block_on(async {
        match &args.order {
            Some(SandboxCommand::Ctl(order)) => ctl(order).await,
            None => serve(args).await,
        }
    })
}

async fn serve(args: &SandboxArgs) -> Result<Exit, Failure> {
    let io = |error: std::io::Error| Failure::new(Exit::Io, &error);
    // Before the line is printed: whoever reads it may send a signal at once.
    let mut terminate = signal(SignalKind::terminate()).map_err(io)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(io)?;
    let key = args.key.clone();
    let key = key.unwrap_or_else(|| format!("{:032x}", fastrand::u128(..)));
    let options = Options {
        listen: args.listen,
        scripts: vec![(args.script.clone(), Secret::new(key.clone()))],
        seed: args.seed,
        scenario: match args.scenario {
            ScenarioArg::Empty => Scenario::Empty,
            ScenarioArg::Demo => Scenario::Demo,
        },
        rate: args.rate,
        page_delay: Duration::from_millis(args.page_delay_ms),
    };
    let stop = CancellationToken::new();
    let sandbox = Sandbox::start(options, stop.clone())
        .await
        .map_err(|error| {
            let what = format!("cannot listen on {}: {error}", args.listen);
            Failure::words(Exit::Io, what)
                .hint("name another address with --listen; port 0 takes a free one")
        })?;
    announce(args, &sandbox.url(), &key);
    tokio::select! {
        _signal = terminate.recv() => {}
        _signal = interrupt.recv() => {}
    }
    stop.cancel();
    sandbox.closed().await;
    Ok(Exit::Done)
}

fn announce(args: &SandboxArgs, url: &str, key: &str) {
    let script = &args.script;
    if args.json {
        data(&json!({"url": url, "script": script, "key": key}).to_string());
        return;
    }
    data(&format!("url     {url}"));
    data(&format!("script  {script}"));
    data(&format!("key     {key}"));
    talk("A made-up site, gone when this ends (Ctrl-C). Make it misbehave with");
    talk(&format!(
        "  sgeventd sandbox ctl --url {url} fail kind=http503 calls=3"
    ));
}

async fn ctl(args: &CtlArgs) -> Result<Exit, Failure> {
    let order = order(&args.verb, &args.values)?;
    let url = format!("{}/_sandbox/ctl", args.url.trim_end_matches('/'));
    let failed = |error: reqwest::Error| {
        Failure::new(Exit::Io, &error)
            .hint("the address is the one that `sgeventd sandbox` printed")
    };
    let client = reqwest::Client::builder().timeout(PATIENCE).no_proxy();
    let client = client.build().map_err(failed)?;
    let request = client.post(url).body(order.to_string());
    let response = request.send().await.map_err(failed)?;
    let is_done = response.status().is_success();
    let text = response.text().await.map_err(failed)?;
    if !is_done {
        return Err(Failure::words(Exit::No, text.trim())
            .hint("sgeventd sandbox ctl --help lists the verbs"));
    }
    data(text.trim());
    Ok(Exit::Done)
}

/// `fail kind=html calls=3` as the site takes it; what reads as JSON is JSON, the rest is text.
fn order(verb: &str, values: &[String]) -> Result<Value, Failure> {
    let mut order = Map::new();
    order.insert("verb".into(), verb.replace('-', "_").into());
    for value in values {
        let Some((name, value)) = value.split_once('=') else {
            return Err(Failure::words(
                Exit::Usage,
                format!("\"{value}\" is not NAME=VALUE, such as calls=3"),
            ));
        };
        let read = serde_json::from_str(value).unwrap_or_else(|_text| value.into());
        order.insert(name.to_owned(), read);
    }
    Ok(order.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_is_json_where_it_can_be() {
        let values = ["kind=http503".to_owned(), "calls=3".to_owned()];
        let made = order("fail", &values).unwrap();
        assert_eq!(made, json!({"verb": "fail", "kind": "http503", "calls": 3}));
        assert!(order("fail", &["calls".to_owned()]).is_err());
    }
}
