//! `sandbox ctl`: tells a made-up site that runs to misbehave, and what it is told already.
//!
//! In: a command. Out: one order over HTTP, and the site's answer in a sentence or as JSON.
//! Never: what an order means; that the site says.

mod args;

use std::time::Duration;

use clap::ValueEnum as _;
use reqwest::Method;
use serde_json::Value;

pub(super) use args::CtlArgs;

use self::args::Ctl;
use super::{Exit, exit::Failure, output::data};
use crate::sandbox::Kind;

/// A made-up site answers at once, or not at all.
const PATIENCE: Duration = Duration::from_secs(10);

/// Gives an order, or shows what was ordered.
pub(super) async fn run(args: &CtlArgs) -> Result<Exit, Failure> {
    if matches!(args.command, Ctl::Kinds) {
        kinds(args.json);
        return Ok(Exit::Done);
    }
    let url = args.url.trim_end_matches('/');
    let order = args.command.order();
    let answer = ask(url, order.as_ref()).await?;
    if args.json {
        data(&answer.to_string());
        return Ok(Exit::Done);
    }
    match &order {
        Some(_) => {
            let done = answer["done"].as_str().unwrap_or_default();
            data(&format!("{} ({url})", sentence(done)));
        }
        None => list(url, &answer),
    }
    Ok(Exit::Done)
}

/// One call of the site's own side.
async fn ask(url: &str, order: Option<&Value>) -> Result<Value, Failure> {
    let failed = |error: reqwest::Error| match error.is_connect() {
        true => {
            let words = format!("no sandbox answers at {url}");
            Failure::words(Exit::NotRunning, words)
                .hint("start one with `sgeventd sandbox`, or name another address with --url")
        }
        false => Failure::new(Exit::Io, &error)
            .hint("the address is the one that `sgeventd sandbox` printed"),
    };
    let client = reqwest::Client::builder().timeout(PATIENCE).no_proxy();
    let client = client.build().map_err(failed)?;
    let (method, body) = match order {
        Some(order) => (Method::POST, order.to_string()),
        None => (Method::GET, String::new()),
    };
    let request = client.request(method, format!("{url}/_sandbox/ctl"));
    let response = request.body(body).send().await.map_err(failed)?;
    let status = response.status();
    let text = response.text().await.map_err(failed)?;
    let answer: Option<Value> = serde_json::from_str(&text).ok();
    match answer.filter(|answer| status.is_success() && answer["troubles"].is_u64()) {
        Some(answer) => Ok(answer),
        None if status.as_u16() == 400 || status.as_u16() == 409 => {
            Err(Failure::words(Exit::No, text.trim()))
        }
        None => {
            let words =
                format!("what answers at {url} is no sandbox of sgeventd (status {status})");
            Err(Failure::words(Exit::No, words))
        }
    }
}

fn list(url: &str, answer: &Value) {
    let armed = answer["armed"].as_array().map_or(&[][..], Vec::as_slice);
    for one in armed {
        data(&sentence(one["words"].as_str().unwrap_or_default()));
    }
    if armed.is_empty() {
        data("Nothing is armed");
    }
    let number = |key: &str| answer[key].as_i64().unwrap_or_default();
    data(&format!(
        "{url}: {} events are readable and {} wait, the next one gets id {}; {} calls came, {} with a key that was refused",
        number("readable"),
        number("waiting"),
        number("next_id"),
        number("calls"),
        number("refused"),
    ));
}

fn kinds(is_json: bool) {
    let values = Kind::value_variants().iter();
    let lines: Vec<(String, String)> = values
        .filter_map(|kind| {
            let value = kind.to_possible_value()?;
            let help = value.get_help().map(ToString::to_string);
            Some((kind.name(), help.unwrap_or_default()))
        })
        .collect();
    if is_json {
        let all: Value = lines
            .iter()
            .map(|(name, help)| serde_json::json!({"kind": name, "words": help}))
            .collect();
        data(&all.to_string());
        return;
    }
    for (name, help) in lines {
        data(&format!("{name:<13} {help}"));
    }
}

/// Words that begin with a capital letter.
fn sentence(words: &str) -> String {
    let mut letters = words.chars();
    let first = letters.next().map(char::to_uppercase);
    first.into_iter().flatten().chain(letters).collect()
}
