//! Lanes, and messages with delivery options.

use std::ffi::{c_char, c_void};
use std::mem::MaybeUninit;
use std::ptr::NonNull;
use std::time::Duration;

use super::args::{Enumeration, number, pointer};
use super::buffers::fw_segment;
use super::diagnostics::name_of;
use super::guard::guard;
use super::message::fw_opcode;
use super::names::named;
use super::result::fw_result;
use super::sending::send_flags;
use super::sized::{self, sized};
use super::socket::fw_socket;
use super::text::bytes;
use crate::client::{Content, Lane, LaneStats, MessageType, Outcome, SendOptions};
use crate::error::CallError;

/// What became of a message with a tag.
///
/// New outcomes may be added.
#[repr(u32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum fw_outcome {
    /// The event has no outcome.
    FW_OUTCOME_NONE = 0,
    /// The message was given to the network. The server may still not receive it.
    FW_OUTCOME_SENT = 1,
    /// Its time to live ended before it began.
    FW_OUTCOME_EXPIRED = 2,
    /// A newer message with the same key took its place.
    FW_OUTCOME_REPLACED = 3,
    /// The connection ended first.
    FW_OUTCOME_LOST = 4,
}

named!(fw_outcome {
    FW_OUTCOME_NONE,
    FW_OUTCOME_SENT,
    FW_OUTCOME_EXPIRED,
    FW_OUTCOME_REPLACED,
    FW_OUTCOME_LOST,
});

/// Returns the name of an outcome, such as "FW_OUTCOME_SENT".
///
/// \param outcome Any number.
/// \returns A static string, never NULL; "UNKNOWN" for a number that is not in fw_outcome.
/// \since 0.2.0
#[unsafe(no_mangle)]
pub extern "C" fn fw_outcome_name(outcome: MaybeUninit<fw_outcome>) -> *const c_char {
    name_of(outcome)
}

impl From<Outcome> for fw_outcome {
    fn from(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Sent => Self::FW_OUTCOME_SENT,
            Outcome::Expired => Self::FW_OUTCOME_EXPIRED,
            Outcome::Replaced => Self::FW_OUTCOME_REPLACED,
            Outcome::Lost => Self::FW_OUTCOME_LOST,
        }
    }
}

// SAFETY: `repr(u32)`.
unsafe impl Enumeration for fw_opcode {}

/// A message with delivery options, for fw_socket_send.
///
/// Initialize it with fw_message_init.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct fw_message {
    /// sizeof(fw_message), set by fw_message_init.
    pub struct_size: u32,
    /// FW_OPCODE_BINARY (the default) or FW_OPCODE_TEXT.
    pub opcode: MaybeUninit<fw_opcode>,
    /// fw_send_flags, combined with |; FW_SEND_DEFAULT by default.
    pub flags: u32,
    /// The lane, from 0 (the default, and the lane of all other send functions); see
    /// fw_socket_set_lanes.
    pub lane: u32,
    /// Milliseconds after which the message is dropped if it has not begun; 0 (the default) for
    /// never.
    pub ttl_ms: u32,
    /// Reserved for later versions; 0.
    pub reserved: u32,
    /// If not 0 (the default): replaces the waiting message with the same key in the same lane, in
    /// its place (latest value wins).
    pub key: u64,
    /// If not 0 (the default): reported in the event sent, with the outcome.
    pub tag: u64,
    /// The payload, len bytes, copied; may be NULL when len is 0.
    pub data: *const c_void,
    /// Length of data in bytes, less than 1 GiB.
    pub len: usize,
    /// The payload instead of data, if its buffer is not zero; consumed by the call, even on
    /// failure, unless struct_size is invalid.
    pub segment: fw_segment,
}

sized!(
    fw_message { struct_size, opcode, flags, lane, ttl_ms, reserved, key, tag, data, len, segment },
    fw_message {
        struct_size: size_of::<fw_message>() as u32,
        opcode: MaybeUninit::new(fw_opcode::FW_OPCODE_BINARY),
        flags: 0,
        lane: 0,
        ttl_ms: 0,
        reserved: 0,
        key: 0,
        tag: 0,
        data: std::ptr::null(),
        len: 0,
        segment: fw_segment::NONE,
    }
);

/// Initializes a message with the defaults: binary, empty, lane 0, no options.
///
/// \param message Written to; NULL does nothing.
/// \param struct_size sizeof(fw_message).
/// \since 0.2.0
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fw_message_init(message: *mut fw_message, struct_size: usize) {
    // SAFETY: the caller promises that struct_size bytes can be written there.
    unsafe { sized::init(message, struct_size) }
}

