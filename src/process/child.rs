//! A running child: its pipes and its end.
//!
//! The end is seen by waiting for the process, never by the end of its output.

use std::{
    io,
    os::{fd::OwnedFd, unix::process::ExitStatusExt as _},
    sync::Arc,
};

use nix::sys::signal::Signal;
use tokio::{io::unix::AsyncFd, net::unix::pipe};

use super::group::Group;

/// Watches a process's descriptor for its end.
#[expect(unsafe_code, reason = "tokio asks for a promise about the descriptor")]
fn watch(ended: OwnedFd) -> io::Result<AsyncFd<OwnedFd>> {
    // SAFETY: an `OwnedFd` is open and names the same file for as long as it lives.
    unsafe { AsyncFd::register(ended) }.map_err(io::Error::from)
}

/// How a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// By itself, with this code.
    Code(i32),
    /// By this signal.
    Signal(i32),
}

impl std::fmt::Display for Exit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Code(code) => write!(f, "exit {code}"),
            Self::Signal(number) => match Signal::try_from(*number) {
                Ok(signal) => write!(f, "killed by {}", signal.as_str()),
                Err(_) => write!(f, "killed by signal {number}"),
            },
        }
    }
}

/// A child process.
#[derive(Debug)]
pub struct Child {
    /// Its process id, which is its session and group too.
    pub pid: i32,
    /// When it started, clock ticks since boot.
    pub start_time: u64,
    /// Its input, and its output with the protocol, until they are taken.
    pub pipes: Option<(pipe::Receiver, pipe::Sender)>,
    /// What it prints, until it is taken.
    pub log: Vec<pipe::Receiver>,
    /// The number that it and all that it started has.
    pub number: Option<u64>,
    /// Its control group, which holds all that it started.
    pub group: Option<Arc<Group>>,
    process: std::process::Child,
    ended: AsyncFd<OwnedFd>,
}

impl Child {
    pub(super) fn new(
        process: std::process::Child,
        start_time: u64,
        input: pipe::Sender,
        output: pipe::Receiver,
        log: Vec<pipe::Receiver>,
        (number, group): (Option<u64>, Option<Arc<Group>>),
    ) -> io::Result<Self> {
        let pid = i32::try_from(process.id()).unwrap_or(i32::MAX);
        let none = || io::Error::from(io::ErrorKind::InvalidInput);
        let raw = rustix::process::Pid::from_raw(pid).ok_or_else(none)?;
        let ended = rustix::process::pidfd_open(raw, rustix::process::PidfdFlags::NONBLOCK)?;
        let pipes = Some((output, input));
        Ok(Self {
            pid,
            start_time,
            pipes,
            log,
            number,
            group,
            process,
            ended: watch(ended)?,
        })
    }

    /// Waits for its end; may be asked again.
    ///
    /// # Cancel safety
    /// Safe.
    pub async fn wait(&mut self) -> Exit {
        loop {
            // The descriptor is asked first: whoever waits again and again must not pay a system call each time.
            let Ok(mut ready) = self.ended.readable().await else {
                return Exit::Signal(0);
            };
            match self.process.try_wait() {
                Ok(Some(status)) => {
                    let signal = status.signal().unwrap_or_default();
                    return status.code().map_or(Exit::Signal(signal), Exit::Code);
                }
                Ok(None) => ready.clear_ready(),
                Err(_) => return Exit::Signal(0),
            }
        }
    }
}
