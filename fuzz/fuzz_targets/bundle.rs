#![no_main]

#[allow(dead_code, reason = "another target calls the rest")]
#[path = "../src/stored.rs"]
mod stored;

libfuzzer_sys::fuzz_target!(|data: &[u8]| stored::bundle(data));
