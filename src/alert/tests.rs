//! The machine against the clock: once, grouped, limited, over; and the mails as people read them.

use std::{collections::BTreeMap, time::Duration};

use jiff::tz::TimeZone;
use proptest::prelude::*;

use super::{machine::MAX_CAUSES, *};
use crate::{
    clock::{Mono, Now, Unix},
    ident::PluginName,
    secret::Secret,
    way::Way,
};

const START: i64 = 1_783_605_521_000;
const HOUR: u64 = 3_600_000;

fn at(ms: u64) -> Now {
    Now {
        mono: Mono(ms),
        unix: Unix(START + i64::try_from(ms).unwrap()),
    }
}

fn machine(to: &[&str], max_per_day: u32) -> Machine {
    machine_at(to, max_per_day, Way::Packaged)
}

fn machine_at(to: &[&str], max_per_day: u32, way: Way) -> Machine {
    let policy = Policy {
        to: to.iter().map(|&address| address.to_owned()).collect(),
        has_mail: true,
        gather: Duration::from_secs(10),
        digest: Duration::from_secs(3600),
        max_per_day,
    };
    let context = Context {
        host: "evt01".to_owned(),
        site: "mill".to_owned(),
        url: Some("https://events.studio.example".to_owned()),
        zone: TimeZone::UTC,
        way,
    };
    Machine::new(policy, context)
}

fn alert(key: &str) -> Alert {
    Alert::new(
        CauseKey::new(key),
        "test",
        Grade::Error,
        format!("{key} is broken"),
    )
}

fn letters(actions: Vec<Action>) -> Vec<Letter> {
    let mails = actions.into_iter().filter_map(|action| match action {
        Action::Mail(letter) => Some(letter),
        Action::Show(_) => None,
    });
    mails.collect()
}

/// Ticks whenever the machine asks for it, up to a time; every mail with the second it left.
fn run(machine: &mut Machine, until: u64) -> Vec<(u64, Letter)> {
    let mut out = Vec::new();
    while let Some(wake) = machine.next_wake().filter(|wake| wake.0 <= until) {
        out.extend(
            letters(machine.step(Input::Tick, at(wake.0)))
                .into_iter()
                .map(|letter| (wake.0 / 1000, letter)),
        );
    }
    out
}

fn disabled() -> Alert {
    let plugin = PluginName::new("render_submit");
    Alert {
        plugin: Some(plugin.clone()),
        facts: vec![
            ("What", "KeyError: 'sg_cut_in' (8 of the last 8 runs)".to_owned()),
            ("Where", "/studio/sg/plugins/render_submit.py:88 in on_version".to_owned()),
            ("Event", "184219702 Shotgun_Version_New by jo on project ABC".to_owned()),
        ],
        excerpt: Some("Traceback (most recent call last):\n  File \"render_submit.py\", line 88, in on_version\n    cut = v[\"sg_cut_in\"]\nKeyError: 'sg_cut_in'\n".to_owned()),
        waits: Some(1204),
        by_itself: "Fix the file and it starts by itself; it resumes at event 184219702. Other plugins are not affected.".to_owned(),
        remedy: "sgeventd plugins show render_submit".to_owned(),
        ..Alert::new(
            CauseKey::of_plugin(&plugin, "disabled"),
            "disabled",
            Grade::Error,
            "render_submit DISABLED after 8 crashes: KeyError 'sg_cut_in'",
        )
    }
}

