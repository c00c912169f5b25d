//! What holds for the room as a whole: header and source say the same, every handle is checked,
//! layouts stand still.

mod header;
mod layout;
mod refusals;
