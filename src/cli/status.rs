//! `status`: what works, what does not, and what to type next.

mod page;

use super::{
    Exit,
    args::StatusArgs,
    exit::Failure,
    output::{data, json},
    reach,
};
use crate::{
    admin::{AdminClient as _, client::connect, status::Overall},
    clock::Clock,
};

/// Asks the daemon and prints what it says.
pub(super) fn run(args: &StatusArgs) -> Result<Exit, Failure> {
    let socket = reach::socket(&args.reach)?;
    let status = reach::wait(async {
        let client = connect(&socket)
            .await
            .map_err(|error| reach::refused(&error))?;
        client
            .status()
            .await
            .map_err(|error| Failure::new(Exit::Down, &error))
    })?;
    if args.json {
        data(&json(&status)?);
    } else {
        let shown = page::Shown {
            all: args.all,
            now: Clock::unix(),
            zone: jiff::tz::TimeZone::system(),
            command: &|words| reach::command(&args.reach, words),
        };
        page::page(&status, &shown).iter().all(|line| data(line));
    }
    Ok(match status.state {
        Overall::Ok => Exit::Done,
        Overall::Degraded => Exit::No,
        Overall::Down => Exit::Down,
    })
}
