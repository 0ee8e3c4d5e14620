//! A daemon that is killed at any moment loses nothing, repeats only what was not settled on disk, and leaves no process behind.

use std::{collections::BTreeSet, time::Duration};

use crate::support::{Daemon, Site, Studio, is_alive, until, with_in_environment};

/// A start is soon: what waited is handed out this early, on a slow machine too.
const SOON: Duration = Duration::from_secs(10);

/// Kills it, waits until its plugins died with it, and returns what the witness had settled on disk.
async fn kill(studio: &Studio, daemon: Daemon) -> BTreeSet<i64> {
    let witness = daemon.status().await;
    let witness = witness.and_then(|status| {
        let report = crate::support::plugin(&status, "witness")?;
        report["pid"].as_i64()
    });
    daemon.kill().await;
    if let Some(pid) = witness {
        until("the witness died with its daemon", || !is_alive(pid)).await;
    }
    studio.settled("witness").await
}

#[tokio::test]
async fn five_kills_at_five_moments() {
    let site = Site::start(25.0, 11).await;
    let studio = Studio::new(&site).witness();
    let note = studio.path("grandchildren").display().to_string();
    let studio = studio.vice("leaves_grandchildren", &note, "");
    let mut cuts: Vec<(usize, BTreeSet<i64>)> = Vec::new();
    // So many events after its start it is killed; none: before it has opened its socket, or just then.
    for more in [Some(1), None, Some(17), Some(4), Some(60)] {
        let before = studio.witnessed().len();
        let daemon = Daemon::spawn(&studio, &studio.config());
        match more {
            Some(more) => {
                daemon
                    .status_when("the witness goes on", |_| {
                        let has_begun = !with_in_environment(&note_folder(&note)).is_empty();
                        has_begun && studio.witnessed().len() >= before + more
                    })
                    .await;
            }
            None => tokio::time::sleep(Duration::from_millis(60)).await,
        }
        let settled = kill(&studio, daemon).await;
        cuts.push((studio.witnessed().len(), settled));
    }
    let left = with_in_environment(&note_folder(&note));
    assert!(
        !left.is_empty(),
        "a grandchild outlives a kill, else this shows nothing"
    );

    let (waits, began) = (studio.witnessed().len(), tokio::time::Instant::now());
    let daemon = Daemon::start(&studio).await;
    daemon
        .status_when("the first delivery", |_| studio.witnessed().len() > waits)
        .await;
    assert!(began.elapsed() < SOON, "{:?}", began.elapsed());
    until("what the killed ones left behind is ended", || {
        !left.iter().any(|pid| is_alive(*pid))
    })
    .await;
    site.sandbox.quiet();
    // A row of the last moments may become readable later still: it is in the journal then, and waits there.
    let truth = site.truth();
    daemon.delivered(&studio, &truth).await;
    assert_eq!(daemon.stop().await, Some(0), "{}", studio.log());
    assert_eq!(
        with_in_environment(&note_folder(&note)),
        [0; 0],
        "nothing is left"
    );
    judge(&studio, &truth, &cuts).await;
}

/// The studio's folder, which stands in the environment of all that its plugins started.
fn note_folder(note: &str) -> String {
    note.trim_end_matches("/grandchildren").to_owned()
}

/// Every event, in the journal's order, and no repeat but of what was not settled when a daemon was killed.
async fn judge(studio: &Studio, truth: &[i64], cuts: &[(usize, BTreeSet<i64>)]) {
    let (witnessed, journaled) = (studio.witnessed(), studio.journaled().await);
    let mut known = BTreeSet::new();
    let firsts: Vec<i64> = witnessed
        .iter()
        .copied()
        .filter(|id| known.insert(*id))
        .collect();
    assert_eq!(firsts, journaled[..firsts.len()], "each, in order");
    let truth: BTreeSet<i64> = truth.iter().copied().collect();
    assert!(known.is_superset(&truth), "all that became readable");
    for (length, settled) in cuts {
        let again: Vec<_> = witnessed[*length..]
            .iter()
            .filter(|id| settled.contains(id))
            .collect();
        assert!(
            again.is_empty(),
            "settled on disk and handed out again: {again:?}"
        );
    }
    let mut runs = cuts.iter().map(|cut| cut.0).collect::<Vec<_>>();
    runs.push(witnessed.len());
    let mut start = 0;
    for end in runs {
        let run = &witnessed[start..end];
        let once: BTreeSet<_> = run.iter().collect();
        assert_eq!(once.len(), run.len(), "no repeat without a kill");
        start = end;
    }
}
