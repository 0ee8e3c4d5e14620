//! Starts processes from one thread that lives as long as the daemon.
//!
//! A dead file server hangs the shim, never the spawn thread: the exec happens in the shim, and its error comes back on a pipe.

use std::{
    ffi::OsString,
    fs,
    io::{self, Write as _},
    os::fd::{AsFd as _, AsRawFd as _, OwnedFd},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::Arc,
    thread,
};

use nix::{
    errno::Errno,
    fcntl::{FcntlArg, FdFlag, OFlag, fcntl},
    unistd::pipe2,
};
use rustix::process::{Resource, getrlimit};
use tokio::{
    io::AsyncReadExt as _,
    net::unix::pipe,
    sync::{mpsc, oneshot},
};

use super::{child::Child, group::Group, recorded::start_time};
use crate::account::Account;

/// No process is started with fewer free descriptors: a start takes a dozen for a moment, and the rest is for the daemon's own
/// logs, journal, socket and calls, which plugins must not take from it.
const FREE_MIN: usize = 24;
/// Starts that may wait for the thread: one per plugin, and more plugins than this start in turns anyway.
const ROOM: usize = 64;

/// What a plugin's processes may use, as far as the process itself holds it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of its own memory, shared memory not counted; none: its control group bounds all of it.
    pub memory: Option<u64>,
    /// Open files.
    pub open_files: u64,
    /// Processes and threads beyond those that its user has when it starts; none: its control group bounds them. Not
    /// applied to root, whose processes the kernel does not count.
    pub processes: Option<u64>,
    /// Added to the nice value.
    pub nice: i32,
    /// Seconds of processor time after which a process is ended; none: no bound.
    pub cpu_time: Option<u64>,
    /// Bytes of the largest file that it may write; none: no bound.
    pub file_size: Option<u64>,
    /// Bytes of a core dump.
    pub core: u64,
}

impl Limits {
    /// The keys of the shim that are given.
    fn keys(&self) -> impl Iterator<Item = String> {
        let all = [
            ("memory", self.memory),
            ("open_files", Some(self.open_files)),
            ("processes", self.processes),
            ("cpu_time", self.cpu_time),
            ("file_size", self.file_size),
            ("core", Some(self.core)),
        ];
        let given = all
            .into_iter()
            .filter_map(|(key, value)| Some((key, value?)));
        given.map(|(key, value)| format!("{key}={value}"))
    }
}

/// A process to start.
#[derive(Debug, Clone)]
pub struct SpawnSpec {
    /// The executable: absolute, or relative to `base`; a bare name that is not there is searched for on the environment's `PATH`.
    pub program: PathBuf,
    /// What a relative program is relative to.
    pub base: PathBuf,
    /// Its arguments.
    pub args: Vec<OsString>,
    /// Where it starts.
    pub cwd: PathBuf,
    /// Its whole environment.
    pub env: Vec<(OsString, OsString)>,
    /// Its file mode mask.
    pub umask: u32,
    /// What it may use.
    pub limits: Limits,
    /// The protocol is on descriptors 3 and 4; 0 is `/dev/null`, 1 and 2 are log.
    pub fd34: bool,
    /// Whom it runs as; none: as ourselves.
    pub user: Option<Account>,
    /// A folder that is emptied first, with its user's rights.
    pub empties: Option<PathBuf>,
    /// Its number, see [`super::Mark`]; it inherits and cannot raise it.
    pub number: Option<u64>,
    /// The control group that it joins.
    pub group: Option<Arc<Group>>,
}

