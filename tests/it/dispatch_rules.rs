//! What a plugin's section and manifest say about delivery, as a real plugin sees it; and what it may call.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use crate::support::{Daemon, Site, Studio};

/// Runs until the plugins have handled what the site has, then stops the daemon.
async fn play(site: &Site, studio: &Studio, what: &str, holds: impl Fn(&Value) -> bool) -> Value {
    let daemon = Daemon::start(studio).await;
    let status = daemon.status_when(what, holds).await;
    assert_eq!(daemon.stop().await, Some(0), "{}", studio.log());
    assert!(!site.truth().is_empty());
    status
}

fn report<'a>(status: &'a Value, name: &str) -> &'a Value {
    crate::support::plugin(status, name).expect("it is there")
}

fn count(status: &Value, name: &str, key: &str) -> u64 {
    let report = crate::support::plugin(status, name);
    report
        .and_then(|report| report["counts"][key].as_u64())
        .unwrap_or_default()
}

/// The lines about calls of a method: result and error.
fn calls(studio: &Studio, name: &str, method: &str) -> Vec<(Value, Value)> {
    let book = studio.book(name);
    let lines = book.iter().filter(|line| line["call"] == method);
    lines
        .map(|line| (line["answer"].clone(), line["error"].clone()))
        .collect()
}

/// The third event raises what the test says; `THIRD` stands for its id.
fn at_third(site: &Site, body: &str) -> String {
    body.replace("THIRD", &site.truth()[2].to_string())
}

#[tokio::test]
async fn what_comes_after_another_plugin_waits_for_it_event_by_event() {
    let site = Site::quiet().await;
    let slow = "def handle(event, delivery):\n    time.sleep(0.01)\n    return {}";
    let studio = Studio::new(&site)
        .actor("a_second", "", "after = [\"z_first\", \"nobody\"]")
        .actor("z_first", slow, "")
        .section("[plugin.nobody]\ncommand = [\"/bin/true\"]\nenabled = false\n");
    play(&site, &studio, "all handled", |_| {
        studio.handed("a_second").len() == site.truth().len()
    })
    .await;
    let times = |name: &str, key: &str| -> BTreeMap<i64, f64> {
        let book = studio.book(name);
        let lines = book
            .iter()
            .filter_map(|line| Some((line[key].as_i64()?, line["at"].as_f64()?)));
        lines.collect()
    };
    let (first, second) = (times("z_first", "done"), times("a_second", "event"));
    for (id, at) in &second {
        assert!(
            first[id] <= *at,
            "event {id} went out before the first plugin had it"
        );
    }
    assert_eq!(studio.handed("a_second"), site.truth());
}

#[tokio::test]
async fn events_older_than_max_age_are_passed_over_and_counted() {
    let site = Site::quiet().await;
    let old = site.truth();
    // The age is what is tested: it takes its time.
    tokio::time::sleep(std::time::Duration::from_millis(2500)).await;
    let studio = Studio::new(&site)
        .witness()
        .actor("fresh", "", "max_age = \"2s\"");
    let daemon = Daemon::start(&studio).await;
    let passed = |status: &Value| count(status, "fresh", "too_old") == old.len() as u64;
    site.work(4);
    let new: Vec<i64> = site.truth()[old.len()..].to_vec();
    daemon
        .status_when("the new ones", |_| {
            studio.handed("fresh").len() >= new.len()
        })
        .await;
    daemon.delivered(&studio, &site.truth()).await;
    daemon.status_when("the old ones are counted", passed).await;
    assert_eq!(daemon.stop().await, Some(0), "{}", studio.log());
    assert_eq!(studio.handed("fresh"), new);
}

