//! `status`: what works, what does not, and what to type next.

use super::{
    Exit,
    args::StatusArgs,
    exit::Failure,
    output::{data, paint},
    reach,
};
use crate::{
    admin::{AdminClient as _, Status, client::connect, status::Overall},
    plugin::report::PluginReport,
};

/// Asks the daemon and prints what it says.
pub(super) fn run(args: &StatusArgs) -> Result<Exit, Failure> {
    let socket = reach::socket(&args.reach)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::new(Exit::Io, &error))?;
    let status = runtime.block_on(async {
        let client = connect(&socket)
            .await
            .map_err(|error| reach::refused(&error))?;
        client
            .status()
            .await
            .map_err(|error| Failure::new(Exit::Down, &error))
    })?;
    if args.json {
        data(&serde_json::to_string(&status).map_err(|error| Failure::new(Exit::Io, &error))?);
    } else {
        print(&status, args.all);
    }
    Ok(match status.state {
        Overall::Ok => Exit::Done,
        Overall::Degraded => Exit::No,
        Overall::Down => Exit::Down,
    })
}

fn print(status: &Status, all: bool) {
    let (style, word) = match status.state {
        Overall::Ok => (paint::OK, "ok"),
        Overall::Degraded => (paint::WARN, "degraded"),
        Overall::Down => (paint::BAD, "down"),
    };
    data(&format!(
        "{} sgeventd {}  {}",
        paint::text(style, "●"),
        status.version,
        paint::text(style, word)
    ));
    let site = &status.site;
    let reason = site
        .reason
        .as_deref()
        .map(|reason| format!(" · {reason}"))
        .unwrap_or_default();
    let head = site
        .head
        .map_or_else(|| "none".into(), |head| head.to_string());
    data(&format!(
        "  site      {}{reason} · {:.0} ms · head {head} · {} gaps",
        site.state, site.latency_ms, site.gaps
    ));
    if let Some(from) = site.accept_from {
        data(&format!(
            "    Next:  if it was restored: sgeventd site accept --from {from}"
        ));
    }
    let journal = &status.journal;
    data(&format!(
        "  journal   {} · {} events · on disk to {}",
        journal.state, journal.rows, journal.seq
    ));
    data(&format!("  plugins   {}", status.plugins.len()));
    if let Some(error) = &status.config.error {
        data(&format!(
            "  config    invalid, the old one goes on: {error}"
        ));
    } else if status.config.is_newer {
        data("  config    the file is newer than what runs: reload with SIGHUP");
    } else if !status.config.needs_restart.is_empty() {
        let keys = status.config.needs_restart.join(", ");
        data(&format!(
            "  config    changed, and applied by a restart only: {keys}"
        ));
    }
    if all {
        for (what, how) in &status.containment.held {
            data(&format!("  holds     {what}: {how}"));
        }
        for lack in &status.containment.lacks {
            data(&format!("  lacks     {lack}"));
        }
    }
    data("");
    let mut plugins: Vec<&PluginReport> = status
        .plugins
        .iter()
        .filter(|plugin| all || !plugin.ok)
        .collect();
    plugins.sort_by_key(|plugin| plugin.ok);
    for plugin in plugins {
        let mark = if plugin.ok {
            paint::text(paint::OK, "✓")
        } else {
            paint::text(paint::BAD, "✗")
        };
        let why = plugin.reason.as_deref().unwrap_or_default();
        data(&format!(
            "{mark} {:<20} {:<11} {:>7}   {why}",
            plugin.name.as_str(),
            plugin.state,
            plugin.behind
        ));
        if let Some(remedy) = &plugin.remedy {
            data(&format!("    Next:  {remedy}"));
        }
    }
}