/// Why a process could not be started.
#[derive(Debug, thiserror::Error)]
pub enum SpawnError {
    /// Too few descriptors are free.
    #[error("the daemon has too few free descriptors")]
    Descriptors,
    /// The shim could not be started.
    #[error("cannot start a process")]
    Shim(#[source] io::Error),
    /// The plugin's own program could not be executed.
    #[error("cannot execute {path}")]
    Exec {
        /// The program.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// There is no such program.
    #[error("{} is neither in {} nor on PATH", program.display(), base.display())]
    NoProgram {
        /// As it is written.
        program: PathBuf,
        /// Where it was looked for first.
        base: PathBuf,
    },
    /// It may not become its user.
    #[error("cannot run as the user {name}")]
    User {
        /// Whom.
        name: String,
        /// Why.
        source: io::Error,
    },
    /// It cannot join its control group.
    #[error("cannot join the control group {path}")]
    Group {
        /// The group.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The working directory cannot be entered.
    #[error("cannot enter the working directory {path}")]
    Cwd {
        /// The directory.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The spawn thread has ended: the daemon stops.
    #[error("the daemon stops")]
    Stopping,
}

struct Order {
    spec: SpawnSpec,
    answer: oneshot::Sender<io::Result<Raw>>,
}

/// What the thread hands back: blocking things that the caller's runtime takes over.
struct Raw {
    child: std::process::Child,
    input: OwnedFd,
    output: OwnedFd,
    log: Vec<OwnedFd>,
    verdict: OwnedFd,
}

/// The handle of the spawn thread. Clones share it.
#[derive(Clone)]
pub struct Spawner {
    orders: mpsc::Sender<Order>,
}

impl Spawner {
    /// Starts the thread; `helper` is our own binary, started as the shim.
    ///
    /// # Errors
    /// When no thread can be started.
    pub fn start(helper: PathBuf) -> io::Result<Self> {
        let (orders, mut inbox) = mpsc::channel::<Order>(ROOM);
        thread::Builder::new().name("spawn".into()).spawn(move || {
            while let Some(order) = inbox.blocking_recv() {
                // An unanswered start ends with its pipes: the caller has gone.
                let _gone = order.answer.send(start(&helper, &order.spec));
            }
            // Parked, not ended: the kernel ends our children with the thread that made them.
            loop {
                thread::park();
            }
        })?;
        Ok(Self { orders })
    }

    /// Starts a process and waits until its program runs.
    ///
    /// # Errors
    /// When the shim or the program cannot be executed.
    ///
    /// # Cancel safety
    /// Dropped, what was started is killed.
    pub async fn spawn(&self, spec: SpawnSpec) -> Result<Child, SpawnError> {
        let (asked, number, group) = (spec.clone(), spec.number, spec.group.clone());
        let (answer, answered) = oneshot::channel();
        self.orders
            .send(Order { spec, answer })
            .await
            .map_err(|_| SpawnError::Stopping)?;
        let raw = answered
            .await
            .map_err(|_| SpawnError::Stopping)?
            .map_err(failed)?;
        let mut unborn = Unborn {
            child: Some(raw.child),
            group: group.clone(),
        };
        let mut verdict = pipe::Receiver::from_owned_fd(raw.verdict).map_err(failed)?;
        let mut words = Vec::new();
        verdict.read_to_end(&mut words).await.map_err(failed)?;
        if let Some(error) = read_verdict(&words, asked) {
            return Err(error);
        }
        let child = unborn.child.take().ok_or(SpawnError::Stopping)?;
        let pid = i32::try_from(child.id()).unwrap_or(i32::MAX);
        let log = raw
            .log
            .into_iter()
            .map(pipe::Receiver::from_owned_fd)
            .collect::<io::Result<_>>();
        Child::new(
            child,
            start_time(pid).unwrap_or(0),
            pipe::Sender::from_owned_fd(raw.input).map_err(failed)?,
            pipe::Receiver::from_owned_fd(raw.output).map_err(failed)?,
            log.map_err(failed)?,
            (number, group),
        )
        .map_err(failed)
    }
}

/// Why a start of ours failed.
fn failed(error: io::Error) -> SpawnError {
    let number = error.raw_os_error().map(Errno::from_raw);
    match number {
        Some(Errno::EMFILE | Errno::ENFILE) => SpawnError::Descriptors,
        _ => SpawnError::Shim(error),
    }
}

/// A process whose program does not run yet, and which nobody waits for unless it does.
struct Unborn {
    child: Option<std::process::Child>,
    group: Option<Arc<Group>>,
}

impl Drop for Unborn {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let group = self.group.take();
            // A shim that a dead file server holds dies when the server lets go: a thread of its own waits for that.
            let waiting = thread::Builder::new().name("reap".into()).spawn(move || {
                let _gone = child.kill();
                let _status = child.wait();
                // Empty now, so it can be taken away.
                drop(group);
            });
            // Without a thread it is reaped with the orphans.
            drop(waiting);
        }
    }
}

/// The shim's last word: a letter for the step and the error number; nothing when the program runs.
fn read_verdict(words: &[u8], asked: SpawnSpec) -> Option<SpawnError> {
    let (step, number) = words.split_first()?;
    let number = std::str::from_utf8(number).ok()?.parse().unwrap_or(0);
    let source = io::Error::from_raw_os_error(number);
    Some(match step {
        b'g' => SpawnError::Group {
            path: asked
                .group
                .map(|group| group.path().to_owned())
                .unwrap_or_default(),
            source,
        },
        b'u' => SpawnError::User {
            name: asked.user.map(|user| user.name).unwrap_or_default(),
            source,
        },
        b'c' => SpawnError::Cwd {
            path: asked.cwd,
            source,
        },
        b'p' => SpawnError::NoProgram {
            program: asked.program,
            base: asked.base,
        },
        _ => SpawnError::Exec {
            path: asked.base.join(asked.program),
            source,
        },
    })
}

/// Fails as if there were no descriptor when too few are free.
fn leave_room() -> io::Result<()> {
    // Without a descriptor for the look the start itself fails as well.
    let Ok(open) = fs::read_dir("/proc/self/fd") else {
        return Ok(());
    };
    let most = getrlimit(Resource::Nofile).current;
    let is_full = most.is_some_and(|most| (open.count() + FREE_MIN) as u64 > most);
    if is_full {
        return Err(Errno::EMFILE.into());
    }
    Ok(())
}

fn start(helper: &Path, spec: &SpawnSpec) -> io::Result<Raw> {
    leave_room()?;
    let (verdict, verdict_end) = pipe2(OFlag::O_CLOEXEC)?;
    let extra = if spec.fd34 {
        Some((pipe2(OFlag::O_CLOEXEC)?, pipe2(OFlag::O_CLOEXEC)?))
    } else {
        None
    };
    // Only this thread starts processes, so nobody else can inherit what is open across the next lines.
    keep_open(&verdict_end)?;
    let mut command = Command::new(helper);
    command
        .arg("__shim")
        .arg(format!("verdict={}", verdict_end.as_raw_fd()));
    command.arg(format!("parent={}", std::process::id()));
    if let Some(((input_end, _), (_, output_end))) = &extra {
        keep_open(input_end)?;
        keep_open(output_end)?;
        command.arg(format!(
            "fd34={},{}",
            input_end.as_raw_fd(),
            output_end.as_raw_fd()
        ));
    }
    command.args(spec.limits.keys());
    command.args(spec.number.map(|number| format!("number={number}")));
    if let Some(Account {
        uid, gid, groups, ..
    }) = spec.user.as_ref().filter(|user| !user.is_us())
    {
        let groups: Vec<_> = groups.iter().map(u32::to_string).collect();
        command.arg(format!("user={uid}:{gid}:{}", groups.join(",")));
    }
    let folders = [
        ("tmp", spec.empties.as_deref()),
        ("group", spec.group.as_ref().map(|group| group.path())),
    ];
    for (key, folder) in folders {
        if let Some(folder) = folder {
            let mut arg = OsString::from(format!("{key}="));
            arg.push(folder);
            command.arg(arg);
        }
    }
    command
        .arg(format!("nice={}", spec.limits.nice))
        .arg(format!("umask={}", spec.umask))
        .arg("--");
    command.arg(&spec.cwd).arg(&spec.base);
    command.arg(&spec.program).args(&spec.args);
    command
        .env_clear()
        .envs(spec.env.iter().map(|(name, value)| (name, value)));
    command.stdin(if spec.fd34 {
        Stdio::null()
    } else {
        Stdio::piped()
    });
    let mut child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    crate::fail::at("spawn.forked");
    drop(verdict_end);
    let none = || io::Error::other("a pipe is missing");
    let out: OwnedFd = child.stdout.take().ok_or_else(none)?.into();
    let err: OwnedFd = child.stderr.take().ok_or_else(none)?.into();
    Ok(match extra {
        Some(((_, input), (output, _))) => Raw {
            child,
            input,
            output,
            log: vec![out, err],
            verdict,
        },
        None => {
            let input = child.stdin.take().ok_or_else(none)?.into();
            Raw {
                child,
                input,
                output: out,
                log: vec![err],
                verdict,
            }
        }
    })
}

fn keep_open(fd: &OwnedFd) -> io::Result<()> {
    fcntl(fd.as_fd(), FcntlArg::F_SETFD(FdFlag::empty()))?;
    Ok(())
}

/// Writes the shim's last word.
pub(super) fn write_verdict(mut to: impl io::Write, step: char, error: &io::Error) {
    // Nobody is left to be told when the daemon is gone.
    let _gone = write!(to, "{step}{}", error.raw_os_error().unwrap_or(0));
    let _gone = io::stderr().flush();
}
