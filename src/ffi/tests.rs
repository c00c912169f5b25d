//! Tests of the whole C ABI: header and source agree, every function checks its handle, layouts are
//! fixed.

mod header;
mod layout;
mod refusals;
