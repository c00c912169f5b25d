//! The corpora of the fuzz targets, played without a fuzzer: what was once found is looked at by
//! every test run, with any compiler.

#[path = "../fuzz/src/lib.rs"]
mod targets;

/// One test and not one for each target: they count the blocks of the pool, which is one for all.
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
