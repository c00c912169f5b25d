//! Runs the corpora of the fuzz targets without a fuzzer: every test run repeats what fuzzing has found, with
//! any compiler.

#[path = "../fuzz/src/lib.rs"]
mod targets;

/// One test for all targets: they count the blocks of the buffer pool, which is global.
#[test]
fn every_corpus_input_passes() {
    for (name, run, corpus) in targets::TARGETS {
        let inputs = targets::corpus::read(corpus).expect(name);
        assert!(!inputs.is_empty(), "{name} has no corpus");
        for (at, input) in inputs.iter().enumerate() {
            // The test's output names the input that did not return.
            println!("fuzz/corpus/{name}.txt:{}", at + 1);
            run(input);
        }
    }
}
