//! The body of a message that does not fit into one block.

use crate::buffer::{self, OutOfMemory, Writer};
use crate::limits::READ_SIZE;

/// Appends to a body. It grows to at most twice the bytes that have arrived, or to a free pool block of the expected
/// size, which is already allocated.
pub(super) fn append(body: &mut Option<Writer>, bytes: &[u8], expected: usize) -> Result<(), OutOfMemory> {
    let filled = body.as_ref().map_or(0, Writer::filled);
    let room = body.as_ref().map_or(0, Writer::room);
    if room < bytes.len().max(1) && (expected > 0 || !bytes.is_empty()) {
        let arrived = filled + bytes.len();
        let mut larger = match buffer::take_free(filled + expected) {
            Some(writer) => writer,
            None => {
                buffer::take((filled + expected).min(buffer::largest_within(2 * arrived).max(READ_SIZE)))?
            }
        };
        if let Some(body) = body {
            larger.put(body.bytes());
        }
        *body = Some(larger);
    }
    if let Some(body) = body {
        body.put(bytes);
    }
    Ok(())
}
