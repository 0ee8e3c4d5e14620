//! What a seed has in store: the site's work, the plugins, and the faults with their times.
//!
//! A plan is plain data, so that a story can be shortened by leaving parts of it out.

use std::{fmt, time::Duration};

use fastrand::Rng;
use sgeventd_protocol::manifest::{OnError, Order};

/// The virtual time in which faults begin.
const FAULTS_MS: u64 = 6 * 60_000;

/// Everything that is to happen.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    pub(crate) seed: u64,
    /// The faults end, and everything must be settled then.
    pub(crate) is_liveness: bool,
    /// For so long artists work.
    pub(crate) work_ms: u64,
    /// Between two things that they do, on average.
    pub(crate) pace_ms: u64,
    pub(crate) page: usize,
    /// The site's own limit of a page, and whether it tells it.
    pub(crate) site_page: Option<(usize, bool)>,
    pub(crate) gap_timeout_s: u64,
    pub(crate) gap_give_up_s: u64,
    pub(crate) gap_hold_s: u64,
    pub(crate) start: Start,
    pub(crate) plugins: Vec<PluginPlan>,
    pub(crate) faults: Vec<(u64, Fault)>,
}

/// Where an empty journal begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Start {
    Oldest,
    Latest,
    Time,
}

/// One plugin, as its file and the operator say.
#[derive(Debug, Clone)]
pub(crate) struct PluginPlan {
    pub(crate) order: Order,
    pub(crate) window: usize,
    pub(crate) on_error: OnError,
    pub(crate) max_attempts: u32,
    pub(crate) timeout_s: u64,
    pub(crate) max_age_s: u64,
    pub(crate) settle: (u64, usize),
    /// Event types it always wants, as bits; all types when zero.
    pub(crate) kinds: u8,
    /// It wants only events whose `meta.new_value` is `fin`.
    pub(crate) by_meta: bool,
    /// It waits for the plugin before it.
    pub(crate) waits: bool,
    pub(crate) vice: Vice,
}

/// What a version of a plugin does wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Vice {
    Nothing,
    /// A bit of everything.
    Flaky,
    /// Some events always end its process.
    Poisoned,
    /// Every event fails.
    Failing,
    /// Some events are never answered.
    Hanging,
    /// Now and then its process ends.
    Crashing,
    /// Its process ends before it has said a word.
    Stillborn,
    /// It says nothing at the handshake.
    Silent,
    /// Its manifest cannot be used.
    Unusable,
    /// It says that it cannot be configured.
    Misconfigured,
    /// It makes calls to the site.
    Calling,
    /// It takes its time.
    Slow,
    /// It disables itself now and then.
    Unhealthy,
    /// The kernel does not start it.
    Unstartable,
    /// It closes its output while it shakes hands, and lives on.
    Mute,
}

pub(crate) const VICES: [Vice; 15] = [
    Vice::Nothing,
    Vice::Flaky,
    Vice::Poisoned,
    Vice::Failing,
    Vice::Hanging,
    Vice::Crashing,
    Vice::Stillborn,
    Vice::Silent,
    Vice::Unusable,
    Vice::Misconfigured,
    Vice::Calling,
    Vice::Slow,
    Vice::Unhealthy,
    Vice::Unstartable,
    Vice::Mute,
];

/// Something that goes wrong, or that an operator does. Times are in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The daemon is killed and started again after this.
    Kill(u64),
    /// The power fails: what was not committed is lost.
    PowerCut(u64),
    /// It stops as asked and is started again.
    Stop(u64),
    /// The machine sleeps.
    Pause(u64),
    /// Our wall clock jumps.
    WallClock(i64),
    /// The site's clock jumps ahead.
    SiteClock(u64),
    /// The site is not there.
    Outage(u64),
    /// It answers, and refuses the log.
    Faulty(u64),
    /// It refuses the key.
    Refused(u64),
    /// It asks for pauses.
    RetryAfter(u64),
    /// It takes long to answer.
    Slow(u64),
    /// Its answers are shuffled, and rows stand in them twice.
    Shuffled(u64),
    /// A replica answers that is so far behind.
    Lag(u64),
    /// It cannot count.
    NoCount(u64),
    /// The site is restored to what it was so many rows ago; an operator accepts it later.
    Restore(u64),
    /// An operator of the site deletes the oldest rows but so many.
    Purge(u64),
    /// The newest row goes from sight.
    Archive,
    /// A row spoils its page: 0 whole, 1 with any field, 2 even its id.
    Spoil(u8, u64),
    /// A burst of rows: so many at once.
    Burst(u64),
    /// Ids that nobody ever commits.
    Hole(u64),
    /// The disk is full.
    DiskFull(u64),
    /// A write fails: the daemon must end.
    DiskBroken,
    /// Old bodies go, all but so many.
    Prune(u64),
    /// A plugin's file changes.
    Change(u8, Vice),
    /// Its file goes away for a while.
    Vanish(u8, u64),
    /// An operator disables it for a while.
    Disable(u8, u64),
    /// The config switches it off for a while.
    Off(u8, u64),
    /// A signal from outside ends its process.
    Signal(u8),
    /// An operator places it anew, so many rows back.
    Seek(u8, u64),
    /// An operator skips the first of its open events, which becomes a dead letter.
    Skip(u8),
    /// An operator wants a range again: from so many rows back, so many.
    Replay(u8, u64, u64),
    /// An operator redrives its dead letters.
    Redrive(u8),
    /// An operator triggers one of its old events.
    Trigger(u8, u64),
    /// An operator gives it another name.
    Rename(u8),
    /// The config changes how it is handed events.
    Policy(u8, u8),
}

