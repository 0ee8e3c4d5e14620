//! Bytes to messages. Whatever comes, the reader goes on: what is no message is stray output.
//!
//! In: chunks of bytes, cut anywhere. Out: [`Item`]s.
//! Never: I/O, an error that ends the stream, an answer to garbage.

use std::{borrow::Cow, fmt};

use memchr::{memchr, memmem};
use serde::{
    Deserialize, Deserializer as _,
    de::{IgnoredAny, MapAccess, Visitor},
};
use serde_json::value::RawValue;

use crate::error::RpcError;

/// The longest line, unless somebody says otherwise.
pub const LINE_MAX: usize = 16 * 1024 * 1024;
/// Of a line that is too long, so many bytes are searched for an id.
const ID_SEARCH: usize = 4096;
/// Methods that only the daemon sends: from a plugin they are an echo of what it received.
pub const DAEMON_METHODS: [&str; 4] = ["initialize", "start", "event", "shutdown"];

/// Who reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// The daemon reads what a plugin wrote.
    Daemon,
    /// A plugin reads what the daemon wrote.
    Plugin,
}

/// What stood in the stream.
#[derive(Debug, Clone)]
pub enum Item {
    /// The other side asks.
    Request {
        /// Its id, as it was written; echoed byte for byte.
        id: Box<RawValue>,
        /// What it asks for.
        method: String,
        /// With what.
        params: Option<Box<RawValue>>,
    },
    /// The other side tells.
    Notification {
        /// What.
        method: String,
        /// With what.
        params: Option<Box<RawValue>>,
    },
    /// The answer to a request of ours.
    Response {
        /// Our id.
        id: u64,
        /// Its result or error.
        outcome: Result<Box<RawValue>, RpcError>,
    },
    /// An answer to something we cannot have asked.
    Unasked {
        /// The id it names.
        id: String,
    },
    /// A message with a method that only the reader itself sends.
    Echo,
    /// Text that is no message.
    Stray(String),
    /// A line beyond the cap; it was thrown away.
    TooLong {
        /// The id it had, when one was seen.
        id: Option<Box<RawValue>>,
        /// How long it was so far.
        bytes: usize,
    },
    /// An object with an id that is neither request nor answer.
    Invalid {
        /// The id.
        id: Box<RawValue>,
    },
}

/// An empty line costs as much as so many bytes that are passed over.
const EMPTY: usize = 64;

/// The reader's memory between chunks.
#[derive(Debug)]
pub struct Codec {
    side: Side,
    buffer: Vec<u8>,
    /// Start of what is not consumed.
    start: usize,
    /// No newline stands before this.
    searched: usize,
    line_max: usize,
    /// Bytes of the line that is being thrown away; none: lines are kept.
    discarding: Option<usize>,
    /// Bytes that said nothing since somebody asked.
    wasted: usize,
}

#[derive(Deserialize)]
struct Wire<'a> {
    #[serde(default, borrow)]
    id: Option<&'a RawValue>,
    #[serde(default, borrow)]
    method: Option<Cow<'a, str>>,
    #[serde(default, borrow)]
    params: Option<&'a RawValue>,
    #[serde(default, borrow, deserialize_with = "present")]
    result: Option<&'a RawValue>,
    #[serde(default, borrow)]
    error: Option<&'a RawValue>,
}

/// A `null` result is a result.
fn present<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Option<&'de RawValue>, D::Error> {
    <&RawValue>::deserialize(from).map(Some)
}

impl Codec {
    /// A reader for one side, with the longest line in bytes.
    #[must_use]
    pub fn new(side: Side, line_max: usize) -> Self {
        Self {
            side,
            buffer: Vec::new(),
            start: 0,
            searched: 0,
            line_max,
            discarding: None,
            wasted: 0,
        }
    }

    /// Takes bytes, cut anywhere.
    pub fn push(&mut self, bytes: &[u8]) {
        if self.start > 0 && (self.start == self.buffer.len() || self.start > 64 * 1024) {
            self.buffer.drain(..self.start);
            self.searched = self.searched.saturating_sub(self.start);
            self.start = 0;
        }
        self.buffer.extend_from_slice(bytes);
    }

    /// Bytes that became no item: what was thrown away of a line beyond the cap, and empty lines at what they cost.
    #[must_use]
    pub fn wasted(&self) -> usize {
        self.wasted
    }

    /// The same, which begins at zero again.
    pub fn take_wasted(&mut self) -> usize {
        std::mem::take(&mut self.wasted)
    }

    /// True when a further call of [`Self::next_item`] may yield something without more bytes.
    #[must_use]
    pub fn has_line(&self) -> bool {
        memchr(b'\n', &self.buffer[self.start..]).is_some()
    }

