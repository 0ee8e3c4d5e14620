//! Hooks: what they hear of, when, and how often; with everything that happens to them in any order.

use fastrand::Rng;
use proptest::prelude::*;

use super::*;
use crate::sandbox::{
    cell::Link,
    check::Write,
    demo,
    name::keep,
    store::{Actor, Commit},
};

/// 2026-07-15 12:00:00 UTC.
const NOW: Unix = Unix(1_784_116_800_000);

fn later(ms: i64) -> Unix {
    Unix(NOW.0 + ms)
}

fn site() -> (Store, Hooks) {
    let mut store = Store::new();
    demo::scripts(&mut store, &["tests"], NOW).unwrap();
    (store, Hooks::new(Rng::with_seed(1)))
}

fn hook(store: &Store, hooks: &mut Hooks, actions: Value, is_batched: bool) -> String {
    let draft = Draft {
        url: Some("http://receiver/".into()),
        subscription: Some(Subscription::Entities(
            serde_json::from_value(actions).unwrap(),
        )),
        is_batched: Some(is_batched),
        ..Draft::default()
    };
    hooks.create(store, draft, NOW)
}

fn shot(store: &mut Store, commit: Commit) -> i64 {
    let project = Link::new(keep("Project"), 1).bare();
    let writes = [Write::set("code", "a"), Write::set("project", project)];
    let who = Actor::human(1);
    let made = store.transact(&who, NOW, commit, |work| work.create("Shot", &writes));
    made.unwrap()
}

fn ids_of(sending: &Sending) -> Vec<i64> {
    let body: Value = serde_json::from_str(&sending.body).unwrap();
    let items = match body["data"]["deliveries"].as_array() {
        Some(items) => items.clone(),
        None => vec![body["data"].clone()],
    };
    let ids = items.iter().map(|item| item["entity"]["id"].as_i64());
    ids.map(Option::unwrap_or_default).collect()
}

fn next(store: &Store, hooks: &mut Hooks, now: Unix) -> Vec<Sending> {
    hooks.look(store, now);
    hooks.ready("http://site", now)
}

fn took(status: u16, took_ms: i64) -> Outcome {
    Outcome {
        status,
        took_ms,
        ..Outcome::default()
    }
}

#[test]
fn a_hook_hears_of_what_becomes_readable_after_it_was_made_one_at_a_time() {
    let (mut store, mut hooks) = site();
    shot(&mut store, Commit::Now);
    hook(&store, &mut hooks, json!({"Shot": {"create": []}}), false);
    assert!(next(&store, &mut hooks, NOW).is_empty());
    let (late, never) = (
        shot(&mut store, Commit::At(later(500))),
        shot(&mut store, Commit::Never),
    );
    let now = shot(&mut store, Commit::Now);
    assert!(late < never && never <= now);
    let first = next(&store, &mut hooks, NOW);
    assert_eq!(first.iter().map(ids_of).collect::<Vec<_>>(), [[now]]);
    store.log.settle(later(500));
    assert!(
        next(&store, &mut hooks, later(500)).is_empty(),
        "an answer is awaited"
    );
    hooks.done(&first[0], &took(200, 1), later(501));
    let second = next(&store, &mut hooks, later(501));
    assert_eq!(second.iter().map(ids_of).collect::<Vec<_>>(), [[late]]);
}

#[test]
fn fifty_events_go_together_and_the_rest_after_them() {
    let (mut store, mut hooks) = site();
    hook(&store, &mut hooks, json!({"Shot": {"create": []}}), true);
    let made: Vec<i64> = (0..55).map(|_| shot(&mut store, Commit::Now)).collect();
    let first = next(&store, &mut hooks, NOW);
    assert_eq!((first.len(), ids_of(&first[0])), (1, made[..50].to_vec()));
    assert_eq!(first[0].timeout_ms, 50_000);
    hooks.done(&first[0], &took(200, 1), NOW);
    let second = next(&store, &mut hooks, NOW);
    assert_eq!(
        (ids_of(&second[0]), second[0].timeout_ms),
        (made[50..].to_vec(), 6_000)
    );
}

