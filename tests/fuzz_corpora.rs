//! Replays the corpora of the fuzz targets without a fuzzer, as regression tests for any compiler.

#[path = "../fuzz/src/lib.rs"]
mod targets;

/// One test for all targets, as they check the usage of the global buffer pool.
#[test]
fn every_corpus_input_passes() {
    for (name, run, corpus) in targets::TARGETS {
        let inputs = targets::corpus::read(corpus).expect(name);
        assert!(!inputs.is_empty(), "{name} has no corpus");
        for (at, input) in inputs.iter().enumerate() {
            // Shows which input failed.
            println!("fuzz/corpus/{name}.txt:{}", at + 1);
            run(input);
        }
    }
}
