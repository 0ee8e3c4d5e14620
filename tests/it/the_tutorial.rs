//! `docs/write-a-plugin.md`: each command on the page is run, in order, against the real binary, and shows what stands below it.
//!
//! A `console` block holds commands behind `$ ` and what they show; `…` stands for anything, alone on a line for any lines. A block
//! with the name of a file is that file. What looks at the daemon (`grep`, `status`) is asked again until it shows what it should.

use std::{
    fs,
    net::TcpListener,
    os::unix::process::CommandExt as _,
    path::Path,
    process::{Command, Stdio},
};

use nix::{
    sys::signal::{Signal, killpg},
    unistd::Pid,
};
use tokio::time::Instant;

use crate::support::{PATIENCE, need};

const PAGE: &str = include_str!("../../docs/write-a-plugin.md");
/// The sandbox's usual port, which another one on this machine may have.
const PORT: &str = "7357";

/// One step of the page.
#[derive(Debug, PartialEq, Eq)]
enum Step<'a> {
    File {
        name: &'a str,
        text: String,
    },
    Run {
        command: &'a str,
        shows: Vec<&'a str>,
    },
}

/// The page's steps in order.
fn steps(page: &str) -> Vec<Step<'_>> {
    let mut steps = Vec::new();
    let mut lines = page.lines();
    while let Some(line) = lines.next() {
        let Some(words) = line.strip_prefix("```") else {
            continue;
        };
        let block = lines.by_ref().take_while(|line| *line != "```");
        if words == "console" {
            for line in block {
                match (line.strip_prefix("$ "), steps.last_mut()) {
                    (Some(command), _) => steps.push(Step::Run {
                        command,
                        shows: Vec::new(),
                    }),
                    (None, Some(Step::Run { shows, .. })) => shows.push(line),
                    (None, _) => panic!("no command before {line:?}"),
                }
            }
        } else if let Some((_, name)) = words.split_once(' ') {
            let text = block.map(|line| format!("{line}\n")).collect();
            steps.push(Step::File { name, text });
        } else {
            panic!("```{words}: a block that is neither run nor a file");
        }
    }
    steps
}

/// Whether lines are as the page has them.
fn agrees(shows: &[&str], said: &[&str]) -> bool {
    match (shows, said) {
        ([], []) => true,
        (["…", rest @ ..], _) => (0..=said.len()).any(|from| agrees(rest, &said[from..])),
        ([show, shows @ ..], [line, said @ ..]) => is_like(show, line) && agrees(shows, said),
        _ => false,
    }
}

fn is_like(pattern: &str, line: &str) -> bool {
    let Some((head, rest)) = pattern.split_once('…') else {
        return pattern.trim_end() == line.trim_end();
    };
    let Some(tail) = line.strip_prefix(head) else {
        return false;
    };
    let mut ends = tail.char_indices().map(|(at, _)| at).chain([tail.len()]);
    ends.any(|at| is_like(rest, &tail[at..]))
}

/// What was started behind the page's back, which ends with it.
struct Reader {
    folder: tempfile::TempDir,
    path: String,
    site: String,
    behind: Vec<Pid>,
}

impl Reader {
    fn shell(&self, command: &str) -> Command {
        let mut shell = Command::new("sh");
        shell
            .args(["-c", command])
            .current_dir(self.folder.path())
            .env("PATH", &self.path)
            .env("HOME", self.folder.path())
            .env("SGEVENTD_SANDBOX", &self.site)
            .env("NO_COLOR", "1")
            .env_remove("XDG_CACHE_HOME")
            .env_remove("SGEVENTD_SOCKET")
            .env_remove("PYTHONPATH")
            .process_group(0)
            .stdin(Stdio::null());
        shell
    }

    fn run(&mut self, command: &str, shows: &[&str]) {
        if command.ends_with('&') {
            let started = self.shell(command).spawn().expect("a shell");
            let group = i32::try_from(started.id()).expect("a process id");
            self.behind.push(Pid::from_raw(group));
            let ended = started.wait_with_output().expect("our child");
            assert!(ended.status.success(), "{command}");
            return;
        }
        let is_look = command.starts_with("grep ") || command.starts_with("sgeventd s");
        let end = Instant::now() + PATIENCE;
        loop {
            // As on a terminal: both streams, in the order in which they were written.
            let output = self.shell(&format!("{{ {command}\n}} 2>&1")).output();
            let output = output.expect("a shell");
            let said = String::from_utf8_lossy(&output.stdout).into_owned();
            let lines: Vec<&str> = said.lines().collect();
            if agrees(shows, &lines) {
                return;
            }
            if !is_look || Instant::now() > end {
                let log = self.folder.path().join("sgeventd.log");
                let log = fs::read_to_string(log).unwrap_or_default();
                panic!(
                    "$ {command}\n{said}\nthe page has:\n{}\n\n{log}",
                    shows.join("\n")
                );
            }
            std::thread::sleep(std::time::Duration::from_millis(100));
        }
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        // The daemon first, so that it finds its site while it stops.
        for group in self.behind.iter().rev() {
            let _gone = killpg(*group, Signal::SIGTERM);
        }
    }
}

#[test]
fn every_command_of_the_page_shows_what_the_page_says() {
    for program in ["python3", "sed", "grep"] {
        let found = Command::new("sh")
            .args(["-c", &format!("command -v {program} >&2")])
            .status();
        if !found.is_ok_and(|status| status.success()) {
            need(program);
            return;
        }
    }
    let free = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = free.local_addr().expect("it listens").port().to_string();
    drop(free);
    let page = PAGE.replace(PORT, &port);
    let binary = Path::new(env!("CARGO_BIN_EXE_sgeventd"));
    let bin = binary.parent().expect("a folder").display();
    let mut reader = Reader {
        folder: tempfile::tempdir().expect("a folder"),
        path: format!("{bin}:{}", std::env::var("PATH").unwrap_or_default()),
        site: format!("http://127.0.0.1:{port}"),
        behind: Vec::new(),
    };
    let steps = steps(&page);
    assert!(steps.len() > 20, "{}", steps.len());
    for step in steps {
        match step {
            Step::File { name, text } => {
                fs::write(reader.folder.path().join(name), text).expect("a file");
            }
            Step::Run { command, shows } => reader.run(command, &shows),
        }
    }
}

#[test]
fn a_page_that_says_something_else_is_found_out() {
    for (shows, said, expected) in [
        (&["a"][..], &["a"][..], true),
        (&["a"], &["b"], false),
        (&[], &["a"], false),
        (&["a"], &[], false),
        (&["a…c"], &["a b c"], true),
        (&["a…c"], &["a b"], false),
        (&["…", "b"], &["a", "a", "b"], true),
        (&["…", "b"], &["a", "b", "c"], false),
        (&["a", "…"], &["a"], true),
    ] {
        assert_eq!(agrees(shows, said), expected, "{shows:?} {said:?}");
    }
    let page = "text\n```toml x.toml\na = 1\n```\n```console\n$ one\nsays\n$ two\n```\n";
    let file = Step::File {
        name: "x.toml",
        text: "a = 1\n".to_owned(),
    };
    let one = Step::Run {
        command: "one",
        shows: vec!["says"],
    };
    let two = Step::Run {
        command: "two",
        shows: vec![],
    };
    assert_eq!(steps(page), [file, one, two]);
}
