//! What may go, and when: bodies by age and size, rows when no plugin that still matters needs them.
//!
//! In: ages, sizes, plugins, both clocks, once a minute. Out: small steps for the writer, and what a person should hear.
//! Never: a large transaction; a deletion right after the clock has jumped; a row that was journaled lately, whose id the site may show again.

use std::time::Duration;

use super::{Extent, Journal, JournalError, Op, Outcome, Pruned, Sizes};
use crate::{
    clock::{Mono, Now, Unix},
    ident::{EventId, PluginName, Seq},
};

/// How many rows lose their body in one transaction.
const BODIES_A_STEP: u32 = 500;
/// How many rows are deleted in one transaction.
const ROWS_A_STEP: u32 = 2_000;
/// Steps at one look; the rest waits for the next one.
const STEPS: usize = 200;
/// The newest rows stay whatever their age: an idle site shows its newest row again at every poll, and it must be known.
const KEPT_ROWS: u64 = 10_000;
/// A clock that is this much further than it should be is doubted,
const DOUBT: Duration = Duration::from_secs(24 * 3600);
/// and believed when it still says so after this.
const SECOND_LOOK: Duration = Duration::from_secs(3600);

/// What the operator wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Policy {
    /// Bodies older than this go.
    pub age: Duration,
    /// Bytes that the database may use.
    pub size: u64,
    /// A plugin that was not there for this long holds nothing back.
    pub orphan: Duration,
    /// Rows younger than this stay in any case; longer than ingest may ask for a gap.
    pub rows_age: Duration,
}

impl Default for Policy {
    fn default() -> Self {
        const DAY: u64 = 24 * 3600;
        Self {
            age: Duration::from_secs(14 * DAY),
            size: 10 << 30,
            orphan: Duration::from_secs(30 * DAY),
            rows_age: Duration::from_secs(2 * DAY),
        }
    }
}

/// What there is to decide on.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct View {
    /// How far the journal reaches.
    pub extent: Extent,
    /// What it takes.
    pub sizes: Sizes,
    /// Everything up to here is older than [`Policy::age`].
    pub aged: Seq,
    /// Everything up to here is older than [`Policy::rows_age`].
    pub rows_aged: Seq,
}

/// What may go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Plan {
    /// Bodies up to here.
    pub bodies: Option<Seq>,
    /// Rows up to here, as far as no plugin needs them.
    pub rows: Option<Seq>,
}

/// Decides what may go.
#[must_use]
pub fn decide(policy: &Policy, view: &View) -> Plan {
    let extent = &view.extent;
    let bodies = view.aged.max(too_big(policy, view)).min(extent.last);
    let bodies = (bodies >= extent.bodies_from).then_some(bodies);
    let without_body = bodies.unwrap_or(Seq(extent.bodies_from.0.saturating_sub(1)));
    let rows = view
        .rows_aged
        .min(without_body)
        .min(Seq(extent.last.0.saturating_sub(KEPT_ROWS)));
    Plan {
        bodies,
        rows: (rows >= extent.first).then_some(rows),
    }
}

/// How far bodies must go for the size, by what they take on average.
fn too_big(policy: &Policy, view: &View) -> Seq {
    let extent = &view.extent;
    let excess = view.sizes.used_bytes.saturating_sub(policy.size);
    let rows = (extent.last.0 + 1).saturating_sub(extent.bodies_from.0);
    if excess == 0 || rows == 0 {
        return Seq(0);
    }
    let average = (extent.body_bytes / rows).max(1);
    Seq(extent.bodies_from.0 + excess.div_ceil(average) - 1)
}

/// Whether the wall clock can be believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Trust {
    /// A moment that was believed.
    base: Option<Now>,
    /// Since when the clock is ahead of it.
    doubted: Option<Mono>,
}

