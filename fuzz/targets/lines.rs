//! libFuzzer's way into `bodies::lines`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| sgeventd_fuzz::bodies::lines::try_out(data));
