//! What holds for any bytes that a plugin may write: the corpus of the fuzz targets, and bytes made up anew, on this compiler.

#[expect(unreachable_pub, reason = "the fuzz targets reach it")]
#[path = "../../fuzz/src/bodies/mod.rs"]
mod bodies;

use std::{fs, panic::catch_unwind, path::PathBuf};

use proptest::{collection::vec, prelude::*, sample::select};

fn corpus() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus")
}

#[test]
fn the_corpus_is_replayed() {
    for (target, try_out) in bodies::ALL {
        let mut count = 0;
        for file in fs::read_dir(corpus().join(target)).expect(target).flatten() {
            let data = fs::read(file.path()).expect("a file");
            let tried = catch_unwind(|| try_out(&data));
            assert!(tried.is_ok(), "{}: see above", file.path().display());
            count += 1;
        }
        assert!(count >= 10, "{target} has {count} files");
    }
}

/// What plugins write, whole and in pieces.
fn token() -> impl Strategy<Value = Vec<u8>> {
    let words = select(vec![
        r#"{"jsonrpc":"2.0""#,
        r#","id":1000001"#,
        r#","id":1000002"#,
        r#","id":"a""#,
        r#","id":null"#,
        r#","method":"sg.find""#,
        r#","method":"event""#,
        r#","params":{"id":1000001}"#,
        r#","result":null"#,
        r#","result":{"status":"retry"}"#,
        r#","result":{"protocol":1,"manifest":{"delivery":{"order":"none"}}}"#,
        r#","result":{"protocol":2}"#,
        r#","result":{"disable":"no"}"#,
        r#","error":{"code":-32000,"message":"m"}"#,
        "}\n",
        "}",
        "\n",
        "\r\n",
        "\u{feff}",
        "\u{2028}",
        "print",
    ]);
    prop_oneof![
        8 => words.prop_map(|word| word.as_bytes().to_vec()),
        1 => vec(any::<u8>(), 0..6),
        // Beyond the longest line, in a few of them.
        1 => Just(vec![b'a'; 3000]),
    ]
}

fn stream() -> impl Strategy<Value = Vec<u8>> {
    (any::<u8>(), vec(token(), 0..40))
        .prop_map(|(pieces, tokens)| [vec![pieces], tokens.concat()].concat())
}

fn steps() -> impl Strategy<Value = Vec<u8>> {
    let says = vec(token(), 0..8).prop_map(|tokens| {
        let said = tokens.concat();
        let said = &said[..said.len().min(255)];
        [&[0, u8::try_from(said.len()).expect("cut")], said].concat()
    });
    let other = (2..8u8, any::<u8>()).prop_map(|(kind, number)| vec![kind, number]);
    vec(prop_oneof![says, other], 0..40).prop_map(|steps| steps.concat())
}

proptest! {
    #[test]
    fn of_any_stream(stream in stream()) {
        bodies::lines::try_out(&stream);
        bodies::handshake::try_out(&stream);
    }

    #[test]
    fn of_any_pair_of_pipes(steps in steps()) {
        bodies::peer::try_out(&steps);
    }
}