#[tokio::test]
async fn an_error_is_skipped_as_a_dead_letter_when_the_plugin_says_so() {
    let site = Site::quiet().await;
    let body = "def handle(event, delivery):\n    if event['id'] == THIRD:\n        raise KeyError('größe')\n    return {}";
    let keys = "delivery = { on_error = \"skip\" }";
    let studio = Studio::new(&site).actor("skipper", &at_third(&site, body), keys);
    let others = site.truth().len() as u64 - 1;
    let status = play(&site, &studio, "it goes on", |status| {
        count(status, "skipper", "ok") == others
    })
    .await;
    assert_eq!(
        (
            count(&status, "skipper", "dead"),
            count(&status, "skipper", "retried")
        ),
        (1, 0)
    );
    let error = report(&status, "skipper")["last_error"]
        .as_str()
        .unwrap_or_default();
    assert!(
        error.contains("größe") && error.contains("Traceback: here"),
        "{error}"
    );
    assert_eq!(
        studio.handed("skipper"),
        site.truth(),
        "in order, each once"
    );
}

#[tokio::test]
async fn an_error_is_tried_again_on_schedule_and_given_up_in_the_end() {
    let site = Site::quiet().await;
    let body = "def handle(event, delivery):\n    if event['id'] == THIRD:\n        raise KeyError('sg_cut_in')\n    return {}";
    let keys = "delivery = { max_attempts = 2 }";
    let studio = Studio::new(&site).actor("trier", &at_third(&site, body), keys);
    let others = site.truth().len() as u64 - 1;
    let status = play(&site, &studio, "it goes on", |status| {
        count(status, "trier", "ok") == others
    })
    .await;
    assert_eq!(
        (
            count(&status, "trier", "dead"),
            count(&status, "trier", "retried")
        ),
        (1, 1)
    );
    let handed = studio.handed("trier");
    assert_eq!(
        (handed[2], handed[3]),
        (site.truth()[2], site.truth()[2]),
        "its lane waits"
    );
    let book = studio.book("trier");
    let times: Vec<_> = book
        .iter()
        .filter(|line| line["event"] == site.truth()[2])
        .filter_map(|line| Some((line["attempt"].as_i64()?, line["at"].as_f64()?)))
        .collect();
    let waited = times[1].1 - times[0].1;
    assert_eq!((times[0].0, times[1].0), (1, 2));
    assert!(
        (0.8..5.0).contains(&waited),
        "1 s, give or take a fifth: {waited}"
    );
}

#[tokio::test]
async fn the_answers_retry_skip_and_dead_do_what_they_say() {
    let site = Site::quiet().await;
    let truth = site.truth();
    let body = format!(
        "def handle(event, delivery):\n    if event['id'] == {} and delivery['attempt'] < 4:\n        return {{'status': 'retry', 'after_ms': 400, 'reason': 'farm full'}}\n    if event['id'] == {}:\n        return {{'status': 'dead', 'reason': 'no such show'}}\n    if event['id'] == {}:\n        return {{'status': 'skip', 'reason': 'not mine'}}\n    if event['id'] == {}:\n        return 'what?'\n    if event['id'] == {}:\n        return {{'status': 'ok', 'errors': ['one of two failed']}}\n    return None",
        truth[1], truth[3], truth[5], truth[7], truth[9]
    );
    let keys = "delivery = { max_attempts = 5, on_error = \"skip\" }";
    let studio = Studio::new(&site).actor("varied", &body, keys);
    let rest = truth.len() as u64 - 3;
    let status = play(&site, &studio, "all settled", |status| {
        count(status, "varied", "ok") == rest
    })
    .await;
    let counts = |key| count(&status, "varied", key);
    assert_eq!(
        (counts("retried"), counts("skipped"), counts("dead")),
        (3, 1, 2),
        "{status}"
    );
    let handed = studio.handed("varied");
    assert_eq!(
        handed[1..5],
        [truth[1]; 4],
        "again and again, nothing between"
    );
    let book = studio.book("varied");
    let times: Vec<_> = book
        .iter()
        .filter(|line| line["event"] == truth[1])
        .filter_map(|line| line["at"].as_f64())
        .collect();
    assert!(
        times.windows(2).all(|two| two[1] - two[0] >= 0.38),
        "{times:?}"
    );
    let log = studio.log();
    for told in ["no such show", "what?", "one of two failed"] {
        assert!(log.contains(told), "{told}: {log}");
    }
}

