//! libFuzzer's way into `bodies::handshake`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| sgeventd_fuzz::bodies::handshake::try_out(data));
