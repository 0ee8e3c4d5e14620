//! One beast beside a witness: measured without and with it in one visit, and judged at the end.
//!
//! In: a vice and what its section of the config says. Out: reports of the beast, then a line of the yardstick. A visit that
//! was loud is made again in another studio: whatever disturbs the witness does it each time, the noise of the machine does not.
//! Never: what is special to a vice.

use std::{collections::BTreeMap, fs, time::Duration};

use nix::sys::signal::Signal;
use rusqlite::types::Value as Sql;
use serde_json::{Value, json};
use tokio::time::{Instant, MissedTickBehavior, interval};

use crate::support::{
    Daemon, Site, Studio,
    proof::{ask, monotonic_s},
    pulse::least,
    yardstick::Yardstick,
};

/// How often artists do something.
const PACE: Duration = Duration::from_millis(16);
/// So many events make a measure.
const MEASURE: usize = 100;
/// At first so many events come at a time, until they are a measure; then one by one.
const BATCH: usize = 4;
/// A delay that is shorter counts as this: the site is asked ten times a second, on cores that many tests share. Who is held up
/// by a beast waits for its deadline, 1 s.
const UNNOTICED_S: f64 = 0.25;
/// A noisy machine excuses no more than this: without a beast a longer delay counts as this.
const EXCUSED_S: f64 = 0.5;
/// A beast is let in so often at most.
const VISITS: usize = 4;

/// One beast, the witness, a site where artists work, and a daemon.
pub(crate) struct Cage {
    vice: String,
    pub(crate) site: Site,
    pub(crate) studio: Studio,
    pub(crate) daemon: Daemon,
    /// What artists did, without and with the beast.
    alone: Vec<Deed>,
    beside: Vec<Deed>,
    /// The daemon's memory before the beast came.
    rss_mib: f64,
    began: Instant,
}

/// Something that an artist did: when, and the event that came of it.
struct Deed {
    at: f64,
    id: i64,
}

/// What was seen of a beast in one visit.
#[must_use = "whether the witness kept its pace is judged by `visits`"]
pub(crate) struct Seen {
    /// All that the daemon said.
    pub(crate) log: String,
    /// The last status.
    pub(crate) status: Value,
    /// How much memory the daemon took for it at most, MiB.
    pub(crate) rss_step_mib: f64,
    /// What the run came to.
    pub(crate) run: Yardstick,
    /// The p99 of the witness's delays without and with the beast, in seconds.
    delays: (f64, f64),
}

/// Lets a beast in, and again while the witness did not keep its pace beside it; the quietest visit is what counts.
pub(crate) async fn visits(visit: impl AsyncFn() -> Seen) {
    let mut delays = Vec::new();
    loop {
        let seen = Box::pin(visit()).await;
        delays.push(seen.delays);
        if let Some(run) = judged(seen.run, &delays) {
            return run.judge();
        }
    }
}

/// A run after visits with these delays of the witness, without and with the beast; none: one more tells.
fn judged(run: Yardstick, delays: &[(f64, f64)]) -> Option<Yardstick> {
    let (alone, beside) = delays.last()?;
    let mut run = run
        .with("visits", delays.len())
        .with("quiet_as_measured", rounded(beside / alone))
        .with("alone_p99_s", rounded(*alone))
        .with("beside_p99_s", rounded(*beside));
    let excused = |(alone, beside): &(f64, f64)| (alone.min(EXCUSED_S), *beside);
    let delays: Vec<_> = delays.iter().map(excused).collect();
    run.quiet = Some(least(&delays, UNNOTICED_S));
    (run.is_passed() || delays.len() == VISITS).then_some(run)
}

impl Cage {
    /// A beast with keys of its section of the config.
    pub(crate) async fn new(vice: &str, keys: &str) -> Self {
        let site = Site::quiet().await;
        let studio = Studio::new(&site);
        Self::of(site, studio, vice, "", keys).await
    }

