//! Before something that cannot be taken back: what it does, and whether a person wants it.

use std::io::{self, BufRead as _, IsTerminal as _};

use super::{Exit, exit::Failure, output::talk};

/// Says what would happen and asks; without a terminal only `--yes` will do.
pub(super) fn confirm(effect: &str, yes: bool) -> Result<bool, Failure> {
    talk(effect);
    if yes {
        return Ok(true);
    }
    if !io::stdin().is_terminal() {
        let failure = Failure::words(Exit::Usage, "nobody is there to be asked");
        return Err(failure.hint("--yes in a script"));
    }
    talk("Go on? [y/N]");
    let mut answer = String::new();
    let read = io::stdin().lock().read_line(&mut answer);
    read.map_err(|error| Failure::new(Exit::Io, &error))?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}
