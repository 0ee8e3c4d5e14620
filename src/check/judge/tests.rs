//! Tables of what each judge says of small transcripts, written as the wire is.

use serde_json::{Value, json};
use sgeventd_protocol::RpcError;

use super::{Finding, Weight, over_all, runs, wire};
use crate::{
    check::transcript::{Said, Transcript, Waiting, What},
    process::Exit,
};

/// Reads a story: a line each, `→` to the plugin, `←` from it, `!` what else happened.
fn told(story: &[&str]) -> Transcript {
    let entries = story.iter().map(|line| {
        let (side, text) = line.split_once(' ').expect("a side and a text");
        match side {
            "→" => What::Sent(said(text)),
            "←" => What::Came(said(text)),
            "!" => happened(text),
            other => panic!("{other}"),
        }
    });
    Transcript {
        entries: entries.collect(),
        elapsed_ms: 0,
    }
}

fn happened(text: &str) -> What {
    let (word, rest) = text.split_once(' ').unwrap_or((text, ""));
    match word {
        "exit" => What::Ended(Exit::Code(rest.parse().expect("a code"))),
        "closed" => What::Closed,
        "clogged" => What::Clogged(9),
        "gave-up" => {
            let waiting = match rest.split_once(' ') {
                Some((id, "event")) => Waiting::Answer(id.parse().expect("an id"), "event"),
                Some((id, "initialize")) => {
                    Waiting::Answer(id.parse().expect("an id"), "initialize")
                }
                Some((id, _)) => Waiting::Answer(id.parse().expect("an id"), "shutdown"),
                None => Waiting::Exit,
            };
            What::GaveUp(waiting, 3000)
        }
        "said" => What::Printed(rest.to_owned()),
        "refused" => What::NotStarted(rest.to_owned()),
        other => panic!("{other}"),
    }
}

fn said(text: &str) -> Said {
    let Ok(Value::Object(message)) = serde_json::from_str(text) else {
        return match text.split_once(' ') {
            Some(("unasked", id)) => Said::Unasked(id.to_owned()),
            Some(("unended", line)) => Said::Unended(line.to_owned()),
            Some(("long", bytes)) => Said::TooLong(bytes.parse().expect("bytes")),
            Some(("odd", line)) => Said::Odd {
                line: line.to_owned(),
                why: "it is odd",
            },
            _ if text == "echo" => Said::Echo,
            _ => Said::Stray(text.to_owned()),
        };
    };
    let params = message.get("params").unwrap_or(&Value::Null).to_string();
    let id = message.get("id").map(Value::to_string);
    match (message.get("method").and_then(Value::as_str), id) {
        (Some(method), Some(id)) => Said::Request {
            id,
            method: method.to_owned(),
            params,
        },
        (Some(method), None) => Said::Notification {
            method: method.to_owned(),
            params,
        },
        (None, id) => Said::Answer {
            id: id.expect("an id"),
            outcome: match message.get("error") {
                Some(error) => {
                    let error: RpcError = serde_json::from_value(error.clone()).expect("an error");
                    Err(error)
                }
                None => Ok(message["result"].to_string()),
            },
        },
    }
}

const HELLO: [&str; 4] = [
    r#"→ {"id":1,"method":"initialize","params":{}}"#,
    r#"← {"id":1,"result":{"protocol":1,"manifest":{}}}"#,
    r#"→ {"id":2,"method":"start","params":{}}"#,
    r#"← {"id":2,"result":{}}"#,
];
const EVENT: &str = r#"→ {"id":3,"method":"event","params":{}}"#;
const OK: &str = r#"← {"id":3,"result":{"status":"ok"}}"#;
const CALL: &str = r#"← {"id":7,"method":"sg.find","params":{"_meta":{"parent":3}}}"#;
const NAMELESS: &str = r#"← {"id":7,"method":"sg.find","params":{}}"#;
const ROWS: &str = r#"→ {"id":7,"result":[]}"#;

/// After a good handshake.
fn after(story: &[&str]) -> Transcript {
    told(&[&HELLO, story].concat())
}

#[test]
fn a_nameless_call_of_one_that_may_call_in_the_background_ends_no_event_early() {
    let background =
        r#"← {"id":1,"result":{"protocol":1,"manifest":{"permissions":{"background":true}}}}"#;
    let mut hello = HELLO;
    hello[1] = background;
    for (call, expected) in [(NAMELESS, &[][..]), (CALL, &["ends-early"])] {
        let story = [&hello[..], &[EVENT, call, OK, ROWS]].concat();
        let found = runs::late_calls(&told(&story)).expect("a judgement");
        assert_eq!(rules(&found), expected, "{call}");
    }
}