#[test]
fn receivers_that_take_a_minute_are_asked_again_after_it() {
    let (mut store, mut hooks) = site();
    hook(&store, &mut hooks, json!({"Shot": {"create": []}}), false);
    for second in 0..10 {
        shot(&mut store, Commit::Now);
        let at = later(second * 6_000);
        let sent = next(&store, &mut hooks, at);
        assert_eq!(sent.len(), 1, "{second}");
        hooks.done(&sent[0], &took(0, 6_000), later((second + 1) * 6_000));
    }
    shot(&mut store, Commit::Now);
    let full = later(60_000);
    assert!(next(&store, &mut hooks, full).is_empty());
    let wake = hooks.wake(full).unwrap();
    assert_eq!(wake, later(66_000));
    assert_eq!(next(&store, &mut hooks, wake).len(), 1);
}

#[test]
fn what_is_taken_away_while_it_is_asked_is_gone() {
    let (mut store, mut hooks) = site();
    let id = hook(&store, &mut hooks, json!({"Shot": {"create": []}}), false);
    shot(&mut store, Commit::Now);
    let sent = next(&store, &mut hooks, NOW);
    assert!(hooks.delete(&id));
    hooks.done(&sent[0], &took(200, 1), NOW);
    assert_eq!((hooks.all().count(), hooks.deliveries.len()), (0, 0));
    assert!(!hooks.delete(&id));
}

#[test]
fn a_hook_is_told_that_it_was_disabled_also_while_it_is_asked() {
    let (mut store, mut hooks) = site();
    let id = hook(&store, &mut hooks, json!({"Shot": {"create": []}}), false);
    shot(&mut store, Commit::Now);
    shot(&mut store, Commit::Now);
    let sent = next(&store, &mut hooks, NOW);
    let disable = Draft {
        is_disabled: Some(true),
        ..Draft::default()
    };
    hooks.change(&id, disable, NOW);
    hooks.done(&sent[0], &took(500, 1), NOW);
    let last = next(&store, &mut hooks, NOW);
    assert!(last[0].body.contains("Webhook_Status_Change"));
    hooks.done(&last[0], &took(200, 1), NOW);
    assert!(next(&store, &mut hooks, NOW).is_empty());
}

#[test]
fn a_log_that_is_restored_is_looked_at_from_its_new_end() {
    let (mut store, mut hooks) = site();
    hook(&store, &mut hooks, json!({"Shot": {"create": []}}), true);
    shot(&mut store, Commit::Now);
    let first = next(&store, &mut hooks, NOW);
    hooks.done(&first[0], &took(200, 1), NOW);
    store.log.restore(1000);
    assert!(next(&store, &mut hooks, NOW).is_empty());
    let again = shot(&mut store, Commit::Now);
    assert_eq!(ids_of(&next(&store, &mut hooks, NOW)[0]), [again]);
}

#[test]
fn deliveries_are_forgotten_after_a_week() {
    let (mut store, mut hooks) = site();
    let id = hook(&store, &mut hooks, json!({"Shot": {"create": []}}), false);
    shot(&mut store, Commit::Now);
    let sent = next(&store, &mut hooks, NOW);
    hooks.look(&store, later(KEPT_MS));
    assert_eq!(hooks.of_hook(&id).count(), 1, "it waits for its answer");
    hooks.done(&sent[0], &took(200, 1), NOW);
    hooks.look(&store, later(KEPT_MS - 1));
    assert_eq!(hooks.of_hook(&id).count(), 1);
    hooks.look(&store, later(KEPT_MS));
    assert_eq!(hooks.of_hook(&id).count(), 0);
}

#[test]
fn ids_are_uuids_and_words_are_not() {
    let mut hooks = Hooks::new(Rng::with_seed(1));
    let id = hooks.uuid();
    assert!(is_uuid(&id), "{id}");
    assert_eq!(&id[14..15], "4");
    assert_ne!(id, hooks.uuid());
    for wrong in ["", "nonsense", "1-2-3-4-5", &id[1..], &id.replace('4', "g")] {
        assert!(!is_uuid(wrong), "{wrong}");
    }
}

/// What happens to hooks.
#[derive(Debug, Clone)]
enum Step {
    Event,
    Send,
    /// One of those that are asked answers, or not, after so many milliseconds.
    Answer(usize, bool, i64),
    Again(usize),
    Test(usize),
    Toggle(usize),
    Wait(i64),
}