impl Plan {
    /// What a seed says.
    pub(crate) fn of(seed: u64) -> Self {
        let mut rng = Rng::with_seed(seed);
        let plugins = (0..rng.usize(1..=4)).map(|at| plugin(&mut rng, at));
        let plugins: Vec<_> = plugins.collect();
        let count = match rng.u8(0..10) {
            0 => 0,
            1..=4 => rng.usize(1..5),
            5..=8 => rng.usize(4..14),
            _ => rng.usize(10..40),
        };
        let mut faults: Vec<(u64, Fault)> = (0..count)
            .map(|_| (rng.u64(0..FAULTS_MS), fault(&mut rng, plugins.len() as u8)))
            .collect();
        for _ in 0..rng.u8(0..4) {
            faults.extend(cluster(&mut rng, plugins.len() as u8));
        }
        if rng.u8(0..25) == 0 {
            faults.extend(bare(&mut rng));
        }
        faults.sort_by_key(|(at, _)| *at);
        Self {
            seed,
            is_liveness: !seed.is_multiple_of(4),
            work_ms: FAULTS_MS,
            // More plugins have more to do with each.
            pace_ms: rng.u64(650..1050) * (1 + plugins.len() as u64),
            page: [5, 20, 50, 500][rng.usize(0..4)],
            site_page: (rng.u8(0..5) == 0).then(|| (rng.usize(3..30), rng.bool())),
            gap_timeout_s: [60, 300][rng.usize(0..2)],
            gap_give_up_s: [240, 900, 86_400][rng.usize(0..3)],
            gap_hold_s: if rng.u8(0..5) == 0 { 20 } else { 0 },
            start: [Start::Oldest, Start::Oldest, Start::Latest, Start::Time][rng.usize(0..4)],
            plugins,
            faults,
        }
    }

    /// When the last fault is over; for those that do not end by themselves, when they began.
    pub(crate) fn faults_end(&self) -> u64 {
        let ends = self.faults.iter().map(|(at, fault)| at + fault.lasts());
        ends.max().unwrap_or(0).max(self.work_ms)
    }
}

fn plugin(rng: &mut Rng, at: usize) -> PluginPlan {
    let order = [
        Order::All,
        Order::All,
        Order::Entity,
        Order::Project,
        Order::None,
    ][rng.usize(0..5)];
    PluginPlan {
        order,
        window: [1, 4, 8, 64][rng.usize(0..4)],
        on_error: [OnError::Retry, OnError::Retry, OnError::Stop, OnError::Skip][rng.usize(0..4)],
        max_attempts: [1, 3, 5][rng.usize(0..3)],
        timeout_s: [10, 30, 120][rng.usize(0..3)],
        max_age_s: if rng.u8(0..8) == 0 { 60 } else { 0 },
        settle: [(100, 256), (100, 1), (1000, 16)][rng.usize(0..3)],
        kinds: if rng.bool() { 0 } else { rng.u8(1..64) },
        by_meta: rng.u8(0..8) == 0,
        waits: at > 0 && rng.u8(0..6) == 0,
        vice: if rng.bool() {
            Vice::Nothing
        } else {
            VICES[rng.usize(0..VICES.len())]
        },
    }
}