    /// A beast in a studio of the test's own, which tells it something.
    pub(crate) async fn of(site: Site, studio: Studio, vice: &str, note: &str, keys: &str) -> Self {
        let off = format!("enabled = false\n{keys}");
        Self::open(site, studio.vice(vice, note, &off), vice).await
    }

    /// A studio with a plugin that is off (`enabled = false`, once in its config): the witness joins it.
    pub(crate) async fn open(site: Site, studio: Studio, vice: &str) -> Self {
        let began = Instant::now();
        let studio = studio.witness();
        let daemon = Daemon::start(&studio).await;
        daemon.delivered(&studio, &site.truth()).await;
        let ((), alone) = work_until(&site, std::future::ready(())).await;
        daemon.delivered(&studio, &site.truth()).await;
        let rss_mib = memory(&daemon, "VmRSS");
        // Five: the peak begins anew.
        let refs = format!("/proc/{}/clear_refs", daemon.pid());
        fs::write(refs, "5").expect("our child");
        studio.edit_config("enabled = false", "enabled = true");
        daemon.signal(Signal::SIGHUP);
        Self {
            vice: vice.to_owned(),
            site,
            studio,
            daemon,
            alone,
            beside: Vec::new(),
            rss_mib,
            began,
        }
    }

    /// Lets artists work until the beast's report is as expected, and returns it.
    pub(crate) async fn sees(&mut self, what: &str, holds: impl Fn(&Value) -> bool) -> Value {
        let seen = self.daemon.plugin_when(&self.vice, what, holds);
        let (report, deeds) = work_until(&self.site, seen).await;
        self.beside.extend(deeds);
        report
    }

    /// The same while nobody works.
    pub(crate) async fn rests(&self, what: &str, holds: impl Fn(&Value) -> bool) -> Value {
        self.daemon.plugin_when(&self.vice, what, holds).await
    }

    /// The same for a status.
    pub(crate) async fn status_when(
        &mut self,
        what: &str,
        holds: impl Fn(&Value) -> bool,
    ) -> Value {
        let seen = self.daemon.status_when(what, holds);
        let (status, deeds) = work_until(&self.site, seen).await;
        self.beside.extend(deeds);
        status
    }

    /// The events that the beast was handed, as often as it was.
    pub(crate) fn handed(&self) -> Vec<i64> {
        self.studio.handed(&self.vice)
    }

    /// Lets the witness finish, stops the daemon, and judges: nothing lost, in order; and measures how quick the witness was.
    pub(crate) async fn close(self, rows: &[u32]) -> Seen {
        let truth = self.site.truth();
        self.daemon.delivered(&self.studio, &truth).await;
        let rss_step_mib = memory(&self.daemon, "VmHWM") - self.rss_mib;
        let status = self.daemon.status().await.expect("it answers");
        let log = || self.studio.log();
        assert_eq!(self.daemon.stop().await, Some(0), "{}", log());
        let witnessed = self.studio.witnessed();
        assert_eq!(witnessed, truth, "in order, each once");
        let at = |line: &Value| Some((line["event"].as_i64()?, line["at"].as_f64()?));
        let seen_at = self.studio.book("witness").iter().filter_map(at).collect();
        let delays = (p99(&self.alone, &seen_at), p99(&self.beside, &seen_at));
        let run = format!("zoo-{}", self.vice.replace('_', "-"));
        let mut run = self.studio.recheck(&self.site, &run, rows);
        *run.lost.get_or_insert_default() += lost_by(&self.studio, &self.vice);
        *run.order.get_or_insert_default() += inversions(&self.studio.handed(&self.vice));
        let run = run
            .with("took_s", rounded(self.began.elapsed().as_secs_f64()))
            .with("rss_step_mib", rounded(rss_step_mib));
        assert!(run.is_passed(), "{run:?}");
        Seen {
            log: log(),
            status,
            rss_step_mib,
            run,
            delays,
        }
    }
}