/// The rules of faults; notes with a question mark.
fn rules(findings: &[Finding]) -> Vec<String> {
    let name = |one: &Finding| match one.weight {
        Weight::Fault => one.rule.name.to_owned(),
        Weight::Note => format!("{}?", one.rule.name),
    };
    findings.iter().map(name).collect()
}

type Judge = fn(&Transcript) -> Result<Vec<Finding>, String>;

#[test]
fn what_a_handshake_comes_to() {
    let initialize = HELLO[0];
    let answered = |answer: &str| told(&[initialize, &format!("← {{\"id\":1,{answer}}}")]);
    let started =
        |answer: &str| told(&[&HELLO[..3], &[&*format!("← {{\"id\":2,{answer}}}")]].concat());
    for (transcript, expected) in [
        (told(&HELLO), &[][..]),
        (told(&["! refused it is gone"]), &["starts"]),
        (
            told(&[initialize, "! gave-up 1 initialize"]),
            &["handshake"],
        ),
        (
            told(&[initialize, "← Loading", "! gave-up 1 initialize"]),
            &["handshake"],
        ),
        (told(&[initialize, "! exit 1"]), &["handshake"]),
        (answered(r#""result":[]"#), &["handshake"]),
        (
            answered(r#""error":{"code":-1,"message":"m"}"#),
            &["handshake"],
        ),
        (answered(r#""result":{"protocol":2}"#), &["version"]),
        (answered(r#""result":{"protocol":"1"}"#), &["version"]),
        (answered(r#""result":{"manifest":{}}"#), &["version"]),
        (
            answered(r#""result":{"protocol":1,"manifest":{"permissions":{"sg":["fnid"]}}}"#),
            &["manifest"],
        ),
        (
            answered(r#""result":{"protocol":1,"manifest":{"delivery":{"order":"random"}}}"#),
            &["manifest"],
        ),
        (
            told(&[
                initialize,
                r#"← {"id":1,"result":{"protocol":1,"manifest":{"subscription":[],"colour":1}}}"#,
                HELLO[2],
                HELLO[3],
            ]),
            &["manifest?"],
        ),
        (
            started(r#""error":{"code":-1,"message":"m"}"#),
            &["handshake"],
        ),
        (
            started(r#""result":{"disable":"no licence"}"#),
            &["start-disabled"],
        ),
        (after(&["! exit 0"]), &["stays"]),
        (after(&["! closed", "! exit 0"]), &[]),
    ] {
        let found = runs::handshake(&transcript).expect("a judgement");
        assert_eq!(rules(&found), expected, "{transcript:?}");
    }
}

#[test]
fn what_a_run_comes_to() {
    let refused =
        |code: &str| format!(r#"← {{"id":3,"error":{{"code":{code},"message":"KeyError"}}}}"#);
    let fault = &*refused("-32000");
    let later = r#"→ {"id":3,"method":"a_later_request","params":{}}"#;
    for (judge, story, expected) in [
        (runs::events as Judge, &[EVENT, OK][..], &[][..]),
        (runs::events, &[EVENT, r#"← {"id":3,"result":null}"#], &[]),
        (
            runs::events,
            &[EVENT, r#"← {"id":3,"result":{"status":"skip"}}"#],
            &[],
        ),
        (
            runs::events,
            &[EVENT, r#"← {"id":3,"result":{"status":"fine"}}"#],
            &["event-answer"],
        ),
        (
            runs::events,
            &[EVENT, r#"← {"id":3,"result":{"errors":["e"]}}"#],
            &["event-answer?"],
        ),
        (
            runs::events,
            &[EVENT, fault],
            &["event-answer?", "handled?"],
        ),
        (
            runs::events,
            &[EVENT, r#"← {"id":3,"result":{"status":"dead"}}"#],
            &["handled?"],
        ),
        (runs::again, &[EVENT, fault], &["event-answer?"]),
        (runs::unknown_request, &[later, &*refused("-32601")], &[]),
        (
            runs::unknown_request,
            &[later, &*refused("-32000")],
            &["unknown-request?"],
        ),
        (runs::unknown_request, &[later, OK], &["unknown-request?"]),
        (
            runs::unknown_request,
            &[later, "! exit 1"],
            &["unknown-request?"],
        ),
        (
            runs::events,
            &[EVENT, "← unended {\"id\":3}", "! gave-up 3 event"],
            &["newline"],
        ),
        (
            runs::events,
            &[EVENT, "! gave-up 3 event"],
            &["answer-events"],
        ),
        (runs::events, &[EVENT, "! exit 1"], &["answer-events"]),
        (
            runs::events,
            &[EVENT, CALL, ROWS, "! gave-up 3 event"],
            &["call-in-handler"],
        ),
        (
            runs::events,
            &[EVENT, CALL, "! gave-up 3 event"],
            &["answer-events"],
        ),
        (
            runs::events,
            &[EVENT, CALL, CALL, "! clogged"],
            &["keep-reading"],
        ),
        (runs::large, &[EVENT, "! exit 1"], &["large-event"]),
        (runs::separators, &[EVENT, "! gave-up 3 event"], &["u2028"]),
        (runs::cancel, &[EVENT, "! exit 1"], &["cancel"]),
        (runs::window, &[EVENT, "! gave-up 3 event"], &["window"]),
        (runs::unknown, &["! exit 1"], &["ignore-unknown"]),
        (runs::late_calls, &[EVENT, CALL, ROWS, OK], &[]),
        (runs::late_calls, &[EVENT, CALL, OK, ROWS], &["ends-early"]),
        (runs::late_calls, &[EVENT, CALL, OK], &["ends-early"]),
        (
            runs::late_calls,
            &[EVENT, NAMELESS, OK, ROWS],
            &["ends-early"],
        ),
        (
            runs::late_calls,
            &[EVENT, CALL, ROWS, "! gave-up 3 event"],
            &["call-in-handler"],
        ),
        (
            runs::site_away,
            &[EVENT, CALL, ROWS, "! exit 4"],
            &["call-fails"],
        ),
        (runs::site_away, &[EVENT, CALL, ROWS, fault], &[]),
        (runs::eof, &["! closed", "! exit 0"], &[]),
        (runs::eof, &["! closed", "! gave-up exit"], &["exit-on-eof"]),
        (runs::eof, &["! exit 0"], &["stays"]),
    ] {
        let found = judge(&after(story)).expect("a judgement");
        assert_eq!(rules(&found), expected, "{story:?}");
    }
    // Without a call there is nothing to see.
    assert!(runs::late_calls(&after(&[EVENT, OK])).is_err());
    assert!(runs::site_away(&after(&[EVENT, OK])).is_err());
}

#[test]
fn what_the_end_and_another_version_come_to() {
    let shutdown = r#"→ {"id":9,"method":"shutdown","params":{}}"#;
    let done = r#"← {"id":9,"result":{}}"#;
    for (story, expected) in [
        (&[shutdown, done, "! closed", "! exit 0"][..], &[][..]),
        (&[shutdown, "! exit 0"], &["shutdown?"]),
        (&[shutdown, done, "! exit 7"], &["shutdown"]),
        (&[shutdown, "! gave-up 9 shutdown"], &["shutdown"]),
        (
            &[shutdown, done, "! closed", "! gave-up exit"],
            &["exit-on-eof"],
        ),
    ] {
        let found = runs::shutdown(&after(story)).expect("a judgement");
        assert_eq!(rules(&found), expected, "{story:?}");
    }
    for (answer, expected) in [
        (r#"← {"id":1,"result":{"protocol":1}}"#, &[][..]),
        (r#"← {"id":1,"error":{"code":-32002,"message":"m"}}"#, &[]),
        (r#"← {"id":1,"result":{"protocol":99}}"#, &["version"]),
        ("! gave-up 1 initialize", &["version"]),
        ("! exit 1", &["version?"]),
    ] {
        let found = runs::version(&told(&[HELLO[0], answer])).expect("a judgement");
        assert_eq!(rules(&found), expected, "{answer}");
    }
}

#[test]
fn what_holds_in_every_run() {
    let error = |code: i64, needed: &str| {
        let error =
            json!({"id": 7, "error": {"code": code, "message": "m", "data": {"needed": needed}}});
        format!("→ {error}")
    };
    let (unknown, params, parent) = (error(-32601, ""), error(-32602, ""), error(-32013, ""));
    let undeclared = error(-32012, "manifest of p: …");
    let operators = error(-32012, "[plugin.p]\nsudo = [\"ada\"]");
    let early = error(-32001, "");
    for (judge, story, expected) in [
        (
            wire::stdout as fn(&Transcript) -> Vec<Finding>,
            &["← Loading"][..],
            &["stdout"][..],
        ),
        (wire::stdout, &["← echo"], &["echo"]),
        (wire::stdout, &[EVENT, OK], &[]),
        (wire::messages, &["← odd {}"], &["json-rpc"]),
        (wire::messages, &["← long 99"], &["long-line"]),
        (wire::messages, &["← unended {}"], &["newline"]),
        (wire::answers, &[EVENT, OK], &[]),
        (wire::answers, &[EVENT, OK, OK], &["answer-once"]),
        (wire::answers, &[OK, EVENT, OK], &["answer-asked"]),
        (
            wire::answers,
            &[EVENT, OK, r#"← {"id":4,"result":1}"#],
            &["answer-asked"],
        ),
        (wire::answers, &["← unasked \"mine\""], &["answer-asked"]),
        (wire::before_start, &[CALL, &*early], &["before-start"]),
        (wire::before_start, &[CALL, ROWS], &[]),
        (wire::calls, &[EVENT, CALL, ROWS], &[]),
        (wire::calls, &[EVENT, CALL, &*unknown], &["known-method"]),
        (wire::calls, &[EVENT, CALL, &*params], &["call-params"]),
        (wire::calls, &[EVENT, CALL, &*parent], &["parent"]),
        (wire::calls, &[EVENT, CALL, &*undeclared], &["declared"]),
        (wire::calls, &[EVENT, CALL, &*operators], &["declared?"]),
        (wire::calls, &[EVENT, OK, CALL, ROWS], &["ends-early"]),
        (
            wire::calls,
            &[r#"← {"method":"log","params":{"message":"m"}}"#],
            &[],
        ),
        (
            wire::calls,
            &[r#"← {"method":"log","params":{}}"#],
            &["call-params"],
        ),
        (
            wire::calls,
            &[r#"← {"method":"$/progress","params":{"id":"x"}}"#],
            &["call-params"],
        ),
        (
            wire::calls,
            &[r#"← {"method":"$/whatever","params":{}}"#],
            &[],
        ),
        (
            wire::calls,
            &[r#"← {"method":"sg.find","params":{}}"#],
            &["known-method"],
        ),
    ] {
        let found = judge(&after(story));
        assert_eq!(rules(&found), expected, "{story:?}");
    }
    // What is more than a log before `start`.
    for (word, count) in [("log", 0), ("alert", 1), ("pause", 1)] {
        let line = format!(r#"← {{"method":"{word}","params":{{}}}}"#);
        let found = wire::before_start(&told(&[HELLO[0], &*line, HELLO[1], HELLO[2]]));
        assert_eq!(found.len(), count, "{word}");
    }
}

#[test]
fn what_to_do_is_said_of_the_case_at_hand() {
    let initialize = HELLO[0];
    for (story, part) in [
        (&[initialize, "! gave-up 1 initialize"][..], None),
        (
            &[initialize, "← hello", "! gave-up 1 initialize"],
            Some("print to standard error"),
        ),
        (
            &[initialize, "← hello", "! exit 0"],
            Some("read lines until"),
        ),
        (&[initialize, "! exit 0"], Some("read lines until")),
        (&[initialize, "! exit 1"], None),
        (
            &[initialize, "! said no licence", "! exit 1"],
            Some("mend what its log says"),
        ),
        (
            &[initialize, "! said no url", "! exit 78"],
            Some("--config-json"),
        ),
        (&[initialize, "! exit 78"], Some("--config-json")),
    ] {
        let found = runs::handshake(&told(story)).expect("a judgement");
        let mend = found[0].mend;
        match part {
            Some(part) => assert!(mend.is_some_and(|mend| mend.contains(part)), "{mend:?}"),
            None => assert_eq!(mend, None, "{story:?}"),
        }
    }
    let stays = runs::handshake(&after(&["! exit 0"])).expect("a judgement");
    assert_eq!(stays[0].mend, None, "the rule itself says it");
    for (line, part) in [
        (
            r#"{"jsonrpc":"2.0","id":null,"error":{"code":1}}"#,
            Some("notification"),
        ),
        (
            r#"{"jsonrpc":"2.0","id":null,"result":{}}"#,
            Some("notification"),
        ),
        (r#"{"id":null}"#, None),
        ("Loading", None),
    ] {
        let mut transcript = after(&[]);
        let said = Said::Stray(line.to_owned());
        transcript.entries.push(What::Came(said));
        let mend = wire::stdout(&transcript)[0].mend;
        let is_told = mend.is_some_and(|mend| part.is_some_and(|part| mend.contains(part)));
        assert_eq!(is_told, part.is_some(), "{line}: {mend:?}");
    }
}

#[test]
fn the_same_in_several_runs_is_told_once_with_their_names() {
    let (one, other) = (after(&["← a", "← b"]), after(&["← c"]));
    let found = over_all(&[("one", &one), ("other", &other)], wire::stdout);
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].seen, ["one", "other"]);
}
