//! A replay in the journal is carried out by the daemon: each event of the range once more, marked, in order, through a kill
//! in its middle; the position stays and new events are not held up.

use std::collections::BTreeSet;

use serde_json::Value;
use sgeventd::{
    ident::{PluginName, Seq},
    journal::{Op, Outcome, Replay, When},
};

use crate::support::{Daemon, Site, Studio, proof::ask, until};

/// The first and the last position of the range.
const RANGE: (u64, u64) = (5, 24);

#[tokio::test]
async fn through_a_kill_and_beside_new_events() {
    let site = Site::quiet().await;
    let studio = Studio::new(&site).witness_as("witness", &["0.01"], "all", 1);
    let daemon = Daemon::start(&studio).await;
    daemon.all_done(&site, &studio).await;
    assert_eq!(daemon.stop().await, Some(0), "{}", studio.log());
    let (before, position) = (studio.witnessed().len(), position(&studio));
    let ids = asked_for(&studio).await;

    let daemon = Daemon::start(&studio).await;
    until("a part is handed out again", || again(&studio).len() >= 5).await;
    daemon.kill().await;
    studio.crashed();
    let seen: BTreeSet<i64> = again(&studio).into_iter().collect();
    assert!(seen.len() < ids.len(), "the kill came amid the replay");
    let known = site.truth().len();
    site.work(3);
    let fresh = site.truth().len() - known;
    assert!(fresh > 0);

    let daemon = Daemon::start(&studio).await;
    until("all of it is handed out again", || {
        let seen: BTreeSet<i64> = again(&studio).into_iter().collect();
        seen.len() == ids.len()
    })
    .await;
    daemon.all_done(&site, &studio).await;
    assert_eq!(daemon.stop().await, Some(0), "{}", studio.log());

    let again = again(&studio);
    let firsts: Vec<i64> = first_times(&again);
    assert_eq!(firsts, ids, "in order, and nothing else");
    assert!(
        again.len() <= ids.len() + 15,
        "what was settled on disk is over: {again:?}"
    );
    let left = ask(
        &studio.path("state/journal.db"),
        "SELECT count(*) FROM replays",
    );
    assert_eq!(format!("{left:?}"), "Ok([[Integer(0)]])");
    assert_eq!(self::position(&studio), position + fresh as i64);
    // What is new went before what was left of the replay.
    let lines = studio.book("witness");
    let lines: Vec<Value> = lines.into_iter().skip(before).collect();
    let fresh = lines.iter().rposition(|line| !is_again(line));
    let last = lines.iter().rposition(is_again);
    assert!(fresh < last, "new events waited for the replay");
    studio.recheck(&site, "replay-through-a-kill", &[1]).judge();
}

/// Puts a replay into the state, and returns the ids of its range.
async fn asked_for(studio: &Studio) -> Vec<i64> {
    let journal = studio.journal();
    let (first, last) = (Seq(RANGE.0), Seq(RANGE.1));
    let op = Op::Replay {
        plugin: PluginName::new("witness"),
        replay: Replay {
            first,
            last,
            next: first,
        },
    };
    let answers = journal.submit(vec![op], When::Now).await.expect("a disk");
    assert_eq!(answers, [Ok(Outcome::Done)]);
    let rows = usize::try_from(RANGE.1 + 1 - RANGE.0).expect("few");
    let rows = journal.read(Seq(RANGE.0 - 1), rows).await.expect("rows");
    journal.close().await;
    rows.iter().map(|row| row.facts.event_id.0).collect()
}

fn is_again(line: &Value) -> bool {
    line["replay"] == true
}

fn again(studio: &Studio) -> Vec<i64> {
    let book = studio.book("witness");
    let again = book.iter().filter(|line| is_again(line));
    again.filter_map(|line| line["event"].as_i64()).collect()
}

fn first_times(ids: &[i64]) -> Vec<i64> {
    let mut seen = BTreeSet::new();
    ids.iter().copied().filter(|id| seen.insert(*id)).collect()
}

fn position(studio: &Studio) -> i64 {
    studio.cursors()["witness"]["position"]
        .as_i64()
        .expect("a position")
}
