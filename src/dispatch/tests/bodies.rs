//! Events whose bodies are not at hand, are too old by then, or do not fit on a line.

use super::*;

/// A machine with a filter, at the beginning.
fn filtering(subscriptions: &str, policy: Policy) -> Machine {
    let manifest = format!(r#"{{"subscriptions":[{subscriptions}]}}"#);
    let manifest: Manifest = serde_json::from_str(&manifest).expect("a manifest");
    let filter = Filter::new(&manifest, SelfIdentity::default());
    Machine::new(PluginName::new("p"), policy, filter, Seq(0))
}

const META: &str = r#"{"where":[["meta.x","is",1]]}"#;

#[test]
fn a_pruned_event_is_not_passed_over_because_its_meta_is_not_known() {
    let mut machine = filtering(META, Policy::default());
    machine.handle_rows(&[pruned(1, 1)], at(0));
    assert_eq!(machine.position(), Seq(0));
    let asked = machine.poll_body().cloned().expect("its body is asked for");
    machine.handle_body(&asked, None, at(0));
    let change = machine.poll_commit(at(0)).expect("at once");
    assert_eq!((change.position, change.dead.len()), (Seq(1), 1));
    assert_eq!(&*change.dead[0].reason, "pruned");
}

#[test]
fn what_the_site_still_has_of_a_pruned_event_decides() {
    for (meta, is_wanted) in [(r#"{"x":1}"#, true), (r#"{"x":2}"#, false)] {
        let mut machine = filtering(META, Policy::default());
        machine.handle_rows(&[pruned(1, 1)], at(0));
        let asked = machine.poll_body().cloned().expect("its body is asked for");
        let body = format!(r#"{{"id":1,"event_type":"T","meta":{meta}}}"#);
        machine.handle_body(&asked, Some(body.into()), at(0));
        assert_eq!(machine.poll_delivery(at(0)).is_some(), is_wanted, "{meta}");
        assert_eq!(machine.position(), Seq(1));
    }
}

#[test]
fn an_event_without_its_body_holds_up_its_lane_only() {
    let policy = Policy {
        window: 4,
        order: Order::Entity,
        ..Policy::default()
    };
    let mut machine = filtering("{}", policy);
    let rows = [pruned(1, 1), event(2, 1), event(3, 2)];
    machine.handle_rows(&rows, at(0));
    let other = machine
        .poll_delivery(at(0))
        .expect("the other lane goes on");
    assert_eq!(other.event.seq, Seq(3));
    assert!(machine.poll_delivery(at(0)).is_none());
    assert_eq!(machine.poll_unread(), [Seq(1)]);
    machine.handle_bodies(vec![(Seq(1), Some("{}".into()))], at(0));
    let first = machine.poll_delivery(at(0)).expect("its lane goes on");
    assert_eq!(first.event.seq, Seq(1));
}

#[test]
fn what_became_too_old_while_it_waited_is_passed_over() {
    let policy = Policy {
        max_age: Duration::from_secs(60),
        ..Policy::default()
    };
    let mut machine = filtering("{}", policy);
    let row = r#"{"id":1,"event_type":"T","created_at":"1970-01-01T00:00:01Z"}"#;
    let (facts, body) = parse(Timeline(0), row).expect("a row");
    let (seq, body) = (Seq(1), Body::Here(body));
    let facts = facts.into();
    let event = Arc::new(Event { seq, facts, body });
    machine.handle_rows(&[event], at(2000));
    assert_eq!(machine.open_len(), 1);
    assert!(machine.poll_delivery(at(100_000)).is_none());
    let change = machine.poll_commit(at(200_000)).expect("a change");
    assert_eq!((change.counts.too_old, change.counts.delivered), (1, 0));
}

#[test]
fn what_does_not_fit_on_a_line_is_a_dead_letter_of_its_own_kind() {
    let mut machine = filtering("{}", Policy::default());
    machine.handle_rows(&[event(1, 1), event(2, 1)], at(0));
    let large = machine.poll_delivery(at(0)).expect("the first");
    machine.handle_too_large(large.event.seq, "17 MiB", at(0));
    let change = machine.poll_commit(at(0)).expect("at once");
    assert_eq!(&*change.dead[0].reason, "too_large");
    assert_eq!(change.dead[0].attempts, 0, "it was never handed out");
    assert_eq!((change.counts.delivered, change.counts.dead), (0, 1));
    let next = machine.poll_delivery(at(0)).expect("the second");
    assert_eq!(next.event.seq, Seq(2));
}
