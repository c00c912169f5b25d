//! `tests/capture/tshark.rs`: captures of the library, decoded by tshark.

use crate::run::{Outcome, command, ensure, run, test_program};
use crate::schedule::{Problem, Tested};

pub fn step() -> Tested {
    ensure("tshark", &["tshark"]).map_err(Problem::Missing)?;
    Ok(test()?)
}

fn test() -> Outcome {
    run(command(test_program("tshark")?).arg("--nocapture"))
}