#[tokio::test]
async fn eight_lanes_work_at_once_and_each_entity_keeps_its_order() {
    let site = Site::quiet().await;
    site.work(30);
    let body = "def handle(event, delivery):\n    meta = event['meta']\n    entity = event['entity'] or {'type': meta.get('entity_type'), 'id': meta.get('entity_id')}\n    note(lane='%s %s' % (entity['type'], entity['id']), of=event['id'])\n    time.sleep(0.03)\n    return {}";
    let keys = "delivery = { order = \"entity\", max_in_flight = 8 }";
    let studio = Studio::new(&site).actor("lanes", body, keys);
    play(&site, &studio, "all handled", |status| {
        count(status, "lanes", "ok") == site.truth().len() as u64
    })
    .await;
    let journaled = studio.journaled().await;
    let place = |id: i64| {
        journaled
            .iter()
            .position(|one| *one == id)
            .expect("journaled")
    };
    let (mut open, mut most) = (BTreeMap::new(), 0);
    let mut last: BTreeMap<String, usize> = BTreeMap::new();
    for line in studio.book("lanes") {
        if let (Some(lane), Some(id)) = (line["lane"].as_str(), line["of"].as_i64()) {
            assert!(
                !open.values().any(|other| other == lane),
                "{lane} has two open events"
            );
            open.insert(id, lane.to_owned());
            most = most.max(open.len());
            let before = last.insert(lane.to_owned(), place(id));
            assert!(
                before.is_none_or(|before| before < place(id)),
                "{lane} is out of order"
            );
        } else if let Some(id) = line["done"].as_i64() {
            open.remove(&id);
        }
    }
    assert!((3..=8).contains(&most), "{most} at once");
    let all: BTreeSet<i64> = studio.handed("lanes").into_iter().collect();
    assert_eq!(all, site.truth().into_iter().collect());
}

#[tokio::test]
async fn at_its_deadline_an_event_is_cancelled_and_an_answer_in_grace_counts() {
    let site = Site::quiet().await;
    let body = "STOP = threading.Event()\ndef told(msg):\n    if msg['method'] == '$/cancel':\n        STOP.set()\ndef handle(event, delivery):\n    if event['id'] == THIRD:\n        assert STOP.wait(20)\n        return {'status': 'skip', 'reason': 'cancelled'}\n    return {}";
    let keys = "delivery = { timeout = \"1s\" }";
    let studio = Studio::new(&site).actor("patient", &at_third(&site, body), keys);
    let status = play(&site, &studio, "it goes on", |status| {
        count(status, "patient", "ok") == site.truth().len() as u64 - 1
    })
    .await;
    let report = report(&status, "patient");
    assert_eq!(
        (&report["restarts"], &report["generation"]),
        (&0.into(), &1.into())
    );
    assert_eq!(count(&status, "patient", "skipped"), 1);
    assert_eq!(studio.handed("patient"), site.truth());
    let book = studio.book("patient");
    let cancels = book.iter().filter(|line| line["method"] == "$/cancel");
    assert_eq!(cancels.count(), 1);
}

#[tokio::test]
async fn what_was_set_is_on_disk_when_it_is_answered() {
    let site = Site::quiet().await;
    let body = "def handle(event, delivery):\n    call('state.get', key='last')\n    call('state.set', key='last', value={'id': event['id'], 'name': 'größe'})\n    time.sleep(0.01)\n    return {}";
    let studio = Studio::new(&site).actor("counter", body, "");
    let daemon = Daemon::start(&studio).await;
    daemon
        .status_when("some are set", |_| {
            calls(&studio, "counter", "state.set").len() > 5
        })
        .await;
    daemon.kill().await;
    let book = studio.book("counter");
    let ends = book
        .iter()
        .rposition(|line| line["call"] == "state.set")
        .expect("one");
    let last = book[..ends]
        .iter()
        .rfind(|line| line["event"].is_i64())
        .expect("its event");
    let gets = calls(&studio, "counter", "state.get").len();
    play(&site, &studio, "it goes on", |_| {
        calls(&studio, "counter", "state.get").len() > gets
    })
    .await;
    let read = calls(&studio, "counter", "state.get")[gets].0["value"].clone();
    let set = json!({"id": last["event"], "name": "größe"});
    // The call after the last answered one may have been under way.
    let next = json!({"id": last["event"].as_i64().expect("an id") + 1, "name": "größe"});
    assert!(read == set || read == next, "{read} after {set}");
}

