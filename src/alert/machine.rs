//! Decides what is said to whom, and when. Pure.
//!
//! * A cause begins once, however often it is reported, and ends once. What happens at one moment (`once`) is kept for a
//!   digest's length, so that the next hundred of the kind are counted, not said.
//! * The first mail about a cause waits `gather` for company: what begins together and what is over at once costs one mail or none.
//! * Then one digest per `digest` and recipient with all that lasts or came again; one mail when a cause is over.
//! * Never more than `max_per_day` to a recipient; the last one says so.
//!
//! In: [`Input`]s with the time. Out: [`Action`]s. Never: a clock, a mail server, more than [`MAX_CAUSES`] causes.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    time::Duration,
};

use super::{
    cause::{Alert, Cause, CauseKey, PluginError, Recipients, of_error, overflow},
    letter::{self, Context, Letter},
};
use crate::clock::{Mono, Now, Unix};

/// Beyond, moments are counted under one cause of their plugin; what lasts is kept in any case.
pub(super) const MAX_CAUSES: usize = 500;
/// With more causes at once a recipient gets one mail for all.
const MAX_SINGLE: usize = 3;
const DAY: Duration = Duration::from_secs(86_400);

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Input {
    /// A cause began, or is still so.
    Begin(Alert),
    /// A cause is over; one that never began is ignored.
    End(CauseKey),
    /// Something happened that does not last.
    Once(Alert),
    /// A plugin logged an error. It is in the log already.
    PluginError(PluginError),
    /// Time passed.
    Tick,
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// To the log and the webhook.
    Show(Shown),
    /// To a recipient.
    Mail(Letter),
}

/// A cause as it begins, happens or ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Shown {
    /// It lasts from now on.
    Begun(Alert),
    /// It happened.
    Happened(Alert),
    /// It is over.
    Ended {
        /// What is over.
        alert: Alert,
        /// How long it lasted.
        lasted: Duration,
    },
}

/// An alert that lasts, for `status`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenAlert {
    /// What it says.
    pub alert: Alert,
    /// Since when.
    pub since: Unix,
    /// How often it was reported.
    pub count: u64,
}

/// Rules of `[mail]`.
#[derive(Debug, Clone)]
pub struct Policy {
    /// The default recipients; none: no mail at all to [`Recipients::Default`].
    pub to: Vec<String>,
    /// False: no mail to anybody.
    pub has_mail: bool,
    /// How long a first mail waits for company; far below the minute in which it is due.
    pub gather: Duration,
    /// Between two digests.
    pub digest: Duration,
    /// Mails to one recipient.
    pub max_per_day: u32,
}

#[derive(Debug, Default)]
struct Recipient {
    /// Causes it was not told of yet, and when it will be.
    pending: BTreeSet<CauseKey>,
    due: Option<Mono>,
    /// Causes it knows of.
    told: BTreeSet<CauseKey>,
    digest_at: Option<Mono>,
    /// Mails of the last day.
    sent: VecDeque<Mono>,
}

/// All causes and who knows of them.
#[derive(Debug)]
pub struct Machine {
    policy: Policy,
    context: Context,
    causes: BTreeMap<CauseKey, Cause>,
    recipients: BTreeMap<String, Recipient>,
    suppressed: u64,
}

impl Machine {
    /// A machine that knows of nothing.
    #[must_use]
    pub fn new(policy: Policy, context: Context) -> Self {
        Self {
            policy,
            context,
            causes: BTreeMap::new(),
            recipients: BTreeMap::new(),
            suppressed: 0,
        }
    }

    /// Other recipients and limits hold from now on; whether there is a way out stays as it is.
    pub fn set_policy(&mut self, policy: Policy) {
        self.policy = Policy {
            has_mail: self.policy.has_mail,
            ..policy
        };
    }

    /// Takes what happened and says what is to be done.
    #[must_use]
    pub fn step(&mut self, input: Input, now: Now) -> Vec<Action> {
        match input {
            Input::Begin(alert) => self.begin(self.for_here(alert), now),
            Input::End(key) => self.end(&key, now),
            Input::Once(alert) => {
                let alert = self.for_here(alert);
                let shown = Shown::Happened(alert.clone());
                if self.happened(alert, now) {
                    vec![Action::Show(shown)]
                } else {
                    vec![]
                }
            }
            Input::PluginError(error) => {
                self.happened(self.for_here(of_error(error)), now);
                vec![]
            }
            Input::Tick => self.tick(now),
        }
    }

