#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| modkeep_fuzz::c2sp_tile_path(data));