#[tokio::test]
async fn a_write_carries_the_session_of_its_event_and_the_scripts_name() {
    let site = Site::quiet().await;
    let session = "7f4c2d0a-0000-11f0-8000-0242ac110002";
    let body = "MANIFEST['subscriptions'] = [{'where': [['session_uuid', 'exists', True]]}]\ndef handle(event, delivery):\n    note(row=event)\n    if event['event_type'] == 'Studio_Signal':\n        call('sg.update', entity_type='Task', entity_id=1, data={'sg_status_list': 'fin'})\n    return {}";
    // Who works in a browser has a session; the made-up artists have none, so one of their events is made by hand.
    let starter = "def handle(event, delivery):\n    if event['id'] == FIRST:\n        data = {'event_type': 'Studio_Signal', 'session_uuid': 'SESSION', 'description': 'go', 'project': {'type': 'Project', 'id': 1}}\n        call('sg.rpc', method='create', payload={'type': 'EventLogEntry', 'fields': [{'field_name': name, 'value': data[name]} for name in data], 'return_fields': ['id']})\n    return {}";
    let starter = starter.replace("FIRST", &site.truth()[0].to_string());
    let starter = starter.replace("SESSION", session);
    let studio = Studio::new(&site)
        .actor("writer", body, "")
        .actor("starter", &starter, "");
    play(&site, &studio, "the write comes back as an event", |_| {
        let raw = calls(&studio, "starter", "sg.rpc");
        assert!(raw.iter().all(|call| call.1.is_null()), "{raw:?}");
        studio
            .book("writer")
            .iter()
            .any(|line| line["row"]["event_type"] == "Shotgun_Task_Change")
    })
    .await;
    let book = studio.book("writer");
    let row = book
        .iter()
        .find(|line| line["row"]["event_type"] == "Shotgun_Task_Change")
        .map(|line| line["row"].clone())
        .expect("the write");
    assert_eq!(row["session_uuid"], session, "{row}");
    assert_eq!(
        (&row["user"]["type"], &row["user"]["name"]),
        (&"ApiUser".into(), &"sgeventd".into()),
        "{row}"
    );
    let raw = calls(&studio, "starter", "sg.rpc");
    assert_eq!(
        raw[0].0["type"], "EventLogEntry",
        "a raw call works: {raw:?}"
    );
}

#[tokio::test]
async fn dry_run_and_shadow_send_nothing() {
    let site = Site::quiet().await;
    let truth = site.truth();
    let body = "def handle(event, delivery):\n    if event['id'] == FIRST:\n        call('sg.create', entity_type='Note', data={'subject': 'Hi', 'project': {'type': 'Project', 'id': 1}})\n        call('sg.update', entity_type='Task', entity_id=1, data={'sg_status_list': 'fin'})\n        call('sg.rpc', method='delete', payload={'type': 'Task', 'id': 1})\n        call('sg.find', entity_type='Task', filters=[['id', 'is', 1]], fields=['sg_status_list'])\n    return {}";
    let body = body.replace("FIRST", &truth[0].to_string());
    let studio = Studio::new(&site)
        .actor("dry", &body, "mode = \"dry_run\"")
        .actor("shadow", &body, "mode = \"shadow\"");
    play(&site, &studio, "all handled", |status| {
        ["dry", "shadow"]
            .iter()
            .all(|name| count(status, name, "ok") == truth.len() as u64)
    })
    .await;
    for name in ["dry", "shadow"] {
        let created = &calls(&studio, name, "sg.create")[0];
        assert!(
            created.0["id"].as_i64().is_some_and(|id| id < 0),
            "{name}: {created:?}"
        );
        assert_eq!(
            calls(&studio, name, "sg.update")[0].0["sg_status_list"],
            "fin",
            "{name}"
        );
        assert_eq!(calls(&studio, name, "sg.rpc")[0].0, true, "{name}");
        let found = &calls(&studio, name, "sg.find")[0];
        assert_ne!(
            found.0[0]["sg_status_list"], "fin",
            "{name}: reads are real: {found:?}"
        );
        assert!(found.0[0]["id"] == 1, "{name}: {found:?}");
    }
    assert_eq!(site.truth(), truth, "nothing happened at the site");
}

