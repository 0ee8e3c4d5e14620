//! What becomes of an event that a plugin cannot handle: isolated, given its time and no more, kept as a dead letter.

use serde_json::Value;
use sgeventd::{
    ident::PluginName,
    journal::{DeadLetter, DeadQuery, Op, Outcome},
};

use crate::support::{Daemon, Site, Studio};

/// The dead letters on disk, when no daemon runs.
async fn letters(studio: &Studio) -> Vec<DeadLetter> {
    let journal = studio.journal();
    let query = DeadQuery {
        plugin: None,
        after: 0,
        rows: 100,
    };
    let letters = journal.dead(query).await.expect("letters");
    journal.close().await;
    letters
}

/// An operator's word about dead letters, when no daemon runs.
async fn order(studio: &Studio, op: Op) -> Outcome {
    let journal = studio.journal();
    let outcome = journal.write(op).await.expect("on disk");
    journal.close().await;
    outcome
}

#[tokio::test]
async fn a_dead_letter_says_all_and_stays_until_it_is_redriven_or_dropped() {
    let site = Site::quiet().await;
    let truth = site.truth();
    let body = format!(
        "MANIFEST[\"version\"] = \"2.1.0\"\ndef handle(event, delivery):\n    if event['id'] == {} and not delivery.get('replay'):\n        raise KeyError('sg_cut_in')\n    if event['id'] == {} and delivery['attempt'] == 1:\n        return {{'status': 'retry', 'after_ms': 10}}\n    if event['id'] == {}:\n        return {{'status': 'dead', 'reason': 'no such show'}}\n    return {{}}",
        truth[1], truth[3], truth[3]
    );
    let keys = "delivery = { max_attempts = 2 }";
    let studio = Studio::new(&site).actor("lossy", &body, keys);
    let ok = |count: usize| move |report: &Value| report["counts"]["ok"] == count;
    let daemon = Daemon::start(&studio).await;
    let report = daemon
        .plugin_when("lossy", "handles the rest", ok(truth.len() - 2))
        .await;
    assert_eq!(report["dead_letters"], 2, "{report}");
    assert_eq!(daemon.stop().await, Some(0), "{}", studio.log());
    let kept = letters(&studio).await;
    let said = |letter: &DeadLetter| {
        let body = letter.body.as_deref().expect("its event");
        let event: Value = serde_json::from_slice(body).expect("the site's row");
        let id = event["id"].as_i64().expect("an id");
        assert_eq!(letter.facts.event_id.0, id, "{event}");
        assert!(event["event_type"].is_string(), "{event}");
        assert_eq!(letter.plugin, PluginName::new("lossy"));
        assert_eq!(letter.dead.version.as_deref(), Some("2.1.0"));
        (id, letter.dead.reason.to_string(), letter.dead.attempts)
    };
    let found: Vec<_> = kept.iter().map(said).collect();
    let expected = [
        (truth[1], "attempts".to_owned(), 2),
        (truth[3], "dead".to_owned(), 2),
    ];
    assert_eq!(found, expected);
    let error = &kept[0].dead.error;
    assert!(
        error.contains("KeyError('sg_cut_in')") && error.contains("Traceback: here"),
        "{error}"
    );
    assert_eq!(&*kept[1].dead.error, "no such show");
    // A restart changes nothing about them.
    let daemon = Daemon::start(&studio).await;
    daemon
        .plugin_when("lossy", "works", |report| report["state"] == "ok")
        .await;
    assert_eq!(daemon.stop().await, Some(0), "{}", studio.log());
    assert_eq!(letters(&studio).await, kept);
    let redrive = Op::Redrive {
        ids: vec![kept[0].id],
    };
    let redriven = order(&studio, redrive).await;
    assert!(
        matches!(&redriven, Outcome::Redriven(all) if all.len() == 1),
        "{redriven:?}"
    );
    let ids = vec![kept[1].id];
    let dropped = order(&studio, Op::DropDead { ids }).await;
    assert!(matches!(dropped, Outcome::Removed(1)), "{dropped:?}");
    let daemon = Daemon::start(&studio).await;
    daemon
        .plugin_when("lossy", "handles it at last", ok(truth.len() - 1))
        .await;
    assert_eq!(daemon.stop().await, Some(0), "{}", studio.log());
    assert_eq!(letters(&studio).await, []);
    let book = studio.book("lossy");
    let again = book.iter().rfind(|line| line["event"].is_i64());
    let again = again.expect("a delivery");
    assert_eq!(
        (&again["event"], &again["delivery"]["replay"]),
        (&truth[1].into(), &true.into())
    );
}