    /// The next item, none when more bytes are needed. One line may yield stray text and then a message.
    pub fn next_item(&mut self) -> Option<Items> {
        loop {
            let from = self.searched.max(self.start);
            let Some(found) = memchr(b'\n', &self.buffer[from..]) else {
                self.searched = self.buffer.len();
                return self.too_long().map(Items::one);
            };
            let end = from + found;
            let (start, is_discarded) = (self.start, self.discarding.take().is_some());
            self.start = end + 1;
            self.searched = self.start;
            if is_discarded {
                self.wasted += end + 1 - start;
                continue;
            }
            if end - start > self.line_max {
                let id = salvage(&self.buffer[start..end]);
                return Some(Items::one(Item::TooLong {
                    id,
                    bytes: end - start,
                }));
            }
            let items = read_line(self.side, &self.buffer[start..end]);
            if items.first.is_some() {
                return Some(items);
            }
            self.wasted += EMPTY + end - start;
        }
    }

    /// What is left at the end of the stream: half a line is stray output, unless it is a whole message.
    pub fn finish(&mut self) -> Option<Items> {
        let rest = std::mem::take(&mut self.buffer);
        let rest = rest
            .get(std::mem::take(&mut self.start)..)
            .unwrap_or_default();
        self.searched = 0;
        let items = if self.discarding.take().is_some() {
            Items::none()
        } else {
            read_line(self.side, rest)
        };
        items.first.is_some().then_some(items)
    }

    /// Throws a line away that grew beyond the cap; told once a line.
    fn too_long(&mut self) -> Option<Item> {
        let bytes = self.buffer.len() - self.start;
        if let Some(discarded) = &mut self.discarding {
            *discarded += bytes;
            self.wasted += bytes;
            self.clear();
            return None;
        }
        if bytes <= self.line_max {
            return None;
        }
        let id = salvage(&self.buffer[self.start..]);
        self.discarding = Some(bytes);
        self.clear();
        Some(Item::TooLong { id, bytes })
    }

    fn clear(&mut self) {
        self.buffer = Vec::new();
        self.start = 0;
        self.searched = 0;
    }
}

/// At most two items of one line: stray text and a message behind it.
#[derive(Debug, Clone)]
pub struct Items {
    first: Option<Item>,
    second: Option<Item>,
}

impl Items {
    fn none() -> Self {
        Self {
            first: None,
            second: None,
        }
    }

    fn one(item: Item) -> Self {
        Self {
            first: Some(item),
            second: None,
        }
    }
}

impl Iterator for Items {
    type Item = Item;

    fn next(&mut self) -> Option<Item> {
        self.first.take().or_else(|| self.second.take())
    }
}

