//! `site accept`: a site that was restored from a backup is taken as it is.

use super::{
    Exit,
    args::{AcceptArgs, SiteCommand},
    ask::confirm,
    exit::Failure,
    output::data,
    reach,
};
use crate::{
    admin::{AdminClient as _, SiteAccepted, Status},
    ident::EventId,
};

/// Runs a verb of `site`.
pub(super) fn run(command: &SiteCommand) -> Result<Exit, Failure> {
    let SiteCommand::Accept(args) = command;
    reach::wait(accept(args))
}

async fn accept(args: &AcceptArgs) -> Result<Exit, Failure> {
    let client = reach::daemon(&args.reach).await?;
    let status = client
        .status()
        .await
        .map_err(|error| reach::failed(&error))?;
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
    let accepted = accepted.map_err(|error| reach::failed(&error))?;
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