/// Sends a message with delivery options: lane, key, time to live, tag.
///
/// From the first call on, or from fw_socket_set_lanes, all messages of the socket wait in its lanes
/// until they begin: until their first byte is prepared for the network. At most 16 KiB are prepared
/// ahead, so a message of a lane with a lower priority number overtakes all but these. Only what has
/// not begun can expire or be replaced. Messages of one lane keep the order of the calls.
///
/// WebSocket messages cannot be interleaved (RFC 6455 section 5.4): a large message that has begun
/// holds up all lanes, except for control frames. Send large data in parts, or over another socket.
///
/// A replacement keeps the place of the message it replaces, so that a key that is replaced faster
/// than the queue drains is still sent. If it is not longer, it is accepted even if the queue is
/// full. What is dropped leaves fw_socket_buffered_amount at once. Compression and extensions run
/// when a message begins.
///
/// Each accepted tag is reported once, in the event sent (fw_socket_on_sent), before the terminal
/// event and never inside this call. With queue_sends of fw_reconnect, keys and times to live also
/// work while connecting. After fw_socket_close the waiting messages are sent, by priority, before
/// the close frame; those that the close timeout cuts off are lost.
///
/// In browsers, 64 KiB are given to the browser ahead, in polls only; FW_OUTCOME_SENT is reported then.
///
/// \param socket The socket, open, or connecting with queue_sends of fw_reconnect.
/// \param message Initialized with fw_message_init, not NULL; not used after the call.
///
/// \returns OK (queued); INVALID_HANDLE (socket, or the caller holds no reference to the segment);
///   INVALID_ARGUMENT (NULL, struct_size, opcode, flags or lane, reserved bits that were not offered,
///   or data is NULL); NOT_SUPPORTED (a field is set that only a newer library knows); INVALID_UTF8
///   (not checked with a reserved bit in flags); INVALID_STATE (not open);
///   TOO_LARGE; WOULD_BLOCK (the send queue or the lane is full, 65536 messages wait, or the event
///   queue has no room for the outcome); OUT_OF_MEMORY.
/// \since 0.2.0
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fw_socket_send(socket: fw_socket, message: *const fw_message) -> fw_result {
    guard(|| {
        // SAFETY: the caller promises a struct of its struct_size.
        let read =
            pointer(message.cast_mut(), "message").and_then(|message| unsafe { sized::read_known(message) });
        // Consumed, whatever the result.
        let segment = match &read {
            Ok((message, _)) if message.segment.buffer.id != 0 => Some(message.segment.take()),
            _ => None,
        };
        let socket = socket.get()?;
        let (message, all_known) = read?;
        all_known?;
        let message_type = match number(message.opcode) {
            1 => MessageType::Text,
            2 => MessageType::Binary,
            _ => return Err(CallError::argument("opcode must be FW_OPCODE_TEXT or FW_OPCODE_BINARY")),
        };
        let options = SendOptions {
            flags: send_flags(message.flags)?,
            lane: message.lane,
            key: message.key,
            time_to_live: (message.ttl_ms != 0).then(|| Duration::from_millis(message.ttl_ms.into())),
            tag: message.tag,
        };
        let content = match segment {
            Some(segment) => Content::Segment(segment?),
            // SAFETY: the caller promises `len` bytes until the call returns.
            None => Content::Bytes(unsafe { bytes(message.data.cast(), message.len, "data") }?),
        };
        socket.send_message(message_type, content, options)
    })
}

/// A lane of a socket, for fw_socket_set_lanes.
///
/// Initialize it with fw_lane_init.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct fw_lane {
    /// sizeof(fw_lane), set by fw_lane_init.
    pub struct_size: u32,
    /// Lanes with a lower number go first: a message begins only when no lane before its own has a
    /// waiting message. Default 0.
    pub priority: u32,
    /// The share among lanes of equal priority, 1 (the default) to 1000.
    pub weight: u32,
    /// Reserved for later versions; 0.
    pub reserved: u32,
    /// The limit of the lane's waiting payload in bytes: at or above it, fw_socket_send returns
    /// WOULD_BLOCK. 0 (the default) for no limit but that of the socket.
    pub max_bytes: usize,
}

sized!(
    fw_lane { struct_size, priority, weight, reserved, max_bytes },
    fw_lane { struct_size: size_of::<fw_lane>() as u32, priority: 0, weight: 1, reserved: 0, max_bytes: 0 }
);

/// Initializes a lane with the defaults.
///
/// \param lane Written to; NULL does nothing.
/// \param struct_size sizeof(fw_lane).
/// \since 0.2.0
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fw_lane_init(lane: *mut fw_lane, struct_size: usize) {
    // SAFETY: the caller promises that struct_size bytes can be written there.
    unsafe { sized::init(lane, struct_size) }
}