#[test]
fn the_first_mail_reads_as_an_operator_needs_it() {
    let mut machine = machine(&["pipeline@studio.example"], 10);
    let shown = machine.step(Input::Begin(disabled()), at(0));
    assert_eq!(shown, [Action::Show(Shown::Begun(disabled()))]);
    let mails = run(&mut machine, 60_000);
    assert_eq!(mails.len(), 1);
    assert_eq!(mails[0].0, 10, "well below a minute");
    assert_eq!(
        mails[0].1.subject,
        "[sgeventd mill] render_submit DISABLED after 8 crashes: KeyError 'sg_cut_in'"
    );
    insta::assert_snapshot!(mails[0].1.body, @r#"
    render_submit DISABLED after 8 crashes: KeyError 'sg_cut_in'. It began at
    13:58:41 on evt01. 1204 events wait for it and none is lost.

    What     KeyError: 'sg_cut_in' (8 of the last 8 runs)
    Where    /studio/sg/plugins/render_submit.py:88 in on_version
    Event    184219702 Shotgun_Version_New by jo on project ABC

      Traceback (most recent call last):
        File "render_submit.py", line 88, in on_version
          cut = v["sg_cut_in"]
      KeyError: 'sg_cut_in'

    Fix the file and it starts by itself; it resumes at event 184219702. Other
    plugins are not affected.

      ssh evt01 sgeventd plugins show render_submit
      https://events.studio.example/p/render_submit

    You get this once, then one summary every hour while it lasts, and one mail
    when it is over.
    "#);
}

#[test]
fn whatever_is_told_to_be_typed_reaches_this_daemon() {
    let error = PluginError {
        plugin: PluginName::new("p"),
        message: "it broke".to_owned(),
        recipients: Recipients::Default,
    };
    for (input, command) in [
        (Input::Begin(alert("a")), "sgeventd status"),
        (Input::Once(alert("a")), "sgeventd status"),
        (Input::PluginError(error), COMPLAINTS),
    ] {
        let way = Way::Config("/srv/x.toml".into());
        let mut machine = machine_at(&["a@x"], 10, way);
        let _shown = machine.step(input, at(0));
        let body = &run(&mut machine, 60_000)[0].1.body;
        let typed = format!("\n  ssh evt01 {command} -c /srv/x.toml\n");
        assert!(body.contains(&typed), "{body}");
    }
}

#[test]
fn a_file_to_be_edited_is_no_command_over_ssh() {
    let mut machine = machine(&["a@x"], 10);
    let alert = Alert {
        remedy: "edit /p/a.py".to_owned(),
        ..disabled()
    };
    let _shown = machine.step(Input::Begin(alert), at(0));
    let body = &run(&mut machine, 60_000)[0].1.body;
    assert!(body.contains("\n  on evt01: edit /p/a.py\n"), "{body}");
    assert!(!body.contains("ssh"), "{body}");
}

#[test]
fn a_cause_is_said_once_then_hourly_then_over() {
    let mut machine = machine(&["a@x"], 100);
    for ms in 0..1000 {
        let actions = machine.step(Input::Begin(disabled()), at(ms));
        assert_eq!(actions.len(), usize::from(ms == 0), "shown once");
    }
    let mails = run(&mut machine, 2 * HOUR + 60_000);
    let seconds: Vec<u64> = mails.iter().map(|(second, _)| *second).collect();
    assert_eq!(seconds, [10, 3610, 7210]);
    assert!(
        mails[1].1.subject.contains("STILL: render_submit"),
        "{}",
        mails[1].1.subject
    );
    let root = Some(mails[0].1.message_id.clone());
    assert_eq!((&mails[1].1.about, &mails[2].1.about), (&root, &root));
    let over = machine.step(Input::End(disabled().key), at(3 * HOUR));
    assert!(
        matches!(&over[0], Action::Show(Shown::Ended { lasted, .. }) if lasted.as_secs() == 10_800)
    );
    let over = letters(over);
    assert_eq!((over.len(), &over[0].about), (1, &root));
    assert!(over[0].subject.contains("RECOVERED"), "{}", over[0].subject);
    assert!(
        machine
            .step(Input::End(disabled().key), at(3 * HOUR))
            .is_empty(),
        "over once"
    );
    assert!(run(&mut machine, 9 * HOUR).is_empty());
    assert!(machine.open().is_empty());
}

#[test]
fn what_is_over_at_once_costs_no_mail_and_what_begins_together_costs_one() {
    let mut machine = machine(&["a@x"], 10);
    drop(machine.step(Input::Begin(alert("site/down")), at(0)));
    assert!(letters(machine.step(Input::End(CauseKey::new("site/down")), at(5_000))).is_empty());
    assert_eq!(machine.next_wake(), None);
    for n in 0..12 {
        drop(machine.step(Input::Begin(alert(&format!("plugin/p{n}"))), at(6_000 + n)));
    }
    let mails = run(&mut machine, 60_000);
    assert_eq!(mails.len(), 1);
    assert_eq!(mails[0].1.subject, "[sgeventd mill] 12 problems at once");
    assert!(mails[0].1.body.lines().count() <= 40);
}

#[test]
fn ten_thousand_errors_are_a_few_mails() {
    let mut machine = machine(&["a@x"], 10);
    let mut mails = Vec::new();
    for n in 0..10_000u64 {
        let message =
            format!("Traceback (most recent call last):\n  File \"x.py\", line {n}\nKeyError: {n}");
        let error = PluginError {
            plugin: PluginName::new("p"),
            message,
            recipients: Recipients::Default,
        };
        let now = n * 6 * HOUR / 10_000;
        mails.extend(run(&mut machine, now));
        assert!(
            machine.step(Input::PluginError(error), at(now)).is_empty(),
            "it is in the log already"
        );
    }
    let subjects: Vec<&str> = mails
        .iter()
        .map(|(_, letter)| letter.subject.as_str())
        .collect();
    assert_eq!(subjects.len(), 6, "{subjects:#?}");
    assert_eq!(
        subjects[0],
        "[sgeventd mill] p logged an error: KeyError: 4"
    );
    assert_eq!(
        subjects[1],
        "[sgeventd mill] AGAIN (1667 times): p logged an error: KeyError: 1671"
    );
}

#[test]
fn a_recipient_gets_no_more_than_a_days_worth_and_is_told() {
    let mut machine = machine(&["a@x"], 3);
    let mut mails = Vec::new();
    for n in 0..8u64 {
        drop(machine.step(Input::Once(alert(&format!("k/{n}"))), at(n * 30_000)));
        mails.extend(run(&mut machine, n * 30_000 + 29_000));
    }
    assert_eq!(mails.len(), 3);
    assert!(
        mails[2]
            .1
            .body
            .contains("number 3 of at most 3 mails a day"),
        "{}",
        mails[2].1.body
    );
    assert_eq!(machine.suppressed(), 5);
    drop(machine.step(Input::Once(alert("tomorrow")), at(25 * HOUR)));
    assert_eq!(run(&mut machine, 25 * HOUR + 30_000).len(), 1);
}

#[test]
fn recipients_are_the_causes_own() {
    let mut machine = machine(&["a@x", "b@x"], 10);
    let to = |recipients: Recipients, key: &str| Alert {
        recipients,
        ..alert(key)
    };
    for alert in [
        to(Recipients::Default, "d"),
        to(Recipients::Nobody, "n"),
        to(Recipients::To(vec!["c@x".to_owned()]), "c"),
    ] {
        assert_eq!(machine.step(Input::Begin(alert), at(0)).len(), 1);
    }
    let mails = run(&mut machine, 60_000);
    let to: Vec<&str> = mails.iter().map(|(_, letter)| letter.to.as_str()).collect();
    assert_eq!(to, ["a@x", "b@x", "c@x"]);
    assert_eq!(machine.open().len(), 3);
}

#[test]
fn no_key_and_no_line_break_in_a_mail() {
    let key = Secret::new("canary-alert-key");
    let mut machine = machine(&["a@x"], 10);
    let message = format!("bad\r\nBcc: x@y\npassword = 'hunter2'\n{}", key.expose());
    let error = PluginError {
        plugin: PluginName::new("p"),
        message,
        recipients: Recipients::Default,
    };
    drop(machine.step(Input::PluginError(error), at(0)));
    let (_, letter) = run(&mut machine, 60_000).remove(0);
    let text = format!("{}{}", letter.subject, letter.body);
    assert!(
        !text.contains("canary") && !text.contains("hunter2"),
        "{text}"
    );
    assert!(
        !letter.subject.contains(['\r', '\n']),
        "{:?}",
        letter.subject
    );
}

fn inputs() -> impl Strategy<Value = Vec<(u64, Input)>> {
    let key = (0u8..6).prop_map(|n| format!("k/{n}"));
    let input = prop_oneof![
        key.clone().prop_map(|key| Input::Begin(alert(&key))),
        key.clone().prop_map(|key| Input::End(CauseKey::new(key))),
        key.prop_map(|key| Input::Once(alert(&format!("once/{key}")))),
        "[a-c]{1,3}[0-9]{0,2}".prop_map(|message| Input::PluginError(PluginError {
            plugin: PluginName::new("p"),
            message,
            recipients: Recipients::Default,
        })),
    ];
    proptest::collection::vec((0u64..HOUR, input), 0..80)
}

proptest! {
    /// Against a model that only knows which causes last: each begins and ends once; nobody gets more than the limit in a day;
    /// every mail fits its page; the machine comes to rest when all is over.
    #[test]
    fn whatever_happens_is_said_once_and_within_bounds(steps in inputs()) {
        let mut machine = machine(&["a@x"], 10);
        let mut open: BTreeMap<String, ()> = BTreeMap::new();
        let (mut now, mut mails) = (0, Vec::new());
        for (wait, input) in steps {
            now += wait;
            mails.extend(run(&mut machine, now));
            let expected = match &input {
                Input::Begin(alert) => Some(open.insert(alert.key.to_string(), ()).is_none()),
                Input::End(key) => Some(open.remove(key.as_str()).is_some()),
                Input::PluginError(_) => Some(false),
                _ => None,
            };
            let actions = machine.step(input, at(now));
            let shown = actions.iter().filter(|action| matches!(action, Action::Show(_))).count();
            if let Some(expected) = expected {
                prop_assert_eq!(shown, usize::from(expected));
            }
            mails.extend(letters(actions).into_iter().map(|letter| (now / 1000, letter)));
            prop_assert!(machine.open().iter().map(|open| open.alert.key.to_string()).collect::<std::collections::BTreeSet<_>>().iter().eq(open.keys()));
        }
        for key in open.keys() {
            drop(machine.step(Input::End(CauseKey::new(key.as_str())), at(now)));
        }
        mails.extend(run(&mut machine, now + 100 * HOUR));
        prop_assert_eq!(machine.next_wake(), None);
        for (index, (second, letter)) in mails.iter().enumerate() {
            let day = mails[..=index].iter().filter(|(other, _)| second - other < 86_400).count();
            prop_assert!(day <= 10, "{} mails in a day", day);
            prop_assert!(letter.body.lines().count() <= 40);
            prop_assert!(letter.body.lines().all(|line| line.chars().count() <= 78), "{}", letter.body);
        }
    }
}

#[test]
fn causes_are_bounded() {
    let mut machine = machine(&[], 10);
    for n in 0..2 * MAX_CAUSES as u64 {
        let word: String = format!("{n:06}")
            .chars()
            .map(|digit| char::from(b'a' + u8::try_from(digit.to_digit(10).unwrap()).unwrap()))
            .collect();
        let error = PluginError {
            plugin: PluginName::new("p"),
            message: word,
            recipients: Recipients::Nobody,
        };
        drop(machine.step(Input::PluginError(error), at(n)));
    }
    assert!(format!("{machine:?}").len() < 4 << 20);
}
