//! `sandbox`: a made-up site until Ctrl-C, and orders for one that runs.
//!
//! The one place where a key may stand on a command line: the site is made up, and so is the key.

use std::{
    fs::File,
    io::{BufReader, Write as _},
    net::{SocketAddr, TcpListener},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    time::Duration,
};

use bytes::Bytes;
use serde_json::json;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use super::{
    Exit,
    args::{SANDBOX, SandboxArgs, SandboxCommand, ScenarioArg},
    exit::Failure,
    output::{data, paint, talk},
    paste::{Access, heading},
    sandbox_ctl,
};
use crate::{
    sandbox::{Ground, LoadError, Options, Sandbox, Scenario},
    secret::Secret,
};

/// Runs a site, or gives one an order.
pub(super) fn run(args: &SandboxArgs) -> Result<Exit, Failure> {
    // Every call waits for the one state: other threads cost more in wake-ups than they bring.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::new(Exit::Io, &error))?;
    runtime.block_on(async {
        match &args.order {
            Some(SandboxCommand::Ctl(order)) => sandbox_ctl::run(order).await,
            None => serve(args).await,
        }
    })
}

async fn serve(args: &SandboxArgs) -> Result<Exit, Failure> {
    let io = |error: std::io::Error| Failure::new(Exit::Io, &error);
    // Before the line is printed: whoever reads it may send a signal at once.
    let mut terminate = signal(SignalKind::terminate()).map_err(io)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(io)?;
    let key = args.key.clone();
    let key = key.unwrap_or_else(|| format!("{:032x}", fastrand::u128(..)));
    let options = Options {
        listen: args.listen.unwrap_or_else(usual),
        scripts: vec![(args.script.clone(), Secret::new(key.clone()))],
        seed: args.seed,
        scenario: match args.scenario {
            ScenarioArg::Empty => Scenario::Empty,
            ScenarioArg::Demo => Scenario::Demo,
            ScenarioArg::Studio => Scenario::Studio,
            ScenarioArg::Huge => Scenario::Huge,
        },
        rate: args.rate,
        page_delay: Duration::from_millis(args.page_delay_ms),
    };
    if let Some(file) = &args.dump {
        // Now, and not when the site is over.
        can_be_written(file).map_err(|error| not_written(file, &error))?;
    }
    let stop = CancellationToken::new();
    let listen = options.listen;
    let ground = ground(args)?;
    let sandbox = Sandbox::start_on(ground, options, stop.clone())
        .await
        .map_err(|error| {
            let what = format!("cannot listen on {listen}: {error}");
            Failure::words(Exit::Io, what)
                .hint("name another address with --listen; port 0 takes a free one")
        })?;
    announce(args, &sandbox.url(), &key);
    tokio::select! {
        _signal = terminate.recv() => {}
        _signal = interrupt.recv() => {}
    }
    stop.cancel();
    sandbox.closed().await;
    if let Some(file) = &args.dump {
        write(file, &sandbox.dump()).map_err(|error| not_written(file, &error))?;
    }
    Ok(Exit::Done)
}

/// The usual address, or a free port beside it when another site has that one.
fn usual() -> SocketAddr {
    let mut address: SocketAddr = SANDBOX.parse().expect("an address that is written down");
    if TcpListener::bind(address).is_err() {
        address.set_port(0);
    }
    address
}

/// What the site is built on.
fn ground(args: &SandboxArgs) -> Result<Ground, Failure> {
    let unreadable = |file: &Path| {
        let name = file.display().to_string();
        move |error: std::io::Error| {
            Failure::words(Exit::Io, format!("cannot read {name}: {error}"))
        }
    };
    let wrong = |error: LoadError| Failure::new(Exit::Config, &error);
    if let Some(file) = &args.load {
        let lines = File::open(file).map_err(unreadable(file))?;
        let name = file.display().to_string();
        return Ground::from_dump(BufReader::new(lines), &name).map_err(wrong);
    }
    if args.schema.is_empty() {
        return Ok(Ground::default());
    }
    let read = |file: &PathBuf| {
        let bytes = std::fs::read(file).map_err(unreadable(file))?;
        Ok((file.display().to_string(), bytes))
    };
    let files: Result<Vec<(String, Vec<u8>)>, Failure> = args.schema.iter().map(read).collect();
    Ground::from_schema(&files?).map_err(wrong)
}

fn not_written(file: &Path, error: &std::io::Error) -> Failure {
    let what = format!("cannot write {}: {error}", file.display());
    Failure::words(Exit::Io, what).hint("--dump names a file in a folder that is there")
}

/// Whether a file can be made beside the one that is named, and put in its place.
fn can_be_written(file: &Path) -> std::io::Result<()> {
    if file.is_dir() {
        return Err(std::io::ErrorKind::IsADirectory.into());
    }
    let beside = beside(file);
    File::create(&beside)?;
    std::fs::remove_file(beside)
}

/// Where a file is written before it is whole.
fn beside(file: &Path) -> PathBuf {
    let folder = file
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty());
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    let folder = folder.unwrap_or(Path::new("."));
    folder.join(format!(".{name}.{}", std::process::id()))
}

/// Writes a dump: whole, or the file stays as it was. There are passwords in it, if only made-up ones.
fn write(file: &Path, pieces: &[Bytes]) -> std::io::Result<()> {
    let beside = beside(file);
    let mut options = std::fs::OpenOptions::new();
    let options = options.write(true).create(true).truncate(true).mode(0o600);
    let written = options.open(&beside).and_then(|mut out| {
        pieces.iter().try_for_each(|piece| out.write_all(piece))?;
        out.sync_all()
    });
    let done = written.and_then(|()| std::fs::rename(&beside, file));
    if done.is_err() {
        // What is wrong is said; that this is left, too, helps nobody.
        let _left = std::fs::remove_file(&beside);
    }
    done
}

fn announce(args: &SandboxArgs, url: &str, key: &str) {
    let script = &args.script;
    if args.json {
        data(&json!({"url": url, "script": script, "key": key}).to_string());
        return;
    }
    data(&format!("url     {url}"));
    data(&format!("script  {script}"));
    data(&format!("key     {key}"));
    // Where upstream's files would lie; a folder that is gone is no reason not to run.
    let here = std::env::current_dir().unwrap_or_default();
    let access = Access { url, script, key };
    for form in access.forms(&here) {
        data("");
        data(&paint::text(paint::OK, &heading(form.title)));
        data(form.text.trim_end());
    }
    data("");
    if args.rate > 0.0 && args.load.is_none() && matches!(args.scenario, ScenarioArg::Empty) {
        talk(
            "There is no task to work on yet: artists sign in and out. --scenario demo has tasks.",
        );
    }
    talk("A made-up site, gone when this ends (Ctrl-C). Make it misbehave with");
    talk(&format!(
        "  sgeventd sandbox ctl --url {url} fail 503 --calls 3"
    ));
}