/// Sets the lanes of a socket, in which messages wait until they begin; see fw_socket_send.
///
/// Lanes of equal priority share the connection by weight, counted in bytes with frame headers; an
/// idle lane earns no credit. Takes effect at any time: waiting messages stay in their lanes. The
/// lanes remain when the socket is opened again.
///
/// Where lanes are used, the socket keeps little that is not sent in the kernel: TCP_NOTSENT_LOWAT
/// is 16 KiB on Linux, Android, macOS and iOS, SO_SNDBUF elsewhere.
///
/// \param socket The socket, in any state.
/// \param lanes count structs initialized with fw_lane_init, all with the same struct_size, copied;
///   may be NULL when count is 0.
/// \param count Number of lanes, 0 to 8; 0 is the same as one lane with the defaults.
/// \returns OK; INVALID_HANDLE; INVALID_ARGUMENT (NULL, struct_size, or a number out of range);
///   NOT_SUPPORTED (a field is set that only a newer library knows); INVALID_STATE (a lane that
///   would be removed has waiting messages).
/// \since 0.2.0
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fw_socket_set_lanes(
    socket: fw_socket,
    lanes: *const fw_lane,
    count: usize,
) -> fw_result {
    guard(|| {
        let socket = socket.get()?;
        if count > MOST_LANES {
            return Err(CallError::argument(format!("the number of lanes must be 0 to {MOST_LANES}")));
        }
        let mut read = Vec::with_capacity(count);
        if count > 0 {
            let first = pointer(lanes.cast_mut(), "lanes")?;
            // SAFETY: the caller promises `count` structs of the size that the first one names.
            let stride = unsafe { first.cast::<u32>().read() } as usize;
            for index in 0..count {
                // SAFETY: as above; the first struct was read before the second is located by its size.
                let lane = unsafe { sized::read(at(first, index * stride)) }?;
                if lane.struct_size as usize != stride {
                    return Err(CallError::argument("the lanes must have the same struct_size"));
                }
                read.push(Lane { priority: lane.priority, weight: lane.weight, max_bytes: lane.max_bytes });
            }
        }
        socket.set_lanes(&read)
    })
}

/// The limit of the header; the engine checks its own.
const MOST_LANES: usize = 8;

/// # Safety
/// `offset` bytes after the lane, another one begins, or it is 0.
unsafe fn at(lane: NonNull<fw_lane>, offset: usize) -> NonNull<fw_lane> {
    // SAFETY: guaranteed by the caller.
    unsafe { lane.byte_add(offset) }
}

/// Counts of a lane, for fw_socket_lane_stats, over all connections of the socket.
///
/// Initialize it once with fw_lane_stats_init. Times are in microseconds, from the send call until
/// the message begins.
#[repr(C)]
#[derive(Clone, Copy, Default)]
pub struct fw_lane_stats {
    /// sizeof(fw_lane_stats), set by fw_lane_stats_init.
    pub struct_size: u32,
    /// Reserved for later versions; 0.
    pub reserved: u32,
    /// Messages that have not begun.
    pub waiting_messages: u64,
    /// Their payload bytes.
    pub waiting_bytes: u64,
    /// How long the oldest of them has waited.
    pub oldest_us: u64,
    /// The longest time that a message has waited.
    pub queue_time_max_us: u64,
    /// The sum of the times that messages have waited.
    pub queue_time_total_us: u64,
    /// Messages that have begun: the number that queue_time_total_us is the sum of.
    pub begun: u64,
    /// Messages that were given to the network.
    pub sent: u64,
    /// Messages whose time to live ended.
    pub expired: u64,
    /// Messages that were replaced by a newer one.
    pub replaced: u64,
    /// Messages that were accepted and then lost with the connection.
    pub lost: u64,
}

sized!(
    fw_lane_stats {
        struct_size,
        reserved,
        waiting_messages,
        waiting_bytes,
        oldest_us,
        queue_time_max_us,
        queue_time_total_us,
        begun,
        sent,
        expired,
        replaced,
        lost,
    },
    fw_lane_stats::default()
);

impl From<LaneStats> for fw_lane_stats {
    fn from(stats: LaneStats) -> Self {
        Self {
            struct_size: size_of::<fw_lane_stats>() as u32,
            reserved: 0,
            waiting_messages: stats.waiting_messages,
            waiting_bytes: stats.waiting_bytes,
            oldest_us: stats.oldest_us,
            queue_time_max_us: stats.queue_time_max_us,
            queue_time_total_us: stats.queue_time_total_us,
            begun: stats.begun,
            sent: stats.sent,
            expired: stats.expired,
            replaced: stats.replaced,
            lost: stats.lost,
        }
    }
}

/// Initializes the counts of a lane: all zero.
///
/// \param stats Written to; NULL does nothing.
/// \param struct_size sizeof(fw_lane_stats).
/// \since 0.2.0
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fw_lane_stats_init(stats: *mut fw_lane_stats, struct_size: usize) {
    // SAFETY: the caller promises that struct_size bytes can be written there.
    unsafe { sized::init(stats, struct_size) }
}

/// Returns the counts of a lane.
///
/// \param socket The socket, in any state.
/// \param lane The lane, from 0.
/// \param out Initialized with fw_lane_stats_init; receives the numbers; not NULL.
/// \returns OK; INVALID_HANDLE; INVALID_ARGUMENT (NULL, struct_size, or the socket has no such lane).
/// \since 0.2.0
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fw_socket_lane_stats(
    socket: fw_socket,
    lane: u32,
    out: *mut fw_lane_stats,
) -> fw_result {
    guard(|| {
        let socket = socket.get()?;
        let out = pointer(out, "out")?;
        let stats = fw_lane_stats::from(socket.lane_stats(lane)?);
        // SAFETY: the caller promises a struct of its struct_size.
        unsafe { sized::write(&stats, out) }
    })
}
