#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| modkeep_fuzz::signer_key(data));
