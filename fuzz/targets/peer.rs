//! libFuzzer's way into `bodies::peer`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| sgeventd_fuzz::bodies::peer::try_out(data));