#[tokio::test]
async fn a_refusal_names_the_line_of_config_and_credentials_are_never_given() {
    let site = Site::quiet().await;
    let truth = site.truth();
    let body = "def handle(event, delivery):\n    if event['id'] == FIRST:\n        call('sg.update', entity_type='Task', entity_id=1, data={'sg_status_list': 'fin'})\n        call('sg.find', entity_type='Task', filters=[], fields=['content'], limit=2)\n        call('sg.find', entity_type='Task', filters=[], fields=[], meta={'script': 'task-bot'})\n        call('sg.find', entity_type='Task', filters=[], fields=[], meta={'sudo_as_login': 'ada'})\n        for method in ('get_session_token', 'authenticate_human_user'):\n            call('sg.rpc', method=method, payload={})\n    return {}";
    let body = body.replace("FIRST", &truth[0].to_string());
    let studio = Studio::new(&site).actor("limited", &body, "permissions = { sg = [\"find\"] }");
    play(&site, &studio, "all handled", |status| {
        count(status, "limited", "ok") == truth.len() as u64
    })
    .await;
    let refused = |method: &str, at: usize| calls(&studio, "limited", method)[at].1.clone();
    let found = &calls(&studio, "limited", "sg.find")[0];
    assert_eq!(found.0.as_array().map(Vec::len), Some(2), "{found:?}");
    for (error, part) in [
        (refused("sg.update", 0), "update:Task.sg_status_list"),
        (refused("sg.find", 1), "scripts"),
        (refused("sg.find", 2), "sudo"),
    ] {
        assert_eq!(error["code"], -32012, "{error}");
        let needed = error["data"]["needed"].as_str().unwrap_or_default();
        assert!(
            needed.contains(part) && needed.contains("limited"),
            "{error}"
        );
    }
    for at in 0..2 {
        let error = refused("sg.rpc", at);
        assert_eq!(error["code"], -32012, "{error}");
        assert!(
            error["data"]["needed"].is_null(),
            "no line of config allows it: {error}"
        );
    }
    assert_eq!(site.truth(), truth);
}

#[tokio::test]
async fn granted_is_what_is_asked_for_and_allowed() {
    let site = Site::quiet().await;
    let truth = site.truth();
    let body = "MANIFEST['permissions'] = {'sg': ['find', 'update:Task.sg_status_list'], 'upload': False, 'background': True}\ndef handle(event, delivery):\n    if event['id'] == FIRST:\n        call('sg.update', entity_type='Task', entity_id=1, data={'sg_status_list': 'fin'})\n        call('sg.create', entity_type='Note', data={'subject': 'Hi'})\n        call('sg.find', entity_type='Task', filters=[], fields=['content'], limit=2)\n        call('sg.find', entity_type='Task', filters=[], fields=[], meta={'parent': 1})\n    return {}";
    let body = body.replace("FIRST", &truth[0].to_string());
    let keys = "permissions = { sg = [\"find\", \"create:Note\"] }";
    let studio = Studio::new(&site).actor("asking", &body, keys);
    play(&site, &studio, "all handled", |status| {
        count(status, "asking", "ok") == truth.len() as u64
    })
    .await;
    let book = studio.book("asking");
    let start = book.iter().find(|line| line["method"] == "start");
    let granted = &start.expect("a start")["params"]["granted"];
    let expected = json!({"sg": ["find"], "upload": false, "background": false});
    assert_eq!(*granted, expected);
    let error = |method: &str, at: usize| calls(&studio, "asking", method)[at].1.clone();
    for (method, at, code) in [
        ("sg.update", 0, -32012),
        ("sg.create", 0, -32012),
        ("sg.find", 1, -32013),
    ] {
        assert_eq!(error(method, at)["code"], code, "{method}");
    }
    let found = &calls(&studio, "asking", "sg.find")[0];
    assert_eq!(found.0.as_array().map(Vec::len), Some(2), "{found:?}");
    assert_eq!(site.truth(), truth, "nothing happened at the site");
}