/// Much happens to one plugin at once: what comes while it starts, is tried, drains or stops.
fn cluster(rng: &mut Rng, plugins: u8) -> Vec<(u64, Fault)> {
    let (who, mut at) = (rng.u8(0..plugins), rng.u64(60_000..FAULTS_MS));
    let tried = [
        Vice::Nothing,
        Vice::Unusable,
        Vice::Mute,
        Vice::Flaky,
        Vice::Hanging,
        Vice::Slow,
        Vice::Misconfigured,
    ];
    let mut faults = vec![(at, Fault::Change(who, tried[rng.usize(0..tried.len())]))];
    for _ in 0..rng.u8(2..7) {
        at += [2, 8, 40, 150, 300, 12_000][rng.usize(0..6)] + rng.u64(0..20);
        let long = [5, 30, 250, 9000][rng.usize(0..4)];
        let fault = match rng.u8(0..11) {
            0..=3 => Fault::Change(who, tried[rng.usize(0..tried.len())]),
            4..=5 => Fault::Vanish(who, long),
            6..=7 => Fault::Disable(who, long),
            8 => Fault::Off(who, long),
            9 => Fault::Signal(who),
            _ => Fault::Stop(2000),
        };
        faults.push((at, fault));
    }
    faults
}

/// Of the rows that are known none is left that can be read, and then the site fails.
fn bare(rng: &mut Rng) -> Vec<(u64, Fault)> {
    let mut at = rng.u64(61_000..FAULTS_MS);
    let mut faults = vec![(at, Fault::Purge(1)), (at, Fault::Spoil(2, 0))];
    at += rng.u64(2000..20_000);
    let long = rng.u64(2000..8000);
    faults.push((at, Fault::Faulty(long)));
    if rng.bool() {
        faults.push((at + rng.u64(0..long), Fault::Archive));
    }
    faults
}

fn fault(rng: &mut Rng, plugins: u8) -> Fault {
    let who = rng.u8(0..plugins);
    let long = [500, 4_000, 30_000, 150_000, 400_000][rng.usize(0..5)] + rng.u64(0..3000);
    let vice = if rng.bool() {
        Vice::Nothing
    } else {
        VICES[rng.usize(0..VICES.len())]
    };
    match rng.u8(0..54) {
        0..=7 => Fault::Kill(rng.u64(0..8000)),
        8..=9 => Fault::PowerCut(rng.u64(1000..60_000)),
        10..=11 => Fault::Stop(rng.u64(100..3000)),
        12 => Fault::Pause(rng.u64(1000..600_000)),
        13 => Fault::WallClock([-3_600_000, 3_600_000, 86_400_000 * 365][rng.usize(0..3)]),
        14 => Fault::SiteClock(rng.u64(1000..60_000)),
        15..=17 => Fault::Outage(long),
        18 => Fault::Faulty(long),
        19 => Fault::Refused(long),
        20 => Fault::RetryAfter(long),
        21 => Fault::Slow(long),
        22 => Fault::Shuffled(long),
        23..=24 => Fault::Lag(long),
        25 => Fault::NoCount(long),
        26 => Fault::Restore(rng.u64(1..60)),
        27 => Fault::Purge(rng.u64(20..400)),
        28 => Fault::Archive,
        29..=30 => Fault::Spoil(rng.u8(0..3), rng.u64(0..4)),
        31 => Fault::Burst(if rng.u8(0..40) == 0 {
            1500
        } else {
            rng.u64(10..300)
        }),
        32 => Fault::Hole(rng.u64(2..10_000)),
        33 => Fault::DiskFull(long),
        34 => Fault::DiskBroken,
        35 => Fault::Prune(rng.u64(0..200)),
        36..=38 => Fault::Change(who, vice),
        39 => Fault::Vanish(who, long),
        40..=41 => Fault::Disable(who, long),
        42 => Fault::Off(who, long),
        43..=44 => Fault::Signal(who),
        45 => Fault::Seek(who, rng.u64(0..100)),
        46..=47 => Fault::Redrive(who),
        48 => Fault::Trigger(who, rng.u64(0..50)),
        49 => Fault::Rename(who),
        50 => Fault::Skip(who),
        51..=52 => Fault::Replay(who, rng.u64(0..300), rng.u64(0..300)),
        _ => Fault::Policy(who, rng.u8(0..8)),
    }
}

impl Fault {
    /// Our own machine has to do something for it, and does not while it sleeps.
    pub(crate) fn needs_us_awake(self) -> bool {
        matches!(
            self,
            Self::Stop(_)
                | Self::Prune(_)
                | Self::Change(..)
                | Self::Vanish(..)
                | Self::Disable(..)
                | Self::Off(..)
                | Self::Signal(_)
                | Self::Seek(..)
                | Self::Skip(_)
                | Self::Redrive(_)
                | Self::Replay(..)
                | Self::Trigger(..)
                | Self::Rename(_)
                | Self::Policy(..)
                | Self::Restore(_)
        )
    }