/// Lets artists work at their pace until something has come true, at least for one measure.
async fn work_until<T>(site: &Site, what: impl Future<Output = T>) -> (T, Vec<Deed>) {
    let (mut deeds, mut done) = (Vec::new(), None);
    let mut pace = interval(PACE);
    pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
    tokio::pin!(what);
    loop {
        tokio::select! {
            value = &mut what, if done.is_none() => done = Some(value),
            _ = pace.tick() => {
                let count = if deeds.len() < MEASURE { BATCH } else { 1 };
                let at = monotonic_s();
                site.order(&json!({"verb": "bulk", "count": count}));
                let ids = site.truth().into_iter().rev().take(count);
                deeds.extend(ids.map(|id| Deed { at, id }));
            }
        }
        if deeds.len() >= MEASURE
            && let Some(done) = done.take()
        {
            return (done, deeds);
        }
    }
}

/// The p99 of the witness's delays, in seconds: from the site to its book.
fn p99(deeds: &[Deed], seen_at: &BTreeMap<i64, f64>) -> f64 {
    let delays = deeds.iter().map(|deed| seen_at[&deed.id] - deed.at);
    let mut delays: Vec<f64> = delays.collect();
    assert!(delays.len() >= MEASURE, "{} are no measure", delays.len());
    delays.sort_by(f64::total_cmp);
    delays[(delays.len() * 99).div_ceil(100) - 1]
}

fn rounded(value: f64) -> f64 {
    (value * 100.0).round() / 100.0
}

/// A line of the daemon's `/proc/PID/status`, MiB: `VmRSS` is its memory now, `VmHWM` the most of it.
fn memory(daemon: &Daemon, line: &str) -> f64 {
    let status = fs::read_to_string(format!("/proc/{}/status", daemon.pid())).expect("it runs");
    let found = status.lines().find_map(|text| text.strip_prefix(line));
    let kib = found.and_then(|rest| rest.split_whitespace().nth(1));
    let kib: f64 = kib.expect("its memory").parse().expect("a number");
    kib / 1024.0
}

/// Events that the journal calls settled by a beast which was never handed them, and which are no dead letters.
fn lost_by(studio: &Studio, vice: &str) -> u64 {
    let sql = format!(
        "SELECT event_id FROM events WHERE seq <= (SELECT position FROM plugins WHERE name = '{vice}')
         AND seq NOT IN (SELECT seq FROM open WHERE plugin = '{vice}')
         AND event_id NOT IN (SELECT event_id FROM dead WHERE plugin = '{vice}')"
    );
    let settled = ask(&studio.path("state/journal.db"), &sql).expect("a database");
    let handed = studio.handed(vice);
    let is_lost = |row: &&Vec<Sql>| !matches!(row[..], [Sql::Integer(id)] if handed.contains(&id));
    settled.iter().filter(is_lost).count() as u64
}

/// First deliveries that came after one of a later event.
fn inversions(handed: &[i64]) -> u64 {
    let mut highest = i64::MIN;
    let mut seen = std::collections::BTreeSet::new();
    let is_late = |id: &&i64| {
        let is_late = seen.insert(**id) && **id < highest;
        highest = highest.max(**id);
        is_late
    };
    handed.iter().filter(is_late).count() as u64
}

#[test]
fn a_loud_visit_is_made_again_and_who_is_loud_each_time_fails() {
    let loud = (0.1, 0.4);
    for (delays, expected) in [
        (vec![(0.1, 0.3)], Some((true, 1.2))),
        (vec![loud], None),
        (vec![loud, (0.3, 0.4)], Some((true, 1.33))),
        // Three loud ones are no verdict yet; the fourth, held up for as long on a machine that is as noisy, is.
        (vec![(0.2, 1.0), loud, (0.1, 0.8)], None),
        (
            vec![(0.2, 1.0), loud, (0.1, 0.8), (1.0, 1.8)],
            Some((false, 1.6)),
        ),
    ] {
        let run = judged(Yardstick::of("zoo-nobody", &[]), &delays);
        let found = run.map(|run| (run.is_passed(), run.quiet.unwrap_or(0.0)));
        assert_eq!(found, expected, "{delays:?}");
    }
    assert_eq!(inversions(&[1, 2, 1, 4, 3, 5, 3]), 1);
}