    /// What mends it reaches this daemon, from wherever it is read.
    fn for_here(&self, alert: Alert) -> Alert {
        let remedy = self.context.way.command(&alert.remedy);
        Alert { remedy, ..alert }
    }

    /// When the next tick has something to do.
    #[must_use]
    pub fn next_wake(&self) -> Option<Mono> {
        let of_recipients = self
            .recipients
            .values()
            .flat_map(|r| [r.due, r.digest_at])
            .flatten();
        of_recipients.min()
    }

    /// What lasts, the worst and then the oldest first.
    #[must_use]
    pub fn open(&self) -> Vec<OpenAlert> {
        let lasting = self.causes.values().filter(|cause| cause.lasts);
        let mut open: Vec<OpenAlert> = lasting
            .map(|cause| OpenAlert {
                alert: cause.alert.clone(),
                since: cause.since,
                count: cause.count,
            })
            .collect();
        open.sort_by_key(|open| (std::cmp::Reverse(open.alert.grade), open.since));
        open
    }

    /// Mails that the daily limit kept back.
    #[must_use]
    pub fn suppressed(&self) -> u64 {
        self.suppressed
    }

    fn begin(&mut self, alert: Alert, now: Now) -> Vec<Action> {
        if let Some(cause) = self.causes.get_mut(&alert.key).filter(|cause| cause.lasts) {
            cause.again(alert, now);
            return vec![];
        }
        let shown = Shown::Begun(alert.clone());
        self.insert(alert, true, now);
        vec![Action::Show(shown)]
    }

    fn end(&mut self, key: &CauseKey, now: Now) -> Vec<Action> {
        let Some(cause) = self.causes.get(key).filter(|cause| cause.lasts).cloned() else {
            return vec![];
        };
        self.causes.remove(key);
        let lasted = now.mono - cause.since_mono;
        let mut actions = vec![Action::Show(Shown::Ended {
            alert: cause.alert.clone(),
            lasted,
        })];
        let mut to_tell = Vec::new();
        for (address, recipient) in &mut self.recipients {
            recipient.forget_pending(key);
            if recipient.told.remove(key) {
                to_tell.push(address.clone());
            }
        }
        for address in to_tell {
            let letter = letter::recovered(&self.context, &cause, lasted, now.unix);
            actions.extend(self.send(&address, letter, now));
        }
        actions
    }

    /// Takes note of a moment; true when it is the first of its kind lately.
    fn happened(&mut self, mut alert: Alert, now: Now) -> bool {
        if let Some(cause) = self.causes.get_mut(&alert.key) {
            cause.again(alert, now);
            self.wake_digests();
            return false;
        }
        self.forget_old(now);
        if self.causes.len() >= MAX_CAUSES {
            alert = overflow(alert);
            if let Some(cause) = self.causes.get_mut(&alert.key) {
                cause.again(alert, now);
                return false;
            }
        }
        self.insert(alert, false, now);
        true
    }

    fn insert(&mut self, alert: Alert, lasts: bool, now: Now) {
        let key = alert.key.clone();
        for address in self.addresses(&alert.recipients) {
            let recipient = self.recipients.entry(address).or_default();
            recipient.pending.insert(key.clone());
            recipient.due.get_or_insert(now.mono + self.policy.gather);
        }
        let cause = Cause {
            alert,
            since: now.unix,
            since_mono: now.mono,
            last: now.unix,
            last_mono: now.mono,
            count: 1,
            news: 0,
            lasts,
        };
        self.causes.insert(key, cause);
    }

    fn addresses(&self, recipients: &Recipients) -> Vec<String> {
        match recipients {
            _ if !self.policy.has_mail => vec![],
            Recipients::Default => self.policy.to.clone(),
            Recipients::Nobody => vec![],
            Recipients::To(addresses) => addresses.clone(),
        }
    }