fn step() -> impl Strategy<Value = Step> {
    let index = any::<usize>;
    prop_oneof![
        4 => Just(Step::Event),
        4 => Just(Step::Send),
        4 => (index(), any::<bool>(), 0_i64..9_000).prop_map(|(at, well, ms)| Step::Answer(at, well, ms)),
        1 => index().prop_map(Step::Again),
        1 => index().prop_map(Step::Test),
        1 => index().prop_map(Step::Toggle),
        1 => (1_i64..100_000).prop_map(Step::Wait),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn every_event_is_sent_to_whom_it_is_for_whatever_happens(steps in prop::collection::vec(step(), 1..80)) {
        let (mut store, mut hooks) = site();
        let wants = json!({"Shot": {"create": []}});
        let ids: Vec<String> = [false, true].map(|is_batched| hook(&store, &mut hooks, wants.clone(), is_batched)).into();
        let mut now = NOW;
        let mut asked: Vec<Sending> = Vec::new();
        // By hook the shots that it heard of, and those that were made while it listened.
        let mut heard: BTreeMap<String, Vec<i64>> = BTreeMap::new();
        let mut made: BTreeMap<String, Vec<i64>> = BTreeMap::new();
        // What waits when a hook is disabled is never sent.
        let mut is_dropped = false;
        let mut is_again = false;
        let drain = (0..300).map(|_| [Step::Send, Step::Answer(0, true, 0), Step::Wait(61_000)]);
        for step in steps.into_iter().chain(drain.flatten()) {
            match step {
                Step::Event => {
                    hooks.look(&store, now);
                    let shot = shot(&mut store, Commit::Now);
                    for id in &ids {
                        if !hooks.get(id).unwrap().is_silent() {
                            made.entry(id.clone()).or_default().push(shot);
                        }
                    }
                    hooks.look(&store, now);
                }
                Step::Send => {
                    for sending in next(&store, &mut hooks, now) {
                        prop_assert!(asked.iter().all(|one| one.hook != sending.hook), "asked twice at once");
                        let most = if sending.hook == ids[0] { 1 } else { BATCH_MAX };
                        prop_assert!(sending.numbers.len() <= most);
                        let shots = ids_of(&sending).into_iter().filter(|id| *id > 0);
                        heard.entry(sending.hook.clone()).or_default().extend(shots);
                        asked.push(sending);
                    }
                }
                Step::Answer(at, well, ms) => {
                    if !asked.is_empty() {
                        let sending = asked.swap_remove(at % asked.len());
                        now = Unix(now.0 + ms);
                        hooks.done(&sending, &took(if well { 204 } else { 500 }, ms), now);
                    }
                }
                Step::Again(at) => {
                    let all: Vec<String> = hooks.deliveries.values().map(|one| one.id.clone()).collect();
                    if !all.is_empty() {
                        is_again = true;
                        hooks.redeliver(&all[at % all.len()]);
                    }
                }
                Step::Test(at) => hooks.test(&ids[at % ids.len()], now),
                Step::Toggle(at) => {
                    let id = &ids[at % ids.len()];
                    let is_disabled = Some(hooks.get(id).unwrap().status(now) != "disabled");
                    is_dropped |= is_disabled == Some(true);
                    hooks.change(id, Draft { is_disabled, ..Draft::default() }, now);
                }
                Step::Wait(ms) => now = Unix(now.0 + ms),
            }
        }
        prop_assert!(asked.is_empty());
        prop_assert!(hooks.deliveries.values().all(|one| !one.is_waiting), "something waits for ever");
        for id in &ids {
            let (heard, made) = (heard.remove(id).unwrap_or_default(), made.remove(id).unwrap_or_default());
            prop_assert!(heard.iter().all(|shot| made.contains(shot)), "nobody hears of what was not for him");
            if !is_dropped {
                prop_assert!(made.iter().all(|shot| heard.contains(shot)), "{made:?} {heard:?}");
            }
            if !is_dropped && !is_again {
                prop_assert_eq!(heard, made, "once each, in their order");
            }
        }
    }
}
