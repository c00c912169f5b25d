//! Tests of the whole module: the header matches the source, every handle is checked, layouts do
//! not change.

mod header;
mod layout;
mod refusals;