    /// Moments that did not come again for a digest's length, and that nobody waits to be told of, are forgotten.
    fn forget_old(&mut self, now: Now) {
        let recipients = self.recipients.values();
        let awaited: BTreeSet<CauseKey> = recipients
            .flat_map(|r| r.pending.iter().chain(&r.told).cloned())
            .collect();
        let pending: BTreeSet<&CauseKey> =
            self.recipients.values().flat_map(|r| &r.pending).collect();
        let keep = self.policy.digest;
        self.causes.retain(|key, cause| {
            let is_fresh = now.mono - cause.last_mono < keep;
            cause.lasts
                || is_fresh
                || pending.contains(key)
                || (cause.news > 0 && awaited.contains(key))
        });
        let causes = &self.causes;
        for recipient in self.recipients.values_mut() {
            recipient.told.retain(|key| causes.contains_key(key));
        }
    }

    /// A recipient that knows of something has a digest to come.
    fn wake_digests(&mut self) {
        for recipient in self
            .recipients
            .values_mut()
            .filter(|r| !r.told.is_empty() && r.digest_at.is_none())
        {
            let last = recipient.sent.back().copied().unwrap_or_default();
            recipient.digest_at = Some(last + self.policy.digest);
        }
    }

    fn tick(&mut self, now: Now) -> Vec<Action> {
        let addresses: Vec<String> = self.recipients.keys().cloned().collect();
        let mut actions = Vec::new();
        let mut said = BTreeSet::new();
        for address in addresses {
            actions.extend(self.first_mails(&address, now, &mut said));
            actions.extend(self.digest(&address, now, &mut said));
        }
        for key in said {
            if let Some(cause) = self.causes.get_mut(&key) {
                cause.news = 0;
            }
        }
        self.forget_old(now);
        actions
    }

    fn first_mails(
        &mut self,
        address: &str,
        now: Now,
        said: &mut BTreeSet<CauseKey>,
    ) -> Vec<Action> {
        let digest = self.policy.digest;
        let Some(recipient) = self
            .recipients
            .get_mut(address)
            .filter(|r| r.due.is_some_and(|due| due <= now.mono))
        else {
            return vec![];
        };
        recipient.due = None;
        let keys = std::mem::take(&mut recipient.pending);
        recipient.told.extend(keys.iter().cloned());
        said.extend(keys.iter().cloned());
        recipient.digest_at.get_or_insert(now.mono + digest);
        let causes: Vec<&Cause> = keys.iter().filter_map(|key| self.causes.get(key)).collect();
        let letters: Vec<Letter> = if causes.len() > MAX_SINGLE {
            vec![letter::several(&self.context, &causes, now.unix)]
        } else {
            causes
                .iter()
                .map(|cause| letter::first(&self.context, cause, digest, now.unix))
                .collect()
        };
        letters
            .into_iter()
            .filter_map(|letter| self.send(address, letter, now))
            .collect()
    }

    fn digest(&mut self, address: &str, now: Now, said: &mut BTreeSet<CauseKey>) -> Option<Action> {
        let every = self.policy.digest;
        let recipient = self.recipients.get_mut(address)?;
        if recipient.digest_at.is_none_or(|at| at > now.mono) {
            return None;
        }
        let known = recipient
            .told
            .iter()
            .filter_map(|key| self.causes.get_key_value(key));
        let worth: Vec<(&CauseKey, &Cause)> = known
            .filter(|(_, cause)| cause.lasts || cause.news > 0)
            .collect();
        recipient.digest_at = (!worth.is_empty()).then(|| now.mono + every);
        if worth.is_empty() {
            return None;
        }
        said.extend(worth.iter().map(|(key, _)| (*key).clone()));
        let causes: Vec<&Cause> = worth.iter().map(|(_, cause)| *cause).collect();
        let letter = letter::digest(&self.context, &causes, now.unix);
        self.send(address, letter, now)
    }

    /// The mail, unless the recipient had enough of them today.
    fn send(&mut self, address: &str, mut letter: Letter, now: Now) -> Option<Action> {
        let max = self.policy.max_per_day as usize;
        let recipient = self.recipients.entry(address.to_owned()).or_default();
        while recipient
            .sent
            .front()
            .is_some_and(|at| now.mono - *at >= DAY)
        {
            recipient.sent.pop_front();
        }
        if recipient.sent.len() >= max {
            self.suppressed += 1;
            return None;
        }
        recipient.sent.push_back(now.mono);
        if recipient.sent.len() == max {
            letter.say_last(max);
        }
        address.clone_into(&mut letter.to);
        Some(Action::Mail(letter))
    }
}

impl Recipient {
    fn forget_pending(&mut self, key: &CauseKey) {
        self.pending.remove(key);
        if self.pending.is_empty() {
            self.due = None;
        }
    }
}
