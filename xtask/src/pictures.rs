//! Draws the pictures in the documentation of the command line.

use crate::run::{Outcome, cargo, root, run};

/// Runs `xtask/pictures`, a separate package because of its dependencies, with the command line.
pub fn write() -> Outcome {
    run(cargo().args(["build", "--quiet", "--package", "framewire-cli"]))?;
    let mut pictures = cargo();
    pictures.args(["run", "--quiet", "--package", "framewire-pictures", "--"]);
    run(pictures.arg(root().join("target/debug/framewire")).arg(root().join("docs/images")))
}
