//! A disk that is really full: nothing is lost, reads go on, and it writes again when there is room. Run by name:
//! `mount -t tmpfs -o size=16m none DIR`, then `SMALL_DISK=DIR cargo test full_disk -- --ignored`.

#![expect(clippy::print_stderr, reason = "run by a person")]

use std::path::Path;

use super::{
    testing::{answer, sized_event},
    *,
};
use crate::{
    clock::{Clock, Unix},
    ident::Seq,
};

/// More than the disk holds.
const ROWS: i64 = 100_000;
const BATCH: i64 = 500;

fn batches() -> Vec<Op> {
    let starts = (1..=ROWS).step_by(BATCH as usize);
    let batch = |first: i64| Op::Append {
        append: answer(
            (first > 1).then_some(first - 1),
            first + BATCH - 1,
            (first..first + BATCH)
                .map(|id| sized_event(id, 1200))
                .collect(),
        ),
        at: Unix(0),
    };
    starts.map(batch).collect()
}

fn start(dir: &Path) -> Journal {
    let dir = StateDir::open(dir).unwrap();
    let engine = Sqlite::open(&dir.database()).unwrap();
    Journal::start(Box::new(engine), Some(dir), Options::default()).unwrap()
}

#[tokio::test]
#[ignore = "needs a small file system"]
async fn a_disk_that_is_really_full() {
    let small = std::env::var("SMALL_DISK").expect("SMALL_DISK names a small file system");
    let ballast = Path::new(&small).join("ballast");
    std::fs::write(&ballast, vec![1; 6 << 20]).unwrap();
    let journal = start(&Path::new(&small).join("state"));
    let mut health = journal.health();
    let mut ops = batches().into_iter();
    let mut ticket = None;
    for op in ops.by_ref() {
        let sent = journal.try_submit(vec![op], When::Now).unwrap();
        tokio::select! {
            answers = sent => assert!(answers.unwrap()[0].is_ok()),
            _ = health.wait_for(|health| *health != Health::Working) => break,
        }
    }
    eprintln!(
        "stalled at {}: {:?}",
        journal.head().borrow().0,
        *journal.health().borrow()
    );
    journal.heartbeat().await.unwrap();
    assert!(matches!(*journal.health().borrow(), Health::Stalled(_)));
    assert!(!journal.read(Seq(0), 10).await.unwrap().is_empty());
    let last = *journal.head().borrow();
    if let Some(op) = ops.next() {
        ticket = journal.try_submit(vec![op], When::Now).ok();
    }
    std::fs::remove_file(&ballast).unwrap();
    let clock = Clock::start();
    health
        .wait_for(|health| *health == Health::Working)
        .await
        .unwrap();
    eprintln!("resumed after {} ms", clock.now().mono.0);
    if let Some(ticket) = ticket {
        ticket.await.unwrap()[0].clone().unwrap();
    }
    assert_eq!(
        journal.extent().await.unwrap().last,
        Seq(last.0 + 2 * BATCH as u64)
    );
    journal.close().await;
}
