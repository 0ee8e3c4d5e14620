//! What a person must know: begun, reminded of, ended; shown by log, `status`, mail and webhook. Nobody else decides about mail.
//!
//! ```text
//!   begin, end, once, plugin errors ──► machine (pure) ──► log lines, open alerts for `status`
//!                                          │ mails, posts
//!                                          ▼
//!                        bounded queue ─► outbox task ─► mail server     (one outbox each,
//!                        bounded queue ─► outbox task ─► webhook          retried, dropped, counted)
//! ```
//!
//! In: causes from whoever notices them. Out: each once, whatever happens how often.
//! Never: a caller that waits, a mail in an event's path, a key in a text.

mod cause;
mod letter;
mod machine;
mod mail;
mod outbox;
mod setup;
mod task;
#[cfg(test)]
mod tests;
mod webhook;

pub use cause::{Alert, COMPLAINTS, CauseKey, Grade, PluginError, Recipients, gist};
pub use letter::{Context, Letter};
pub use machine::{Action, Input, Machine, OpenAlert, Policy, Shown};
pub use mail::{MailError, Mailer};
pub use outbox::OutboxStatus;
pub use setup::{Options, SetupError};
pub use task::{AlertStatus, Alerts, start};
pub use webhook::Webhook;
