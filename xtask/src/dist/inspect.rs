//! Checks libraries for phones from their files: nothing here can run them.

pub mod elf;
pub mod macho;
