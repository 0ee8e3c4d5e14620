//! The wall clock jumps, at the start and while all runs: nobody is late for it, nothing is given up for it, nothing is deleted.
//!
//! The daemon's wall clock is moved by `tests/proof/interpose.c`; the site's, and the one that timers run by, are not.

use std::fs;

use serde_json::json;

use crate::support::{Site, Studio, interposed::Interposed, proof::ask, steered::Word, until};

const HOUR: i64 = 3_600_000;
const YEARS: i64 = 10 * 365 * 24 * HOUR;
/// Wants every third event a second time.
const REFUSES: &str = "def handle(event, delivery):\n    again = event['id'] % 3 == 0 and delivery['attempt'] == 1\n    return {'status': 'retry', 'after_ms': 50, 'reason': 'once more'} if again else {}";
/// To a moment after the first of January 1970.
const TO_1970: i64 = -56 * 365 * 24 * HOUR;

#[tokio::test]
async fn nothing_comes_of_it() {
    let site = Site::quiet().await;
    // A gap is asked for at once and given up long after the test, but sooner than the clock jumps.
    let studio = Studio::new(&site).gaps("2s", "1h");
    // What is refused once is tried again after a while by the clock of timers.
    let studio = studio.actor("refuses", REFUSES, "");
    let book = studio.book_of("witness").display().to_string();
    let keys = "max_age = \"1d\"";
    let studio = studio.plugin("witness", &["witness.py", &book], keys);
    let studio = studio.judged("witness", "all", 1, None);
    let studio = studio.section("[retention]\nage = \"1d\"\n");
    let (clock, control) = Interposed::steered(&studio);
    let mut jumps = 0;
    // The last one starts with a clock that was never like that before, and nothing but that.
    for (boot, clocks) in [
        (TO_1970, &[HOUR, -HOUR, TO_1970][..]),
        (0, &[HOUR, -HOUR, -YEARS, 0]),
        (YEARS, &[]),
        (YEARS, &[0, YEARS]),
    ] {
        control.set(Word::ClockMs, boot);
        let doubts = || doubts(&studio);
        let before = doubts();
        let daemon = clock.start(&studio).await;
        if clocks.is_empty() {
            until("retention has looked", || doubts() > before).await;
        }
        for clock in clocks {
            control.set(Word::ClockMs, *clock);
            jumps += 1;
            site.order(&json!({"verb": "jump", "by": 1}));
            site.work(4);
            daemon.delivered(&studio, &site.truth()).await;
            let is_done = |plugin: &serde_json::Value| plugin["open"] == 0 && plugin["behind"] == 0;
            daemon
                .plugin_when("refuses", "what it refused once is tried again", is_done)
                .await;
        }
        let status = daemon.status().await.expect("it answers");
        assert_eq!(status["site"]["given_up"], 0, "{status}");
        for plugin in status["plugins"].as_array().expect("plugins") {
            assert_eq!(plugin["generation"], 1, "{plugin}");
            assert_eq!(plugin["counts"]["too_old"], 0, "{plugin}");
        }
        assert_eq!(daemon.stop().await, Some(0), "{}", studio.log());
    }
    let left = ask(
        &studio.path("state/journal.db"),
        "SELECT count(*) FROM bodies",
    );
    let left = format!("{:?}", left.expect("a database"));
    assert_eq!(left, format!("[[Integer({})]]", site.truth().len()));
    let run = studio.recheck(&site, "clock-jumps", &[23]);
    run.told_and_over(&[]);
    run.with("jumps", jumps).judge();
}

/// How often the log says that the clock is doubted: a jump begins another file of it, as each day does.
fn doubts(studio: &Studio) -> usize {
    let files = fs::read_dir(studio.path("")).expect("our own folder");
    let logs = files.flatten().filter(|file| {
        let name = file.file_name();
        name.to_string_lossy().starts_with("sgeventd.log")
    });
    let texts = logs.map(|file| fs::read_to_string(file.path()).unwrap_or_default());
    texts
        .map(|text| text.matches("nothing is deleted").count())
        .sum()
}
