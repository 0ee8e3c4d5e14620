//! The line reader: however the bytes are cut, the same is read, the next line is never swallowed, and what is echoed is one line.

use sgeventd_protocol::{Answer, Codec, ErrorCode, Item, RpcError, Side, write};

/// The longest line: more than what is searched for an id in a line that is too long, and soon reached.
const LINE_MAX: usize = 8192;
/// What a plugin that comes to its senses writes next.
const NEXT: &[u8] = b"\n{\"jsonrpc\":\"2.0\",\"id\":1000001,\"result\":null}\n";

/// The first byte says in which pieces the rest arrives.
///
/// # Panics
/// When something does not hold.
pub fn try_out(data: &[u8]) {
    let Some((pieces, stream)) = data.split_first() else {
        return;
    };
    for side in [Side::Daemon, Side::Plugin] {
        let whole = read(side, stream, stream.len().max(1), true);
        let cut = read(side, stream, usize::from(*pieces) + 1, true);
        assert_eq!(told(&whole), told(&cut), "cut otherwise, read otherwise");
        let lines = stream.split(|byte| *byte == b'\n').count();
        assert!(whole.len() <= 2 * lines, "more than two items of a line");
        whole.iter().for_each(sound);

        let next = read(
            side,
            &[stream, NEXT].concat(),
            usize::from(*pieces) + 1,
            false,
        );
        let last = next.last();
        assert!(
            matches!(
                last,
                Some(Item::Response {
                    id: 1_000_001,
                    outcome: Ok(_)
                })
            ),
            "the next line was swallowed: {last:?}"
        );
    }
}

/// What a reader makes of a stream that comes in pieces.
pub(super) fn read(side: Side, stream: &[u8], piece: usize, is_end: bool) -> Vec<Item> {
    let mut codec = Codec::new(side, LINE_MAX);
    let mut items = Vec::new();
    for bytes in stream.chunks(piece) {
        codec.push(bytes);
        while let Some(found) = codec.next_item() {
            items.extend(found);
        }
        assert!(!codec.has_line(), "a line was left behind");
    }
    if is_end {
        items.extend(codec.finish().into_iter().flatten());
    }
    items
}

/// Items in words; how much of a line that is too long had come does not count.
pub(super) fn told(items: &[Item]) -> Vec<String> {
    let one = |item: &Item| match item {
        Item::TooLong { id, .. } => format!("too long {id:?}"),
        other => format!("{other:?}"),
    };
    items.iter().map(one).collect()
}

/// What holds for an item alone.
fn sound(item: &Item) {
    match item {
        Item::Stray(text) => assert!(!text.is_empty() && !text.contains('\n')),
        Item::Response { outcome, .. } => drop(match outcome {
            Ok(result) => Answer::from_result(result.get()),
            Err(error) => Answer::from_error(error),
        }),
        Item::Request { id, .. } | Item::Invalid { id } | Item::TooLong { id: Some(id), .. } => {
            let mut out = Vec::new();
            let error = RpcError::new(ErrorCode::Busy, "a\nb\u{2028}");
            write::error(&mut out, id, &error);
            let answers = read(Side::Plugin, &out, out.len(), false);
            assert!(
                matches!(answers[..], [Item::Response { .. } | Item::Unasked { .. }]),
                "{id} comes back as {answers:?}"
            );
        }
        Item::Notification { .. } | Item::Unasked { .. } | Item::Echo | Item::TooLong { .. } => {}
    }
}