impl Trust {
    /// Looks at the clocks; `newest` is when the newest event was journaled, which is all that is known at the first look.
    pub fn judge(&mut self, now: Now, newest: Option<Unix>) -> bool {
        let base = *self.base.get_or_insert(Now {
            mono: now.mono,
            unix: newest.unwrap_or(now.unix),
        });
        let expected = base.unix + (now.mono - base.mono);
        let is_ahead = now.unix - expected > DOUBT;
        let since = *self.doubted.get_or_insert(now.mono);
        if is_ahead && now.mono - since < SECOND_LOOK {
            return false;
        }
        self.base = Some(now);
        self.doubted = None;
        true
    }
}

/// What a look did, for the log and for people.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Report {
    /// Rows that lost their body.
    pub bodies: u64,
    /// Rows that went.
    pub rows: u64,
    /// Plugins that hold nothing back from now on; each is named once.
    pub new_orphans: Vec<PluginName>,
    /// Open events of orphans that went with their rows, and are dead letters now.
    pub lost: Vec<(PluginName, EventId)>,
    /// The clock has jumped: nothing goes before a second look.
    pub is_clock_doubted: bool,
    /// Bytes above [`Policy::size`] though all bodies are gone: plugins hold the rows.
    pub excess: u64,
}

/// Carries out what was decided.
#[derive(Debug)]
pub struct Retention {
    policy: Policy,
    trust: Trust,
    orphans: Vec<PluginName>,
}

impl Retention {
    /// With nothing seen yet.
    #[must_use]
    pub fn new(policy: Policy) -> Self {
        Self {
            policy,
            trust: Trust::default(),
            orphans: Vec::new(),
        }
    }

    /// What the clock and the newest row say at the start: rows that come later have the clock's time, right or wrong.
    pub fn begin(&mut self, now: Now, newest: Option<Unix>) {
        self.trust.judge(now, newest);
    }

    /// Another policy holds from the next look on.
    pub fn set_policy(&mut self, policy: Policy) {
        self.policy = policy;
    }

    /// Looks and takes some steps; to be called once a minute. `present` are the plugins that are there, in whatever state.
    ///
    /// # Errors
    /// When the journal cannot be read or written.
    pub async fn look(
        &mut self,
        journal: &Journal,
        now: Now,
        present: Vec<PluginName>,
    ) -> Result<Report, JournalError> {
        let mut report = Report::default();
        let newest = journal.extent().await?.newest;
        if !self.trust.judge(now, newest) {
            report.is_clock_doubted = true;
            return Ok(report);
        }
        let seen = Op::Seen {
            plugins: present.clone(),
            at: now.unix,
        };
        journal.write(seen).await?;
        report.new_orphans = self.find_orphans(journal, now.unix, &present).await?;
        for _ in 0..STEPS {
            let view = view(journal, self.policy, now.unix).await?;
            let plan = decide(&self.policy, &view);
            if !self.step(journal, plan, now.unix, &mut report).await? {
                report.excess = view.sizes.used_bytes.saturating_sub(self.policy.size);
                break;
            }
        }
        Ok(report)
    }

    /// Brings the list of orphans up to date; those that are new.
    async fn find_orphans(
        &mut self,
        journal: &Journal,
        now: Unix,
        present: &[PluginName],
    ) -> Result<Vec<PluginName>, JournalError> {
        let plugins = journal.plugins().await?;
        let is_orphan = |last_seen| now - last_seen >= self.policy.orphan;
        let orphans: Vec<PluginName> = plugins
            .into_iter()
            .filter(|plugin| is_orphan(plugin.last_seen) && !present.contains(&plugin.name))
            .map(|plugin| plugin.name)
            .collect();
        let known = std::mem::replace(&mut self.orphans, orphans);
        let orphans = self.orphans.iter();
        Ok(orphans
            .filter(|orphan| !known.contains(orphan))
            .cloned()
            .collect())
    }

