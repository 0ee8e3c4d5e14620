//! What happens in ingest, in words: log lines, alerts, the health of the site, and what `status` shows.
//!
//! In: notices of the machine. Out: [`Told`]. Never: the alerts or the site's client themselves.

use tokio::sync::watch;
use tracing::{debug, info, warn};

use super::{Lost, Machine, Notice, SiteReport};
use crate::{
    alert::{Alert, CauseKey, Grade},
    clock::{Clock, Now, Unix, millis},
    ident::EventId,
    journal::Gap,
    site::Health,
};

/// What others must hear.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Told {
    /// A cause began, or is still so.
    Begin(Alert),
    /// It is over; one that never began is ignored.
    End(CauseKey),
    /// Something happened that does not last.
    Once(Alert),
    /// How the site is, for those that call it.
    Health(Health),
}

/// Knows what was told before.
#[derive(Debug)]
pub struct Teller {
    script: String,
    told: Vec<Told>,
    down_since: Option<Unix>,
    refused_since: Option<Unix>,
    is_faulty: bool,
}

impl Teller {
    /// One that has told nothing, for a script.
    #[must_use]
    pub fn new(script: &str) -> Self {
        Self {
            script: script.to_owned(),
            told: Vec::new(),
            down_since: None,
            refused_since: None,
            is_faulty: false,
        }
    }

    /// What a notice means for others; the log hears of it at once.
    pub fn tell(&mut self, notice: &Notice, now: Unix) -> Vec<Told> {
        self.note(notice, now);
        std::mem::take(&mut self.told)
    }

    fn note(&mut self, notice: &Notice, now: Unix) {
        match notice {
            Notice::Down(reason) => self.down(reason, now),
            Notice::Fault(reason) => self.fault(reason),
            Notice::Outage {
                message, is_fault, ..
            } => self.outage(message, *is_fault),
            Notice::Refused(message) => self.refused(message, now),
            Notice::Up(_) => self.up(),
            Notice::GapOpened(gap) => {
                debug!(first = gap.first.0, last = gap.last.0, "ids are missing");
            }
            Notice::GapFilled(ids) => debug!(count = ids.len(), "missing ids appeared"),
            Notice::GivenUp(gaps) => self.given_up(gaps),
            Notice::Rewound { lost, head, newest } => self.rewound(*lost, *head, *newest),
            Notice::Accepted(from) => {
                info!(event_id = from.0, "the next timeline begins here");
                self.end("site/rewound");
            }
            Notice::Resumed => {
                info!("a row we know is in sight again; the log is followed");
                self.end("site/rewound");
            }
            Notice::AnchorMoved { from, to } => {
                warn!(
                    event_id = from.0,
                    anchor = to.map(|id| id.0),
                    "the row we stood at is gone from sight"
                );
            }
            Notice::Partial(id) => warn!(
                event_id = id.0,
                "a row could be read with fewer fields only"
            ),
            Notice::Unreadable(id) => {
                let sentence =
                    format!("the site cannot show event {id}: every page that holds it fails");
                let by_itself =
                    "The event stays a late gap and is asked for again; all others go on.";
                let alert = Alert {
                    by_itself: by_itself.into(),
                    ..Alert::new(
                        CauseKey::new(format!("site/unreadable/{id}")),
                        "unreadable",
                        Grade::Error,
                        sentence,
                    )
                };
                self.told.push(Told::Once(alert));
            }
            Notice::SetAside(range) => warn!(
                first = range.first.0,
                last = range.last.map(|id| id.0),
                "a row spoils its page; it is looked for beside the polls, which go on above these ids"
            ),
            Notice::BadRows(count) => warn!(count, "rows without an id were passed over"),
        }
    }

    fn down(&mut self, reason: &str, now: Unix) {
        let since = *self.down_since.get_or_insert_with(|| {
            warn!(error = reason, "the site does not answer");
            now
        });
        self.is_faulty = false;
        self.end("site/fault");
        self.told.push(Told::Health(Health::Down {
            since,
            reason: reason.into(),
        }));
    }

    /// The site answers others: their calls go on.
    fn fault(&mut self, reason: &str) {
        if !std::mem::replace(&mut self.is_faulty, true) {
            warn!(error = reason, "the site refuses to show the event log");
        }
        self.down_since = None;
        self.end("site/down");
        self.told.push(Told::Health(Health::Up));
    }

