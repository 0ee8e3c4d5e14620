//! libFuzzer's way into `bodies::manifest`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| sgeventd_fuzz::bodies::manifest::try_out(data));
