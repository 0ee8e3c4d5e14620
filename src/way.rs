//! How a command of ours reaches a daemon that people read about: in its mails, its log and its `status`. Pure.
//!
//! In: the command as it is typed on a machine with the packaged daemon. Out: the same for this daemon.
//! Never: another program's command.

use std::path::{Path, PathBuf};

/// Where the packaged daemon listens; commands look there by themselves.
pub const PACKAGED: &str = "/run/sgeventd/admin.sock";

/// Our commands that ask a running daemon.
const ASKING: [&str; 4] = ["status", "plugins ", "dead ", "site "];

/// How a daemon is reached.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Way {
    /// Where commands look by themselves.
    #[default]
    Packaged,
    /// By the config that it was started with.
    Config(PathBuf),
    /// By its socket.
    Socket(PathBuf),
}

impl Way {
    /// The way to a daemon with this config and this socket.
    #[must_use]
    pub fn to(config: &Path, socket: &Path) -> Self {
        match socket == Path::new(PACKAGED) {
            true => Self::Packaged,
            false => Self::Config(config.to_owned()),
        }
    }

    /// The command with what makes it reach this daemon, in place of what another way had put there; other commands stay as they are.
    #[must_use]
    pub fn command(&self, words: &str) -> String {
        let verb = words.strip_prefix("sgeventd ");
        let asks = verb.is_some_and(|verb| ASKING.iter().any(|one| verb.starts_with(one)));
        let flag = match self {
            Self::Config(file) if asks => format!(" -c {}", word(&file.display().to_string())),
            Self::Socket(socket) if asks => {
                format!(" --socket {}", word(&socket.display().to_string()))
            }
            _ => return words.to_owned(),
        };
        let ends = [" -c ", " --socket "].map(|flag| words.find(flag).unwrap_or(words.len()));
        let end = ends.into_iter().min().unwrap_or(words.len());
        format!("{}{flag}", &words[..end])
    }
}

/// A path or a name as a word of a shell, in quotes where it needs them.
#[must_use]
pub fn word(text: &str) -> String {
    let is_plain = |c: char| c.is_alphanumeric() || "/._-+@:,".contains(c);
    if !text.is_empty() && text.chars().all(is_plain) {
        return text.to_owned();
    }
    quoted(text)
}

/// A word of a shell: nothing in single quotes means anything but a single quote.
#[must_use]
pub fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_reaches_the_daemon_that_is_meant() {
        let disable = "sgeventd plugins disable a";
        let config = Way::to(Path::new("/etc/x.toml"), Path::new("/srv/admin.sock"));
        let packaged = Way::to(Path::new("/etc/x.toml"), Path::new(PACKAGED));
        let socket = Way::Socket("/run/a b.sock".into());
        let by_config = "sgeventd plugins disable a -c /etc/x.toml";
        for (way, words, expected) in [
            (&packaged, disable, disable),
            (&config, disable, by_config),
            (&config, by_config, by_config),
            (&packaged, by_config, by_config),
            (
                &socket,
                by_config,
                "sgeventd plugins disable a --socket '/run/a b.sock'",
            ),
            (
                &socket,
                disable,
                "sgeventd plugins disable a --socket '/run/a b.sock'",
            ),
            (&config, "sgeventd status", "sgeventd status -c /etc/x.toml"),
            (&config, "edit /p/a.py", "edit /p/a.py"),
            (
                &config,
                "sgeventd check-config -c y.toml",
                "sgeventd check-config -c y.toml",
            ),
        ] {
            assert_eq!(way.command(words), expected);
        }
    }
}
