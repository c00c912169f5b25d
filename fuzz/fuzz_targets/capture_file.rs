#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| framewire_fuzz::capture_file::run(data));
