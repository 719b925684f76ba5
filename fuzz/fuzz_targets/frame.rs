//! The target `frame` under libFuzzer.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| quipu_fuzz::frame::run(data));
