//! Why a process ended, as far as the end of its log tells: the error that its language printed. Pure.
//!
//! In: lines of a log, an exit. Out: the error, its part of the log, what to do about it.

use crate::process::Exit;

/// Of an error's lines so many are shown, the last ones.
const LINES_MAX: usize = 12;
/// So many lines stand before an error that has no head of its own.
const BEFORE: usize = 4;
/// What Python writes above its errors.
const TRACEBACK: &str = "Traceback (most recent call last):";

/// What to do about a log in words that are nobody's.
const READ_IT: &str = "mend what its log says";

/// An error that a process printed.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Cause<'a> {
    /// In its language's words.
    pub(super) error: &'a str,
    /// The lines that lead to it.
    pub(super) lines: &'a [&'a str],
    /// What to do.
    pub(super) mend: &'static str,
}

/// The last error in a log; none: it ended without a word that is understood.
pub(super) fn cause<'a>(log: &'a [&'a str]) -> Option<Cause<'a>> {
    let at = log
        .iter()
        .rposition(|line| is_error(line) || is_of_env(line))?;
    let error = log[at];
    let head = log[..at]
        .iter()
        .rposition(|line| line.starts_with(TRACEBACK));
    let first = head.unwrap_or(at.saturating_sub(BEFORE));
    let first = first.max((at + 1).saturating_sub(LINES_MAX));
    let is_of = |names: &[&str]| names.iter().any(|name| error.starts_with(name));
    let mend = if is_of(&["ModuleNotFoundError", "ImportError"]) {
        "install the module for the Python that runs the plugin, or say where it is: `venv` or `pythonpath` in [plugin.NAME], and check with --config"
    } else if error.contains("ERR_MODULE_NOT_FOUND") || error.contains("Cannot find module") {
        "install the package in the plugin's folder"
    } else if is_of_env(error) && error.contains("-[v]S") {
        "its lines end as on Windows (sed -i 's/\\r$//' FILE takes that away), or its first line has more words than a program: put -S behind env"
    } else if is_of_env(error) {
        "install the program that its first line names, or name another one there"
    } else {
        READ_IT
    };
    Some(Cause {
        error,
        lines: &log[first..=at],
        mend,
    })
}

/// What to do about an end whose log names no error; none: what the rule says. `is_unready`: it had not started yet.
pub(super) fn mend(exit: Exit, is_unready: bool, has_log: bool) -> Option<&'static str> {
    match exit {
        Exit::Code(78) => Some(
            "78 says that its configuration is wrong: give it what it wants, by --config-json for its own table, by --config for the operator's file",
        ),
        Exit::Code(0) if is_unready => Some(
            "read lines until the input ends, and answer each that has an id with one line of JSON; print to standard error",
        ),
        Exit::Code(0) => None,
        _ => has_log.then_some(READ_IT),
    }
}

/// True for `KeyError: 'a'`, `json.JSONDecodeError: …`, `Error [ERR_MODULE_NOT_FOUND]: …`: how Python and Node name an error.
fn is_error(line: &str) -> bool {
    let name = line.split(": ").next().unwrap_or_default().trim_end();
    let name = name.split(" [").next().unwrap_or_default();
    let is_word = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.');
    name.chars().all(is_word) && ["Error", "Exception"].iter().any(|end| name.ends_with(end))
}

/// True for `/usr/bin/env: …`, which speaks when it cannot run what a first line names.
fn is_of_env(line: &str) -> bool {
    let name = line.split_once(": ").map(|(name, _)| name);
    name.is_some_and(|name| name == "env" || name.ends_with("/env"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_error_is_found_with_what_leads_to_it() {
        for (log, error, lines, part) in [
            (
                &[
                    "hello",
                    TRACEBACK,
                    "  File \"a.py\", line 2, in <module>",
                    "    import shotgun_api4",
                    "ModuleNotFoundError: No module named 'shotgun_api4'",
                ][..],
                "ModuleNotFoundError: No module named 'shotgun_api4'",
                4,
                "pythonpath",
            ),
            (
                &[
                    "/usr/bin/env: 'python3\\r': No such file or directory",
                    "/usr/bin/env: use -[v]S to pass options in shebang lines",
                ],
                "/usr/bin/env: use -[v]S to pass options in shebang lines",
                2,
                "as on Windows",
            ),
            (
                &["/usr/bin/env: 'python9': No such file or directory"],
                "/usr/bin/env: 'python9': No such file or directory",
                1,
                "install the program",
            ),
            (
                &[
                    "  File \"a.py\", line 3",
                    "    def x(",
                    "SyntaxError: '(' was never closed",
                ],
                "SyntaxError: '(' was never closed",
                3,
                "its log",
            ),
            (
                &[
                    "node:internal/modules/esm/resolve:853",
                    "  throw new ERR_MODULE_NOT_FOUND(",
                    "Error [ERR_MODULE_NOT_FOUND]: Cannot find package 'x'",
                    "    at node:internal",
                ],
                "Error [ERR_MODULE_NOT_FOUND]: Cannot find package 'x'",
                3,
                "install the package",
            ),
            (
                &[
                    "KeyError: 'first'",
                    TRACEBACK,
                    "  …",
                    "a.b.StrangeException",
                ],
                "a.b.StrangeException",
                3,
                "its log",
            ),
        ] {
            let found = cause(log).expect(error);
            assert_eq!((found.error, found.lines.len()), (error, lines));
            assert!(found.mend.contains(part), "{found:?}");
        }
        assert_eq!(
            cause(&["no licence: Error in the server", "  TypeError: in a quote"]),
            None
        );
    }

    #[test]
    fn of_a_long_one_the_end_is_shown() {
        let mut log = vec![TRACEBACK];
        log.extend(["  File"; 40]);
        log.push("RecursionError: maximum recursion depth exceeded");
        let found = cause(&log).expect("an error");
        assert_eq!(found.lines.len(), LINES_MAX);
        assert_eq!(found.lines.last(), log.last());
    }
}
