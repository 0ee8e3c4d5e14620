//! Finds every event of the site once, whatever order the ids appear in, and appends it to the journal.
//!
//! [`machine`] decides what to ask and what an answer means; [`task`] asks the site and writes the journal.
//! All gap logic lives here and nowhere else.

mod ask;
pub mod gaps;
pub mod machine;
mod narrow;
mod pace;
pub mod question;
pub mod report;
pub mod task;
mod tell;

#[cfg(test)]
mod tests;

pub use machine::{Machine, anchors};
pub use question::{
    Answer, Failure, Fields, Kind, Lost, Notice, Policy, Question, Range, Row, StartFrom, Trouble,
};
pub use report::SiteReport;
pub use task::{AcceptError, Accepted, Message, Parts, run};
pub use tell::{Teller, Told};
