//! The studio scenarios: people, shows, and months of work on them, with the log that a site would have of it.
//!
//! In: a plan, a seed, the time. Out: a site whose past was made by the same transactions and the same artists as its present.
//! Never: a clock; a name that is not in the file of names.

mod calendar;
mod cast;
mod names;
mod show;

use fastrand::Rng;

use super::{
    artists,
    fault::Fault,
    store::{Commit, Store},
};
use crate::clock::Unix;
use calendar::Calendar;
use names::Names;

/// How big a studio is.
#[derive(Debug, Clone, Copy)]
pub(super) struct Plan {
    /// People, beside the one of every site.
    people: usize,
    /// Shows, one after the other and some at once.
    shows: usize,
    /// Of each show.
    sequences: usize,
    /// Of each sequence.
    shots: usize,
    /// Of each show.
    assets: usize,
    /// How long ago the first show began.
    days: i64,
    /// How many rows the log has in the end; artists work until then.
    events: i64,
}

/// Months of work on three shows.
pub(super) const STUDIO: Plan = Plan {
    people: 48,
    shows: 3,
    sequences: 6,
    shots: 7,
    assets: 20,
    days: 150,
    events: 48_000,
};

/// Years of it.
pub(super) const HUGE: Plan = Plan {
    people: 320,
    shows: 20,
    sequences: 16,
    shots: 16,
    assets: 80,
    days: 1100,
    events: 1_000_000,
};

/// Of the time there is, shows begin in this part; the rest is for the last one.
const BEGIN_WITHIN: f64 = 0.6;

/// Makes a studio's past.
pub(super) fn build(store: &mut Store, plan: &Plan, seed: u64, now: Unix) -> Result<(), Fault> {
    let names = Names::builtin();
    let mut chance = Rng::with_seed(seed ^ 0x5354_5544_494F);
    let calendar = Calendar::until(now, plan.days);
    cast::hire(store, names, plan.people, &mut chance, calendar.at(0.0))?;
    cast::templates(store, names, calendar.at(0.0))?;
    let first = store.log.next();
    let mut begun = 0;
    loop {
        let done = store.log.next() - first;
        #[expect(clippy::cast_precision_loss, reason = "a million events fit")]
        let part = done as f64 / plan.events as f64;
        #[expect(clippy::cast_precision_loss, reason = "a few shows fit")]
        let is_due = part >= BEGIN_WITHIN * begun as f64 / plan.shows as f64;
        let at = calendar.at(part);
        if begun < plan.shows && is_due {
            show::begin(store, names, (plan, begun), &mut chance, at)?;
            begun += 1;
        } else if part >= 1.0 {
            return Ok(());
        } else if chance.u8(0..16) == 0
            && let Some(deed) = artists::look(store, &mut chance)
        {
            artists::carry_out(store, &mut chance, deed, at, Commit::Now)?;
        } else if artists::work(store, &mut chance, at, Commit::Now)? == 0 && chance.u8(0..8) == 0 {
            // Nobody has anything to do: somebody signs in and waits, so that time goes on.
            artists::carry_out(
                store,
                &mut chance,
                artists::Deed::SignIn { who: 1 },
                at,
                Commit::Now,
            )?;
        }
    }
}

#[cfg(test)]
mod tests;