    /// For how long.
    pub(crate) fn lasts(self) -> u64 {
        match self {
            Self::Kill(ms)
            | Self::PowerCut(ms)
            | Self::Stop(ms)
            | Self::Pause(ms)
            | Self::Outage(ms)
            | Self::Faulty(ms)
            | Self::Refused(ms)
            | Self::RetryAfter(ms)
            | Self::Slow(ms)
            | Self::Shuffled(ms)
            | Self::Lag(ms)
            | Self::NoCount(ms)
            | Self::DiskFull(ms)
            | Self::Vanish(_, ms)
            | Self::Disable(_, ms)
            | Self::Off(_, ms) => ms,
            Self::Restore(_) => 150_000,
            _ => 0,
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lasts = Duration::from_millis(self.lasts());
        match self {
            Self::Kill(_) => write!(f, "the daemon is killed, and started again after {lasts:?}"),
            Self::PowerCut(_) => write!(f, "the power fails for {lasts:?}"),
            Self::Stop(_) => write!(
                f,
                "the daemon stops as asked, and is started again after {lasts:?}"
            ),
            Self::Pause(_) => write!(f, "the machine sleeps for {lasts:?}"),
            Self::WallClock(by) => write!(f, "our wall clock jumps by {by} ms"),
            Self::SiteClock(by) => write!(f, "the site's clock jumps ahead by {by} ms"),
            Self::Outage(_) => write!(f, "the site is not there for {lasts:?}"),
            Self::Faulty(_) => write!(f, "the site refuses to show its log for {lasts:?}"),
            Self::Refused(_) => write!(f, "the site refuses the key for {lasts:?}"),
            Self::RetryAfter(_) => write!(f, "the site asks for pauses for {lasts:?}"),
            Self::Slow(_) => write!(f, "the site is slow for {lasts:?}"),
            Self::Shuffled(_) => {
                write!(f, "answers are shuffled and hold rows twice for {lasts:?}")
            }
            Self::Lag(_) => write!(f, "a replica answers that stands still for {lasts:?}"),
            Self::NoCount(_) => write!(f, "the site cannot count for {lasts:?}"),
            Self::Restore(rows) => write!(
                f,
                "the site is restored to {rows} rows ago; accepted after {lasts:?}"
            ),
            Self::Purge(rows) => write!(f, "the site's old rows go, all but {rows}"),
            Self::Archive => write!(f, "the newest row goes from sight"),
            Self::Spoil(how, _) => {
                let what = [
                    "a row can be read with fewer fields only",
                    "of a row only the id can be read",
                    "a row cannot be read at all",
                ];
                write!(f, "{}", what[usize::from(*how).min(2)])
            }
            Self::Burst(rows) => write!(f, "{rows} rows at once"),
            Self::Hole(ids) => write!(f, "{ids} ids that nobody commits"),
            Self::DiskFull(_) => write!(f, "the disk is full for {lasts:?}"),
            Self::DiskBroken => write!(f, "a write fails"),
            Self::Prune(rows) => write!(f, "the journal's old bodies go, all but {rows}"),
            Self::Change(who, vice) => write!(f, "plugin {who}: its file changes ({vice:?})"),
            Self::Vanish(who, _) => write!(f, "plugin {who}: its file is gone for {lasts:?}"),
            Self::Disable(who, _) => {
                write!(f, "plugin {who}: disabled by an operator for {lasts:?}")
            }
            Self::Off(who, _) => write!(f, "plugin {who}: off by config for {lasts:?}"),
            Self::Signal(who) => write!(f, "plugin {who}: a signal from outside ends its process"),
            Self::Seek(who, rows) => {
                write!(f, "plugin {who}: placed {rows} rows before the newest")
            }
            Self::Skip(who) => write!(f, "plugin {who}: its first open event is skipped"),
            Self::Replay(who, back, rows) => write!(
                f,
                "plugin {who}: {rows} rows are replayed, from {back} rows ago on"
            ),
            Self::Redrive(who) => write!(f, "plugin {who}: its dead letters are redriven"),
            Self::Trigger(who, rows) => write!(
                f,
                "plugin {who}: the event {rows} before the newest is triggered"
            ),
            Self::Rename(who) => write!(f, "plugin {who}: gets another name"),
            Self::Policy(who, _) => write!(f, "plugin {who}: its delivery is configured anew"),
        }
    }
}
