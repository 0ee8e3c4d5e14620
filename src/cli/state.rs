//! `state adopt`: the state of a site that has another address now, while no daemon runs.

use super::{
    Exit,
    args::{AdoptArgs, StateCommand},
    ask::confirm,
    exit::Failure,
    output::data,
    run,
};
use crate::daemon::adopt::Adoption;

/// Runs a verb of `state`.
pub(super) fn run(command: &StateCommand) -> Result<Exit, Failure> {
    let StateCommand::Adopt(args) = command;
    adopt(args)
}

fn adopt(args: &AdoptArgs) -> Result<Exit, Failure> {
    let config = run::accept(&args.config)?;
    let dir = config.state.dir.display();
    let looked = Adoption::look(&config).map_err(|error| run::failure(&error))?;
    let Some(adoption) = looked else {
        let words = format!("there is no journal in {dir}: nothing to adopt");
        return Err(Failure::words(Exit::No, words));
    };
    let asked = adoption.asked().to_owned();
    let found = adoption.found().map(str::to_owned);
    if found.as_deref() == Some(&*asked) {
        data(&format!("{dir} belongs to {asked} already"));
        return Ok(Exit::Done);
    }
    let found = found.as_deref().unwrap_or("no site yet");
    let effect = format!(
        "The state in {dir} belongs to {found}; it would belong to {asked}. Ids, gaps and places of the plugins stay as they \
         are: right only when this is the same site at another address. To undo it, set [site] url back and adopt again."
    );
    if !confirm(&effect, args.yes)? {
        return Ok(Exit::No);
    }
    adoption.adopt().map_err(|error| run::failure(&error))?;
    data(&format!("{dir} belongs to {asked} now"));
    Ok(Exit::Done)
}
