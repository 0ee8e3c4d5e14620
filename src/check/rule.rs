//! The rules that a plugin is held against: a name, where it stands in PROTOCOL.md, what is expected, how to mend.

/// A rule of the contract.
#[derive(Debug, PartialEq, Eq)]
pub struct Rule {
    /// A word for programs; it stays.
    pub name: &'static str,
    /// The section of `protocol/v1/PROTOCOL.md`.
    pub section: &'static str,
    /// What the contract says.
    pub expected: &'static str,
    /// What a plugin's author does about it.
    pub mend: &'static str,
}

/// Declares the rules once: a constant each, and the list of all.
macro_rules! rules {
    ($($name:ident = $word:literal, $section:literal, $expected:literal, $mend:literal;)+) => {
        $(pub(super) static $name: Rule = Rule { name: $word, section: $section, expected: $expected, mend: $mend };)+

        /// Every rule, in the order of PROTOCOL.md.
        pub static RULES: &[&Rule] = &[$(&$name,)+];
    };
}

rules! {
    STDOUT = "stdout", "1, the wire",
        "descriptor 1 carries messages only; descriptor 2 is the log",
        "print to standard error, or send the notification `log`; look for libraries and children that print";
    ECHO = "echo", "1, the wire",
        "descriptor 1 carries what the plugin says, not what it was sent",
        "do not write lines back that you read, and turn the terminal's echo off";
    JSONRPC = "json-rpc", "1, the wire",
        "each message is one JSON-RPC 2.0 object on one line: \"jsonrpc\":\"2.0\", and an error has an integer code and a message",
        "write messages by a JSON library, with the members of JSON-RPC 2.0";
    NEWLINE = "newline", "1, the wire",
        "each message is one line that ends with \\n, the last one too",
        "write \\n behind each message: print and println do it by themselves, write and printf do not";
    LONG_LINE = "long-line", "1, the wire",
        "no line is longer than `limits.line_bytes` of `initialize`",
        "send less at once; large things go through files and `sg.upload`";
    LARGE = "large-event", "1, the wire",
        "a line up to `limits.line_bytes` is read and answered",
        "read whole lines of any length: no fixed buffer, no limit of the line reader";
    SEPARATORS = "u2028", "1, the wire",
        "lines end at \\n alone; U+2028, U+2029 and U+0085 inside a line are ordinary characters",
        "split at \\n alone (in Python, read bytes or sys.stdin, never str.splitlines), and read UTF-8";
    UNKNOWN = "ignore-unknown", "1, the wire",
        "members, features and `$/…` methods that are not known are ignored",
        "look only at the members that you know, and skip a message without an id whose method you do not know";
    NOT_FOUND = "unknown-request", "1, the wire",
        "a request whose method is not known, and does not begin with `$/`, is answered with the error -32601",
        "answer what has an id and a method that you do not know with {\"code\": -32601, \"message\": \"unknown method\"}";
    ONCE = "answer-once", "1, the wire",
        "each request is answered exactly once",
        "answer in one place, after the handler, and nowhere else";
    ASKED = "answer-asked", "1, the wire",
        "only requests that were made are answered, under the id that they came with",
        "copy the id of the request into its answer, and wait for the request";
    READS = "keep-reading", "1, the wire",
        "a plugin that goes on calling reads the answers: 1,000 that lie unread, or 4 MiB for a while, count as hung",
        "read the answer of each call, or make fewer calls at once";
    EOF = "exit-on-eof", "1, the wire",
        "when descriptor 0 ends, the plugin exits",
        "leave the read loop at the end of input, and let no thread keep the process";
    HANDSHAKE = "handshake", "2, start",
        "`initialize` is answered with `protocol` and `manifest`, then `start` with {}",
        "answer every message that has an id, write one line, and flush";
    VERSION = "version", "2, start",
        "`protocol` is a version out of `protocol.supported`; with none of them, the error -32002",
        "answer `\"protocol\": 1`";
    DISABLED = "start-disabled", "2, start",
        "a plugin that is checked takes `start`",
        "give it what it wants: --config-json for its own table, --config for the operator's file";
    BEFORE_START = "before-start", "2, start",
        "before `start` a plugin reads the site and writes `log`, and does nothing else",
        "do it after `start`: until then the old version of the plugin is at work beside this one";
    STAYS = "stays", "2, start",
        "a plugin stays until it is told to go: an exit that nobody asked for is a failure whatever its code",
        "read until the input ends; finish what you do once in `start`, and stay";
    SHUTDOWN = "shutdown", "2, start",
        "`shutdown` is answered with {} within 5 seconds, and the plugin exits with 0",
        "answer `shutdown` like any other request, then leave the read loop and exit with 0";
    MANIFEST = "manifest", "3, the manifest",
        "a known member of the manifest has a value that is allowed",
        "correct the members that are named";
    ANSWERED = "answer-events", "4, events",
        "every event is answered, and the plugin goes on",
        "answer in every branch of the handler, also when it fails, and flush";
    ANSWER = "event-answer", "4, events",
        "null, an object whose status is ok, skip, retry or dead, or an error",
        "answer {\"status\": \"ok\"}";
    HANDLED = "handled", "4, events",
        "an event that a plugin asked for is answered with ok or skip",
        "name an event of yours that it can handle: --event FILE";
    EARLY = "ends-early", "4, events",
        "an event is answered when its work is done: its lane goes on with the next one then",
        "wait for the answers of your calls before you answer the event";
    BLOCKS = "call-in-handler", "4, events",
        "a call in a handler is: write, then read lines until its id, past `$/…`; then the event is answered",
        "read the answer where you call, or let another thread read while the handler waits";
    CANCEL = "cancel", "4, events",
        "a cancelled event is still answered, and `$/cancel` hurts nobody",
        "answer the event all the same, as soon as you can";
    WINDOW = "window", "4, events",
        "with `max_in_flight` above 1 several events are open at once, and each is answered under its own id",
        "keep the id and the data of an event with its own handler, in no variable that the next event overwrites; or leave `max_in_flight` at 1";
    METHOD = "known-method", "5, calls",
        "a plugin calls the methods of section 5",
        "see the table of section 5 for the name";
    PARAMS = "call-params", "5, calls",
        "params are an object with the arguments of section 5",
        "correct the argument that is named";
    DECLARED = "declared", "5, calls",
        "a plugin calls what its manifest asks for: `permissions`, and `background` for calls outside an event",
        "add the permission to the manifest, or leave the call";
    PARENT = "parent", "5, calls",
        "a call names its open event in `_meta.parent`; with exactly one open it may leave it out",
        "put the id of the event request into `_meta.parent`";
    AWAY = "call-fails", "6, errors",
        "a call that is answered with an error fails the event, or is handled; the plugin goes on",
        "answer the event with an error, or with {\"status\": \"retry\"}";
    STARTS = "starts", "7, your process",
        "the program can be executed",
        "do what the message says";
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn rules_have_names_of_their_own_and_sections_that_are_there() {
        let names: BTreeSet<_> = RULES.iter().map(|rule| rule.name).collect();
        assert_eq!(names.len(), RULES.len());
        let manual = include_str!("../../protocol/v1/PROTOCOL.md").to_lowercase();
        for rule in RULES {
            let (number, title) = rule.section.split_once(", ").expect("number, title");
            let heading = format!("## {number}. {title}");
            assert!(manual.contains(&heading), "{}: {heading}", rule.name);
        }
    }
}
