//! `site accept`: a site that was restored from a backup is taken as it is.

use std::time::Duration;

use jsonrpsee::core::client::Error;

use super::{
    Exit,
    args::{AcceptArgs, SiteCommand},
    ask::confirm,
    exit::Failure,
    output::data,
    reach,
};
use crate::{
    admin::{AdminClient as _, SiteAccepted, Status, client::connect_for},
    ident::EventId,
};

/// It is answered after its commit, which a busy disk may hold up.
const PATIENCE: Duration = Duration::from_secs(30);

/// Runs a verb of `site`.
pub(super) fn run(command: &SiteCommand) -> Result<Exit, Failure> {
    let SiteCommand::Accept(args) = command;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::new(Exit::Io, &error))?;
    runtime.block_on(accept(args))
}

async fn accept(args: &AcceptArgs) -> Result<Exit, Failure> {
    let socket = reach::socket(&args.reach)?;
    let client = connect_for(&socket, PATIENCE).await;
    let client = client.map_err(|error| reach::refused(&error))?;
    let status = client.status().await.map_err(|error| failed(&error))?;
    if status.site.state != "rewound" {
        let words = format!(
            "the site is not rewound but {}: its log goes on where it was read last",
            status.site.state
        );
        return Err(Failure::words(Exit::No, words));
    }
    if !confirm(&effect(&status, args.from), args.yes)? {
        return Ok(Exit::No);
    }
    let accepted = client.site_accept(EventId(args.from)).await;
    let accepted = accepted.map_err(|error| failed(&error))?;
    if args.json {
        let text = serde_json::to_string(&accepted);
        data(&text.map_err(|error| Failure::new(Exit::Io, &error))?);
    } else {
        data(&words(&accepted));
    }
    Ok(Exit::Done)
}

fn effect(status: &Status, from: i64) -> String {
    let site = &status.site;
    let head = site
        .head
        .map_or_else(|| "nothing".to_owned(), |head| format!("event {head}"));
    let mut text = format!(
        "The log of {} was read up to {head}. It is read again from event {from} on: every event from there on is new, \
         and is handed to the plugins, whatever was read under its id before. {} gaps of the old log are given up. \
         This cannot be undone.",
        site.url, site.gaps
    );
    if let Some(same) = site.accept_from
        && same.0 != from
    {
        text.push_str(&format!(
            "\nThe rows below {same} are as they were read; --from {same} begins right above them."
        ));
    }
    text
}

fn words(accepted: &SiteAccepted) -> String {
    format!(
        "accepted: timeline {} begins at event {}; {} missing ids of the old one are given up",
        accepted.timeline.0, accepted.from, accepted.given_up
    )
}

fn failed(error: &Error) -> Failure {
    match error {
        Error::Call(refusal) => Failure::words(Exit::No, refusal.message()),
        Error::RequestTimeout => Failure::words(
            Exit::Down,
            "the daemon has not answered in time; sgeventd status shows what became of it",
        ),
        other => Failure::new(Exit::Down, other),
    }
}
