//! The target `response` under libFuzzer.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| quipu_fuzz::response::run(data));