    /// One transaction; false when there was nothing to do.
    async fn step(
        &self,
        journal: &Journal,
        plan: Plan,
        now: Unix,
        report: &mut Report,
    ) -> Result<bool, JournalError> {
        if let Some(up_to) = plan.bodies {
            let op = Op::DropBodies {
                up_to,
                at_most: BODIES_A_STEP,
            };
            let pruned = prune(journal, op).await?;
            report.bodies += pruned.rows;
            return Ok(pruned.rows > 0);
        }
        let Some(up_to) = plan.rows else {
            return Ok(false);
        };
        let op = Op::DropRows {
            up_to,
            at_most: ROWS_A_STEP,
            orphans: self.orphans.clone(),
            at: now,
        };
        let pruned = prune(journal, op).await?;
        report.rows += pruned.rows;
        report.lost.extend(pruned.lost);
        Ok(pruned.rows > 0)
    }
}

async fn prune(journal: &Journal, op: Op) -> Result<Pruned, JournalError> {
    match journal.write(op).await? {
        Outcome::Pruned(pruned) => Ok(pruned),
        _ => Ok(Pruned::default()),
    }
}

async fn view(journal: &Journal, policy: Policy, now: Unix) -> Result<View, JournalError> {
    let before = move |age: Duration| {
        let age = i64::try_from(age.as_millis()).unwrap_or(i64::MAX);
        Unix(now.0.saturating_sub(age))
    };
    let question = move |reader: &mut dyn super::Reader| {
        Ok(View {
            extent: reader.extent()?,
            sizes: reader.sizes()?,
            aged: reader.aged(before(policy.age))?,
            rows_aged: reader.aged(before(policy.rows_age))?,
        })
    };
    journal.query(question).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::{
        DeadQuery, Model, Place,
        testing::{answer, new_event},
    };

    const HOUR: u64 = 3_600_000;
    const DAY: u64 = 24 * HOUR;

    fn view_of(last: u64, first: u64, bodies_from: u64, used: u64, aged: u64, rows: u64) -> View {
        View {
            extent: Extent {
                first: Seq(first),
                last: Seq(last),
                bodies_from: Seq(bodies_from),
                body_bytes: (last + 1 - bodies_from) * 1000,
                ..Extent::default()
            },
            sizes: Sizes {
                used_bytes: used,
                file_bytes: used,
            },
            aged: Seq(aged),
            rows_aged: Seq(rows),
        }
    }

    #[test]
    fn bodies_go_by_age_and_size_and_rows_after_them() {
        let policy = Policy {
            size: 1_000_000,
            ..Policy::default()
        };
        for (what, view, bodies, rows) in [
            (
                "young and small",
                view_of(50_000, 1, 1, 9, 0, 0),
                None,
                None,
            ),
            (
                "some are old",
                view_of(50_000, 1, 1, 9, 700, 0),
                Some(700),
                None,
            ),
            (
                "too big by 5 bodies",
                view_of(50_000, 1, 101, 1_004_500, 0, 0),
                Some(105),
                None,
            ),
            (
                "old and too big",
                view_of(50_000, 1, 101, 1_004_500, 700, 0),
                Some(700),
                None,
            ),
            (
                "rows go as far as bodies",
                view_of(50_000, 1, 601, 9, 600, 900),
                None,
                Some(600),
            ),
            (
                "young rows stay",
                view_of(50_000, 1, 601, 9, 600, 90),
                None,
                Some(90),
            ),
            (
                "the newest rows stay",
                view_of(10_007, 1, 10_001, 9, 0, 10_007),
                None,
                Some(7),
            ),
            (
                "few rows stay",
                view_of(9_000, 1, 9_001, 9, 9_000, 9_000),
                None,
                None,
            ),
            (
                "all is gone already",
                view_of(50_000, 601, 601, 9, 600, 600),
                None,
                None,
            ),
            (
                "the size cannot be met",
                view_of(50_000, 1, 50_001, 2_000_000, 0, 0),
                None,
                None,
            ),
        ] {
            let plan = Plan {
                bodies: bodies.map(Seq),
                rows: rows.map(Seq),
            };
            assert_eq!(decide(&policy, &view), plan, "{what}");
        }
    }

    fn now(mono: u64, unix: u64) -> Now {
        Now {
            mono: Mono(mono),
            unix: Unix(unix as i64),
        }
    }

    #[test]
    fn a_clock_that_jumped_is_looked_at_twice() {
        let mut trust = Trust::default();
        for (what, mono, unix, is_believed) in [
            ("first look", 0, 100 * DAY, true),
            ("an hour on", HOUR, 100 * DAY + HOUR, true),
            ("an hour back", 2 * HOUR, 100 * DAY, true),
            ("ten years on", 3 * HOUR, 3750 * DAY, false),
            ("still", 3 * HOUR + HOUR / 2, 3750 * DAY, false),
            (
                "it was a mistake",
                3 * HOUR + HOUR / 2 + 1,
                100 * DAY + HOUR,
                true,
            ),
            ("again", 4 * HOUR, 3750 * DAY, false),
            ("still after an hour", 5 * HOUR, 3750 * DAY + HOUR, true),
            ("and on", 6 * HOUR, 3750 * DAY + 2 * HOUR, true),
        ] {
            let judged = trust.judge(now(mono, unix), Some(Unix(100 * DAY as i64)));
            assert_eq!(judged, is_believed, "{what}");
        }
        // At the first look only the journal knows better.
        assert!(!Trust::default().judge(now(0, 200 * DAY), Some(Unix(100 * DAY as i64))));
        assert!(Trust::default().judge(now(0, 200 * DAY), None));
    }

    async fn journal_of(events: i64, at: u64) -> Journal {
        let mut model: Box<dyn super::super::Engine> = Box::new(Model::new());
        let events = (1..=events).map(|id| new_event(0, id)).collect();
        let append = answer(None, 1, events);
        let at = Unix(at as i64);
        model
            .commit(&[Op::Append { append, at }])
            .expect("a model commits");
        Journal::inline(model).expect("a model has readers")
    }

    #[tokio::test]
    async fn rows_wait_for_plugins_but_not_for_orphans() {
        let journal = journal_of(12_000, DAY).await;
        for plugin in ["here", "gone"] {
            let op = Op::Register {
                plugin: PluginName::new(plugin),
                start: Place::Seq(Seq(100)),
                imported: None,
                at: Unix(DAY as i64),
            };
            journal.write(op).await.expect("registered");
        }
        let trigger = Op::Trigger {
            plugin: PluginName::new("gone"),
            seq: Seq(103),
        };
        journal.write(trigger).await.expect("open");
        let here = vec![PluginName::new("here")];
        let mut retention = Retention::new(Policy::default());
        let report = retention
            .look(&journal, now(0, 20 * DAY), here.clone())
            .await;
        assert!(report.expect("a look").is_clock_doubted);
        let report = retention
            .look(&journal, now(HOUR, 20 * DAY), here.clone())
            .await;
        let report = report.expect("a look");
        assert_eq!((report.bodies, report.rows), (12_000, 100));

        let seek = Op::Seek {
            plugin: here[0].clone(),
            to: Place::Latest,
        };
        journal.write(seek).await.expect("placed");
        let report = retention
            .look(&journal, now(HOUR + 20 * DAY, 40 * DAY), here.clone())
            .await;
        let report = report.expect("a look");
        assert_eq!(report.new_orphans, [PluginName::new("gone")]);
        assert_eq!(report.rows, 1_900);
        // What it had open went with its row: that is said, counted and kept.
        let gone = PluginName::new("gone");
        assert_eq!(report.lost, [(gone.clone(), EventId(103))]);
        let letters = journal.dead(DeadQuery {
            rows: 10,
            ..DeadQuery::default()
        });
        let letters = letters.await.expect("dead letters");
        let letter = &letters[0];
        assert_eq!(
            (&letter.plugin, letter.facts.event_id),
            (&gone, EventId(103))
        );
        assert_eq!(
            (&*letter.dead.reason, letter.dead.at),
            ("gone", Unix(40 * DAY as i64))
        );
        let record = journal.query(move |reader| reader.plugin(&gone)).await;
        let record = record.expect("a plugin").expect("it is known");
        assert_eq!((record.counts.dead, record.cursor.open.len()), (1, 0));
        let report = retention
            .look(&journal, now(HOUR + 21 * DAY, 41 * DAY), here)
            .await;
        assert_eq!(report.expect("a look"), Report::default());
    }
}