fn read_line(side: Side, line: &[u8]) -> Items {
    let line = line
        .strip_prefix(b"\xEF\xBB\xBF")
        .unwrap_or(line)
        .trim_ascii();
    if line.is_empty() {
        return Items::none();
    }
    if line[0] == b'{'
        && let Some(item) = read_message(side, line)
    {
        return Items::one(item);
    }
    // An unterminated print may stand before the message.
    let cut = memmem::find(line, br#"{"jsonrpc""#).filter(|cut| *cut > 0);
    let message = cut.and_then(|cut| Some((cut, read_message(side, &line[cut..])?)));
    match message {
        Some((cut, item)) => Items {
            first: Some(stray(&line[..cut])),
            second: Some(item),
        },
        None => Items::one(stray(line)),
    }
}

fn stray(text: &[u8]) -> Item {
    Item::Stray(String::from_utf8_lossy(text).into_owned())
}

/// A message, when the text is one whole object that has the shape of one.
fn read_message(side: Side, text: &[u8]) -> Option<Item> {
    let wire: Wire<'_> = serde_json::from_slice(text).ok()?;
    let own = |raw: &RawValue| raw.to_owned();
    if let Some(method) = wire.method {
        if side == Side::Daemon && DAEMON_METHODS.contains(&method.as_ref()) {
            return Some(Item::Echo);
        }
        let (method, params) = (method.into_owned(), wire.params.map(own));
        return Some(match wire.id.filter(|id| id.get() != "null") {
            Some(id) if !is_id(id) => Item::Invalid { id: own(id) },
            Some(id) => Item::Request {
                id: own(id),
                method,
                params,
            },
            None => Item::Notification { method, params },
        });
    }
    let id = wire.id?;
    let error = wire.error.filter(|error| error.get() != "null");
    let outcome = match (error, wire.result) {
        (Some(error), _) => Err(read_error(error)),
        (None, Some(result)) => Ok(own(result)),
        (None, None) => return is_id(id).then(|| Item::Invalid { id: own(id) }),
    };
    Some(match id.get().parse::<u64>() {
        Ok(id) => Item::Response { id, outcome },
        Err(_) => Item::Unasked {
            id: id.get().to_owned(),
        },
    })
}

fn is_id(id: &RawValue) -> bool {
    matches!(id.get().as_bytes().first(), Some(b'"' | b'-' | b'0'..=b'9'))
}

/// An error object, or whatever stands in its place as the message.
fn read_error(raw: &RawValue) -> RpcError {
    serde_json::from_str(raw.get()).unwrap_or_else(|_| RpcError {
        code: crate::ErrorCode::Handler as i64,
        message: raw.get().chars().take(1000).collect(),
        data: None,
    })
}

/// The id of a line that was thrown away, when it stands near its beginning: the message's own, not one inside its params.
fn salvage(line: &[u8]) -> Option<Box<RawValue>> {
    let line = &line[..line.len().min(ID_SEARCH)];
    let start = memmem::find(line, br#"{"jsonrpc""#).or_else(|| memchr(b'{', line))?;
    let line = &line[start..];
    let mut id = None;
    // It breaks off somewhere, so the reading fails; what stood before that was told.
    let _broken = serde_json::Deserializer::from_slice(line).deserialize_map(OwnId(&mut id));
    let is_whole = |raw: &&RawValue| {
        // A number at the cut may have more digits.
        raw.get().starts_with('"')
            || raw.get().as_bytes().as_ptr_range().end < line.as_ptr_range().end
    };
    id.filter(|raw: &&RawValue| is_id(raw))
        .filter(is_whole)
        .map(RawValue::to_owned)
}

/// Reads the members of a message until its id.
struct OwnId<'o, 'a>(&'o mut Option<&'a RawValue>);

impl<'a> Visitor<'a> for OwnId<'_, 'a> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'a>>(self, mut members: A) -> Result<(), A::Error> {
        while let Some(name) = members.next_key::<Cow<'a, str>>()? {
            if name == "id" {
                *self.0 = Some(members.next_value()?);
                break;
            }
            members.next_value::<IgnoredAny>()?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(bytes: &[u8]) -> Vec<String> {
        read_in(bytes, bytes.len().max(1), LINE_MAX)
    }

    fn read_in(bytes: &[u8], chunk: usize, line_max: usize) -> Vec<String> {
        let mut codec = Codec::new(Side::Daemon, line_max);
        let mut seen = Vec::new();
        for part in bytes.chunks(chunk) {
            codec.push(part);
            while let Some(items) = codec.next_item() {
                seen.extend(items.map(|item| short(&item)));
            }
        }
        seen.extend(
            codec
                .finish()
                .into_iter()
                .flatten()
                .map(|item| short(&item)),
        );
        seen
    }

    fn short(item: &Item) -> String {
        match item {
            Item::Request { id, method, .. } => format!("request {id} {method}"),
            Item::Notification { method, .. } => format!("notification {method}"),
            Item::Response {
                id,
                outcome: Ok(result),
            } => format!("result {id} {result}"),
            Item::Response {
                id,
                outcome: Err(error),
            } => format!("error {id} {}", error.message),
            Item::Unasked { id } => format!("unasked {id}"),
            Item::Echo => "echo".into(),
            Item::Stray(text) => format!("stray {text}"),
            Item::TooLong { id, .. } => {
                format!("too long {}", id.as_ref().map_or("-", |id| id.get()))
            }
            Item::Invalid { id } => format!("invalid {id}"),
        }
    }

    #[test]
    fn what_each_line_is() {
        for (line, items) in [
            (
                r#"{"jsonrpc":"2.0","id":1000001,"result":{"status":"ok"}}"#,
                vec![r#"result 1000001 {"status":"ok"}"#],
            ),
            (
                r#"{"id":1000001,"result":null}"#,
                vec!["result 1000001 null"],
            ),
            (
                r#"{"id":5,"error":{"code":-1,"message":"m"}}"#,
                vec!["error 5 m"],
            ),
            (r#"{"id":5,"error":"text"}"#, vec![r#"error 5 "text""#]),
            (
                "\u{feff}{\"id\":7,\"method\":\"sg.find\"}\r",
                vec!["request 7 sg.find"],
            ),
            (
                r#"{"id":"a\"b","method":"sg.find"}"#,
                vec![r#"request "a\"b" sg.find"#],
            ),
            (
                r#"{"id":1e3,"method":"sg.find"}"#,
                vec!["request 1e3 sg.find"],
            ),
            (r#"{"id":null,"method":"log"}"#, vec!["notification log"]),
            (r#"{"method":"log","params":{}}"#, vec!["notification log"]),
            (r#"{"id":1,"method":"event","params":{}}"#, vec!["echo"]),
            (r#"{"id":1,"method":"shutdown"}"#, vec!["echo"]),
            (
                r#"{"id":1,"method":"state.get","params":{"key":"\ud800"}}"#,
                vec!["request 1 state.get"],
            ),
            (
                r#"{"id":1,"method":"\ud800"}"#,
                vec![r#"stray {"id":1,"method":"\ud800"}"#],
            ),
            (
                r#"{"id":1,"id":2,"method":"x"}"#,
                vec![r#"stray {"id":1,"id":2,"method":"x"}"#],
            ),
            (r#"{"id":1}"#, vec!["invalid 1"]),
            (r#"{"id":[1],"method":"x"}"#, vec!["invalid [1]"]),
            (r#"{"id":"x","result":1}"#, vec![r#"unasked "x""#]),
            (r#"{"id":-5,"result":1}"#, vec!["unasked -5"]),
            ("", vec![]),
            ("  \r", vec![]),
            ("loading…", vec!["stray loading…"]),
            (
                r#"50 %{"jsonrpc":"2.0","id":3,"result":1}"#,
                vec!["stray 50 %", "result 3 1"],
            ),
            (
                r#"50 %{"jsonrpc":"2.0","id":3,"result":1} and more"#,
                vec![r#"stray 50 %{"jsonrpc":"2.0","id":3,"result":1} and more"#],
            ),
            (r#"{'python': 'dict'}"#, vec!["stray {'python': 'dict'}"]),
            (r#"{"some":"json"}"#, vec![r#"stray {"some":"json"}"#]),
            ("[1,2]", vec!["stray [1,2]"]),
            ("\"\u{2028}\"", vec!["stray \"\u{2028}\""]),
        ] {
            assert_eq!(read(format!("{line}\n").as_bytes()), items, "{line}");
        }
    }

    #[test]
    fn a_line_beyond_the_cap_is_thrown_away_and_its_id_is_kept() {
        let long = format!(
            "{{\"jsonrpc\":\"2.0\",\"id\": \"x1\",\"method\":\"log\",\"params\":\"{}\"}}\n",
            "a".repeat(500)
        );
        let next = "{\"id\":4,\"result\":1}\n";
        for chunk in [1, 7, 64, 10_000] {
            let seen = read_in(format!("{long}{next}").as_bytes(), chunk, 200);
            assert_eq!(seen, ["too long \"x1\"", "result 4 1"], "chunks of {chunk}");
        }
    }

    #[test]
    fn the_id_of_a_line_that_is_too_long_is_its_own_and_whole() {
        let salvaged = |head: String| {
            let line = format!("{head}{}\n", "a".repeat(2 * ID_SEARCH));
            read_in(line.as_bytes(), 100_000, ID_SEARCH).remove(0)
        };
        let inside = r#"{"jsonrpc":"2.0","method":"$/progress","params":{"id":1000001,"message":""#;
        assert_eq!(salvaged(inside.into()), "too long -");
        let behind = r#"{"jsonrpc":"2.0","method":"log","params":{"id":1,"x":[{"id":2}]},"id":3,""#;
        assert_eq!(salvaged(behind.into()), "too long 3");
        assert_eq!(
            salvaged(r#"50 %{"jsonrpc":"2.0","id":"x\"","#.into()),
            r#"too long "x\"""#
        );
        // The cut stands between the digits.
        let head = r#"{"jsonrpc":"2.0","method":"log","params":"#;
        let pad = ID_SEARCH - head.len() - r#""","id":12"#.len();
        let cut = format!(r#"{head}"{}","id":12345,"x":""#, "p".repeat(pad));
        assert_eq!(salvaged(cut), "too long -");
    }

    #[test]
    fn half_a_line_at_the_end_is_stray_unless_it_is_whole() {
        assert_eq!(read(b"{\"id\":4,\"result\":1}"), ["result 4 1"]);
        assert_eq!(read(b"{\"id\":4,\"resu"), ["stray {\"id\":4,\"resu"]);
    }

    proptest! {
        #[test]
        fn any_cut_gives_the_same(lines in prop::collection::vec(prop_oneof![
            Just("{\"id\":1,\"result\":{}}".to_owned()), Just("print".to_owned()), Just(String::new()), "\\PC{0,40}",
        ], 0..20), chunk in 1usize..50) {
            let bytes = lines.join("\n").into_bytes();
            prop_assert_eq!(read(&bytes), read_in(&bytes, chunk, LINE_MAX));
        }

        #[test]
        fn garbage_never_swallows_the_next_line(mut garbage in prop::collection::vec(any::<u8>(), 0..200)) {
            garbage.extend_from_slice(b"\n{\"id\":4,\"result\":1}\n");
            let seen = read(&garbage);
            prop_assert_eq!(seen.last().map(String::as_str), Some("result 4 1"));
        }
    }
}
