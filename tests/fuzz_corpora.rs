//! The corpora of the fuzz targets, played without a fuzzer: what was once found is looked at by
//! every test run, with any compiler.

use std::path::Path;

#[path = "../fuzz/src/lib.rs"]
mod targets;

/// One test and not one for each target: they count the blocks of the pool, which is one for all.
#[test]
fn every_input_of_every_corpus_holds() {
    let corpora = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus");
    for (name, run) in targets::TARGETS {
        let mut inputs = 0;
        for entry in std::fs::read_dir(corpora.join(name)).expect(name) {
            let path = entry.expect(name).path();
            let input = std::fs::read(&path).expect(name);
            // The test's output names the input that did not return.
            println!("{}", path.display());
            run(&input);
            inputs += 1;
        }
        assert!(inputs > 0, "{name} has no corpus");
    }
}