/// With several events open nobody knows which one it was: they go out one at a time until that is clear.
#[tokio::test]
async fn a_poison_event_is_found_among_others_and_costs_the_plugin_nothing_else() {
    let site = Site::quiet().await;
    let bad = site.truth().last().expect("an event") + 3;
    let body = format!(
        "def handle(event, delivery):\n    time.sleep(0.02)\n    if event['id'] == {bad}:\n        os._exit(3)\n    return {{}}"
    );
    let keys = "delivery = { order = \"none\", max_in_flight = 4 }";
    let studio = Studio::new(&site)
        .witness()
        .pulse()
        .actor("poisoned", &body, keys);
    let daemon = Daemon::start(&studio).await;
    let known = site.truth().len();
    daemon
        .plugin_when("poisoned", "handles what was there", |report| {
            report["counts"]["ok"] == known
        })
        .await;
    let calm = studio.beats().await;
    let since = studio.beat();
    site.work(8);
    let during = studio.beats().await;
    let truth = site.truth();
    assert!(truth.contains(&bad), "{truth:?}");
    let rest = truth.len() - 1;
    let report = daemon
        .plugin_when("poisoned", "goes on behind it", |report| {
            report["counts"]["ok"] == rest && report["dead_letters"] == 1
        })
        .await;
    studio.never_stood_still(since);
    let times = studio.handed("poisoned");
    let times = times.iter().filter(|id| **id == bad).count();
    assert!(
        (2..=3).contains(&times),
        "once in company, twice alone: {times}"
    );
    assert_eq!(report["restarts"], times, "{report}");
    assert_eq!(report["state"], "ok", "{report}");
    daemon.all_done(&site, &studio).await;
    assert_eq!(daemon.stop().await, Some(0), "{}", studio.log());
    let kept = letters(&studio).await;
    let found: Vec<_> = kept
        .iter()
        .map(|letter| {
            (
                letter.facts.event_id.0,
                &*letter.dead.reason,
                letter.dead.attempts,
            )
        })
        .collect();
    assert_eq!(found, [(bad, "crashed_plugin", 2)]);
    let handed = studio.handed("poisoned");
    assert!(truth.iter().all(|id| handed.contains(id)), "{handed:?}");
    let run = studio.recheck(&site, "poison-event", &[37]);
    run.told(&["dead_letter"], &[]);
    run.with("dead", kept.len())
        .with("crashes", times)
        .quiet(&[(calm, during)])
        .judge();
}

/// One event asks for time and gets it; one asks for ever, and is told at the ceiling.
#[tokio::test]
async fn progress_moves_a_deadline_up_to_the_ceiling() {
    let site = Site::quiet().await;
    let truth = site.truth();
    let body = format!(
        "STOP = threading.Event()\ndef told(msg):\n    if msg['method'] == '$/cancel':\n        STOP.set()\ndef handle(event, delivery):\n    rounds = {{{}: 8, {}: 1000}}.get(event['id'], 0)\n    for _ in range(rounds):\n        send({{'method': '$/progress', 'params': {{'id': OPEN.id, 'percent': 50, 'extend_ms': 1000}}}})\n        if STOP.wait(0.25):\n            return {{'status': 'skip', 'reason': 'cancelled'}}\n    return {{}}",
        truth[1], truth[3]
    );
    let keys = "delivery = { timeout = \"1s\", ceiling = \"4s\" }";
    let studio = Studio::new(&site).actor("long", &body, keys);
    let daemon = Daemon::start(&studio).await;
    let report = daemon
        .plugin_when("long", "is through", |report| {
            report["counts"]["ok"] == truth.len() - 1 && report["counts"]["skipped"] == 1
        })
        .await;
    assert_eq!(report["generation"], 1, "nobody was ended: {report}");
    assert_eq!(daemon.stop().await, Some(0), "{}", studio.log());
    assert_eq!(studio.handed("long"), truth, "each once");
    let book = studio.book("long");
    let at = |key: &str, value: Value| {
        let line = book.iter().find(|line| line[key] == value);
        line.and_then(|line| line["at"].as_f64()).expect("a line")
    };
    let took = |id: i64| at("done", id.into()) - at("event", id.into());
    assert!(took(truth[1]) >= 2.0, "twice its time: {}", took(truth[1]));
    let cancels = book.iter().filter(|line| line["method"] == "$/cancel");
    assert_eq!(cancels.count(), 1);
    let told = at("method", "$/cancel".into()) - at("event", truth[3].into());
    assert!(told >= 3.9, "before the ceiling: {told}");
}

/// One attempt is all that an event has, and none of these is one: a signal from outside, the death of the daemon, a site that is away.
#[tokio::test]
async fn what_is_nobodys_fault_costs_no_attempt() {
    let site = Site::quiet().await;
    let truth = site.truth();
    let body = format!(
        "import signal\ndef handle(event, delivery):\n    first = delivery['attempt'] == 1\n    if event['id'] == {} and first:\n        os.kill(os.getpid(), signal.SIGTERM)\n        time.sleep(60)\n    if event['id'] == {} and not os.path.exists(BOOK + '.hung'):\n        open(BOOK + '.hung', 'w').close()\n        time.sleep(60)\n    if event['id'] == {} and first:\n        while not os.path.exists(BOOK + '.away'):\n            time.sleep(0.02)\n        raise KeyError('no answer')\n    return {{}}",
        truth[1], truth[3], truth[5]
    );
    let keys = "delivery = { max_attempts = 1 }";
    let studio = Studio::new(&site)
        .impatient()
        .actor("innocent", &body, keys);
    let has_begun = |id: &i64| studio.handed("innocent").contains(id);
    let daemon = Daemon::start(&studio).await;
    daemon
        .status_when("an event hangs", |_| {
            has_begun(&truth[3]) && studio.path("innocent.book.hung").exists()
        })
        .await;
    daemon.kill().await;
    let daemon = Daemon::start(&studio).await;
    daemon
        .status_when("an event waits for an outage", |_| has_begun(&truth[5]))
        .await;
    site.order(&serde_json::json!({"verb": "fail", "kind": "http503"}));
    daemon
        .status_when("the site is away", |status| status["site"]["state"] != "ok")
        .await;
    std::fs::write(studio.path("innocent.book.away"), "").expect("a file");
    daemon
        .plugin_when("innocent", "has failed", |report| {
            report["counts"]["retried"] == 1
        })
        .await;
    site.clear();
    let report = daemon
        .plugin_when("innocent", "handles all", |report| {
            report["counts"]["ok"] == truth.len()
        })
        .await;
    assert_eq!(report["dead_letters"], 0, "{report}");
    assert_eq!(daemon.stop().await, Some(0), "{}", studio.log());
    for id in [truth[1], truth[3], truth[5]] {
        let times = studio
            .handed("innocent")
            .iter()
            .filter(|one| **one == id)
            .count();
        assert!(times >= 2, "event {id} was handed out {times} times");
    }
}
