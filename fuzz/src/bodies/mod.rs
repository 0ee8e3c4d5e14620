//! What holds for any bytes that a plugin may write: a function a target, for libFuzzer and for the tests that replay its corpus.
//!
//! In: bytes. Out: nothing, or a panic that says what does not hold. Never: a file, a process, a clock.

pub mod handshake;
pub mod lines;
pub mod manifest;
pub mod peer;

/// A target's body.
pub type Body = fn(&[u8]);

/// Every target by the name of its folder in the corpus.
pub const ALL: [(&str, Body); 4] = [
    ("handshake", handshake::try_out),
    ("lines", lines::try_out),
    ("manifest", manifest::try_out),
    ("peer", peer::try_out),
];
