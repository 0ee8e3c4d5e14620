//! One beast beside a witness: measured without and with it in one run, and judged at the end.
//!
//! In: a vice and what its section of the config says. Out: reports of the beast, then a line of the yardstick.
//! Never: what is special to a vice.

use std::{collections::BTreeMap, fs, time::Duration};

use nix::sys::signal::Signal;
use rusqlite::types::Value as Sql;
use serde_json::{Value, json};
use tokio::time::{Instant, MissedTickBehavior, interval};

use crate::support::{
    Daemon, Site, Studio,
    proof::{ask, monotonic_s},
    yardstick::Yardstick,
};

/// How often an artist does something.
const PACE: Duration = Duration::from_millis(16);
/// So many things make a measure.
const ROUNDS: usize = 25;
/// A delay of the witness that grows by less is the noise of two cores that many tests share, and of a site that is asked ten
/// times a second: with nine programs for each core 0.48 s was seen. Who is held up by a beast waits for its deadline, 1 s.
const UNNOTICED_S: f64 = 0.75;

/// One beast, the witness, a site where artists work, and a daemon.
pub(crate) struct Cage {
    vice: String,
    pub(crate) site: Site,
    pub(crate) studio: Studio,
    pub(crate) daemon: Daemon,
    /// What artists did, without and with the beast.
    alone: Vec<Round>,
    beside: Vec<Round>,
    /// The daemon's memory before the beast came.
    rss_mib: f64,
    began: Instant,
}

/// Something that an artist did: when, and the event that came of it.
struct Round {
    at: f64,
    id: i64,
}

/// What was seen of a beast.
pub(crate) struct Seen {
    /// All that the daemon said.
    pub(crate) log: String,
    /// The last status.
    pub(crate) status: Value,
    /// How much memory the daemon took for it at most, MiB.
    pub(crate) rss_step_mib: f64,
    /// What the run came to.
    pub(crate) run: Yardstick,
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
        let (report, rounds) = work_until(&self.site, seen).await;
        self.beside.extend(rounds);
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
        let (status, rounds) = work_until(&self.site, seen).await;
        self.beside.extend(rounds);
        status
    }

    /// The events that the beast was handed, as often as it was.
    pub(crate) fn handed(&self) -> Vec<i64> {
        self.studio.handed(&self.vice)
    }

    /// Lets the witness finish, stops the daemon, and judges: nothing lost, in order, and the witness as quick as without it.
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
        let (alone, beside) = (p99(&self.alone, &seen_at), p99(&self.beside, &seen_at));
        let run = format!("zoo-{}", self.vice.replace('_', "-"));
        let mut run = self.studio.recheck(&self.site, &run, rows);
        *run.lost.get_or_insert_default() += lost_by(&self.studio, &self.vice);
        *run.order.get_or_insert_default() += inversions(&self.studio.handed(&self.vice));
        run.quiet = Some(quiet(alone, beside));
        let run = run
            .with("took_s", rounded(self.began.elapsed().as_secs_f64()))
            .with("alone_p99_s", rounded(alone))
            .with("beside_p99_s", rounded(beside))
            .with("rss_step_mib", rounded(rss_step_mib));
        run.judge();
        Seen {
            log: log(),
            status,
            rss_step_mib,
            run,
        }
    }
}

/// Lets artists work at their pace until something has come true, at least for one measure.
async fn work_until<T>(site: &Site, what: impl Future<Output = T>) -> (T, Vec<Round>) {
    let (mut rounds, mut done) = (Vec::new(), None);
    let mut pace = interval(PACE);
    pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
    tokio::pin!(what);
    loop {
        tokio::select! {
            value = &mut what, if done.is_none() => done = Some(value),
            _ = pace.tick() => {
                let at = monotonic_s();
                site.order(&json!({"verb": "bulk", "count": 1}));
                let id = site.truth().last().copied().expect("one more");
                rounds.push(Round { at, id });
            }
        }
        if rounds.len() >= ROUNDS
            && let Some(done) = done.take()
        {
            return (done, rounds);
        }
    }
}

/// The p99 of the witness's delays, in seconds: from the site to its book.
fn p99(rounds: &[Round], seen_at: &BTreeMap<i64, f64>) -> f64 {
    let delays = rounds.iter().map(|round| seen_at[&round.id] - round.at);
    let mut delays: Vec<f64> = delays.collect();
    assert!(delays.len() >= ROUNDS, "{} are no measure", delays.len());
    delays.sort_by(f64::total_cmp);
    delays[(delays.len() * 99).div_ceil(100) - 1]
}

fn quiet(alone: f64, beside: f64) -> f64 {
    let is_noticed = beside > alone + UNNOTICED_S;
    if is_noticed {
        rounded(beside / alone)
    } else {
        rounded((beside / alone).min(1.5))
    }
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
fn a_witness_that_is_held_up_is_not_quiet() {
    let cases = [(0.1, 0.1), (0.1, 0.3), (1.0, 1.2), (0.2, 1.0), (1.0, 1.8)];
    let found = cases.map(|(alone, beside)| quiet(alone, beside));
    assert_eq!(found, [1.0, 1.5, 1.2, 5.0, 1.8]);
    assert_eq!(inversions(&[1, 2, 1, 4, 3, 5, 3]), 1);
}