    fn outage(&mut self, message: &str, is_fault: bool) {
        if is_fault {
            let by_itself = "It is asked again and again; plugins go on with what is in the journal, and so do their calls.";
            let sentence =
                format!("the site answers, and refuses to show the event log: {message}");
            self.begin(
                "site/fault",
                "site_fault",
                &sentence,
                by_itself,
                "sgeventd status",
            );
        } else {
            let by_itself = "Plugins go on with what is in the journal; events are fetched when the site is back.";
            self.begin(
                "site/down",
                "site_down",
                &format!("the site does not answer: {message}"),
                by_itself,
                "sgeventd status",
            );
        }
    }

    fn refused(&mut self, message: &str, now: Unix) {
        let since = *self.refused_since.get_or_insert(now);
        self.down_since = None;
        self.is_faulty = false;
        self.end("site/down");
        self.end("site/fault");
        let (script, reason) = (self.script.as_str().into(), message.into());
        self.told.push(Told::Health(Health::AuthFailed {
            since,
            script,
            reason,
        }));
        let sentence = format!(
            "the site refuses the key of script {}: {message}",
            self.script
        );
        let by_itself = "It is tried once a minute; plugins go on with what is in the journal. A new key is read when the daemon starts.";
        self.begin(
            "site/refused",
            "site_refused",
            &sentence,
            by_itself,
            "sgeventd check-config",
        );
    }

    fn up(&mut self) {
        let was_down = self.down_since.take().is_some();
        let was_faulty = std::mem::take(&mut self.is_faulty);
        let was_refused = self.refused_since.take().is_some();
        if was_down || was_faulty || was_refused {
            info!("the site shows its event log again");
        }
        self.told.push(Told::Health(Health::Up));
        for key in ["site/down", "site/fault", "site/refused"] {
            self.end(key);
        }
    }

    fn given_up(&self, gaps: &[Gap]) {
        for gap in gaps {
            warn!(
                first = gap.first.0,
                last = gap.last.0,
                "ids never appeared and are given up"
            );
        }
    }

    fn rewound(&mut self, lost: Lost, head: EventId, newest: Option<EventId>) {
        let sentence = rewound_words(lost, head, newest);
        let by_itself = "No events are fetched until a row that was read is in sight again, or a person accepts the site as it is with `sgeventd site accept --from ID`; `sgeventd status` names the id. Plugins go on.";
        self.begin(
            "site/rewound",
            "site_rewound",
            &sentence,
            by_itself,
            "sgeventd status",
        );
    }

    fn begin(
        &mut self,
        key: &str,
        kind: &'static str,
        sentence: &str,
        by_itself: &str,
        remedy: &str,
    ) {
        let alert = Alert::new(CauseKey::new(key), kind, Grade::Error, sentence);
        self.told.push(Told::Begin(Alert {
            by_itself: by_itself.into(),
            remedy: remedy.into(),
            ..alert
        }));
    }

    fn end(&mut self, key: &'static str) {
        self.told.push(Told::End(CauseKey::new(key)));
    }
}

/// What was seen, and what it may mean: a log that ends below what was read, or another row under its id.
fn rewound_words(lost: Lost, head: EventId, newest: Option<EventId>) -> String {
    let newest = newest.map_or("the site shows no events".to_owned(), |newest| {
        format!("the site shows no event above {newest}")
    });
    match lost {
        Lost::Below => format!(
            "{newest} though event {head} was read: it was restored from a backup, or the key sees less"
        ),
        Lost::Another => format!(
            "the site shows another event under id {head} than the one that was read: it was restored from a backup"
        ),
        Lost::All => format!(
            "the site shows newer events and none of those that were read last, up to {head}: it was restored from a backup, its log was purged, or the key sees less"
        ),
    }
}

/// Brings what `status` shows up to date.
pub(super) fn fill(
    report: &watch::Sender<SiteReport>,
    machine: &Machine,
    health: &Health,
    now: Now,
) {
    let state = machine.state();
    let (word, reason) = match (health, machine.fault()) {
        _ if machine.is_halted() => (
            "rewound",
            Some("it was restored, or the key sees less".to_owned()),
        ),
        (Health::Down { reason, .. }, _) => ("down", Some(reason.to_string())),
        (Health::AuthFailed { reason, .. }, _) => ("refused", Some(reason.to_string())),
        (Health::Up, Some(fault)) => ("faulty", Some(fault.to_owned())),
        (Health::Up, None) => ("ok", None),
    };
    report.send_modify(|report| {
        report.accept_from = machine.would_accept_from();
        report.head = state.head.as_ref().map(|head| head.event_id);
        report.gaps = state.gaps.len();
        report.oldest_gap_ms = machine.oldest_gap(now).map_or(0, millis);
        report.filled = state.filled;
        report.given_up = state.given_up;
        if report.state != word {
            report.since = Clock::unix();
            report.state = word.into();
        }
        report.reason = reason;
    });
}
