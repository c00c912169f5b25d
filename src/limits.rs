//! Every limit and default in one place, each with its reason.

use std::time::Duration;

/// Messages longer than this go out as several frames, so that control frames find a gap between
/// them. The value is the one that users of the reference component know.
pub const MAX_FRAGMENT_SIZE: usize = 32_767;
/// A fragment below this would be mostly header.
pub const MIN_FRAGMENT_SIZE: usize = 16;

/// The largest message that is accepted, after decompression: far above any sane game message,
/// far below what would endanger a phone.
pub const MAX_MESSAGE_SIZE: usize = 64 << 20;
/// Segments count their bytes in 32 bits; one bit is kept free so that sums cannot overflow.
pub const MAX_MESSAGE_SIZE_CEILING: usize = (1 << 31) - 1;

/// Payload bytes that may wait in the send queue before sends are refused.
pub const MAX_BUFFERED_AMOUNT: usize = 64 << 20;

/// zlib's own default, between speed (1) and size (9).
pub const COMPRESSION_LEVEL: u32 = 6;
/// Shorter messages gain little from compression and wait for it all the same.
pub const MIN_SIZE_TO_COMPRESS: usize = 256;

/// Unread events of one socket, in bytes, at which it stops reading from the network.
pub const EVENT_QUEUE_BYTES: usize = 4 << 20;
/// Below this a queue could not hold one read's worth of small messages.
pub const MIN_EVENT_QUEUE_BYTES: usize = 16 << 10;
/// What an event is charged for on top of its payload, so that a flood of empty messages is
/// bounded too. It is at least what the queue entry really takes.
pub const EVENT_OVERHEAD: usize = 64;

/// RFC 6455 section 5.5: the payload of a control frame.
pub const MAX_CONTROL_PAYLOAD: usize = 125;
/// The same less the two bytes of the status code (section 5.5.1).
pub const MAX_CLOSE_REASON: usize = 123;

/// Response heads beyond this end the attempt: the largest that common servers send is 16 KiB.
pub const MAX_RESPONSE_HEAD: usize = 64 << 10;
/// More response header fields than this end the attempt.
pub const MAX_RESPONSE_HEADERS: usize = 256;
/// What is kept of the body of a refused upgrade: enough for any error text.
pub const MAX_RESPONSE_BODY: usize = 1024;
/// Interim (1xx) responses before the final one; more is a server playing for time.
pub const MAX_INTERIM_RESPONSES: usize = 16;
/// The URL, including credentials; common servers refuse request lines beyond 8 KiB.
pub const MAX_URL: usize = 8 << 10;

/// Extensions of the caller's own on one socket; there are three reserved bits to share.
pub const MAX_EXTENSIONS: usize = 8;

/// Cookies that a socket keeps: RFC 6265 section 6.1 asks for 50 for a host.
pub const MAX_COOKIES: usize = 64;
/// Names and values of those together: with the other fields below what common servers take.
pub const MAX_COOKIE_BYTES: usize = 16 << 10;

/// Header fields that a caller may add to the upgrade request: common servers take about 100.
pub const MAX_REQUEST_HEADERS: usize = 64;
/// Names and values of those together. Common servers refuse more than 8 to 32 KiB.
pub const MAX_REQUEST_HEADER_BYTES: usize = 32 << 10;

/// From `open` to the open event, over name resolution, TCP, proxy, TLS and upgrade.
pub const CONNECT_TIMEOUT: Duration = Duration::from_millis(20_000);
/// From our close frame to the end of the connection.
pub const CLOSE_TIMEOUT: Duration = Duration::from_millis(5_000);
/// After a final answer that is not an upgrade, its body gets this long.
pub const RESPONSE_BODY_TIMEOUT: Duration = Duration::from_millis(1_000);

/// Between a loss and the first try to come back, at least: longer than a blink of the network.
pub const RECONNECT_MIN_DELAY: Duration = Duration::from_millis(250);
/// Between two tries, at most: a player waits that long for a server that restarts.
pub const RECONNECT_MAX_DELAY: Duration = Duration::from_millis(30_000);
/// A server that asks to be left alone for longer (`Retry-After`) is asked again all the same: its
/// clock or ours may be wrong.
pub const MAX_RETRY_AFTER: Duration = Duration::from_secs(600);

/// How long an open connection has to show that it has survived a change of the network, or a sleep:
/// a radio that wakes up and one packet lost and sent again fit in.
pub const PROBE_TIMEOUT: Duration = Duration::from_millis(3_000);

/// Between two pings, when pings are on.
pub const PING_FREQUENCY: Duration = Duration::from_millis(1_000);
/// How long a ping may stay outstanding with nothing at all received since.
pub const CLOSE_AFTER_NO_MESSAGE: Duration = Duration::from_millis(2_000);
/// Shorter ping intervals would be an attack on the server.
pub const MIN_PING_FREQUENCY: Duration = Duration::from_millis(10);

/// With bytes to send, how long the network may take none of them before the connection counts
/// as lost.
pub const WRITE_STALL_TIMEOUT: Duration = Duration::from_millis(20_000);
/// Idle time after which TCP asks whether the peer is still there.
pub const KEEPALIVE_IDLE: Duration = Duration::from_secs(15);
/// Between two such questions.
pub const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(5);
/// Unanswered questions after which the connection is lost: 15 + 3 * 5 = 30 seconds in all.
pub const KEEPALIVE_PROBES: u32 = 3;

/// RFC 8305 section 5: between the start of two connection attempts.
pub const CONNECTION_ATTEMPT_DELAY: Duration = Duration::from_millis(250);
/// RFC 8305 section 5: if the previous attempt failed, the next one starts at once.
pub const MAX_ADDRESSES: usize = 32;

/// One `read` of this size brings many small messages at once.
pub const READ_SIZE: usize = 64 << 10;
/// Frames that wait to be sent are gathered in blocks of this size.
pub const WRITE_BLOCK_SIZE: usize = 64 << 10;
/// Writes of one connection before the others get their turn, of up to a quarter of a megabyte each.
pub const WRITES_PER_TURN: usize = 4;
/// What of one message is compressed before the next write: a millisecond's work or two.
pub const COMPRESS_AT_A_TIME: usize = 64 << 10;
/// Reads of one connection before the others get their turn.
pub const READS_PER_TURN: usize = 16;
/// Events that `poll` delivers from one socket before it goes on to the next.
pub const EVENTS_PER_TURN: usize = 16;

/// Free blocks that the pool keeps for reuse, in bytes; what is released beyond that goes back
/// to the system.
pub const POOL_KEEP_BYTES: usize = 32 << 20;
/// Room before the payload of a block that `fw_buffer_get` hands out: the longest frame header
/// (RFC 6455 section 5.2: 2 + 8 + 4 bytes), rounded up to keep payloads aligned.
pub const HEADROOM: usize = 16;

/// Worker threads when the caller does not say: two carry tens of thousands of connections.
pub const WORKER_THREADS: usize = 1;
/// More threads than this cannot help a client.
pub const MAX_WORKER_THREADS: usize = 64;
/// Threads that ask the system's resolver, which blocks; started when the first name is asked.
pub const RESOLVER_THREADS: usize = 2;
/// Names that may wait for those threads: every socket of a large load test at once, at about a
/// hundred bytes each.
pub const RESOLVER_QUEUE: usize = 16 << 10;

/// Plaintext that TLS takes in at once when the network owes it nothing: two write blocks go out
/// as full records in one system call.
pub const TLS_SEND_BUFFER: usize = 2 * WRITE_BLOCK_SIZE;
/// Servers whose sessions one set of TLS settings remembers for resumption.
pub const TLS_SESSIONS: usize = 256;

/// What the server may send on one HTTP/2 stream before its owner has read it: enough for 20 Mbit/s
/// over 100 ms.
pub const HTTP2_STREAM_WINDOW: u32 = 256 << 10;
/// WebSockets on one HTTP/2 connection; the next one opens the next connection. Common servers allow
/// 100 to 128.
pub const HTTP2_STREAMS: usize = 128;
/// The sum of the streams' windows, so that those who do not read never hold up the others.
pub const HTTP2_CONNECTION_WINDOW: u32 = HTTP2_STREAM_WINDOW * HTTP2_STREAMS as u32;
/// What one stream has handed over and the network has not taken: two write blocks.
pub const HTTP2_SEND_BUFFER: usize = 2 * WRITE_BLOCK_SIZE;
/// Read from one HTTP/2 connection before its streams get their turns.
pub const HTTP2_READ_PER_TURN: usize = 4 * READ_SIZE;
/// How long an HTTP/2 ping, sent after [`KEEPALIVE_IDLE`] without a byte, may stay unanswered: as
/// long as TCP's own questions.
pub const HTTP2_PING_PATIENCE: Duration = Duration::from_secs(15);
/// How long an HTTP/2 connection that nobody uses waits for the next socket.
pub const HTTP2_IDLE: Duration = Duration::from_secs(2);
/// How long the goodbye of such a connection may take.
pub const HTTP2_FAREWELL: Duration = Duration::from_secs(1);
/// Servers of which is remembered whether they take WebSockets over HTTP/2.
pub const HTTP2_ORIGINS: usize = 256;
/// How long a server without is not asked again.
pub const HTTP2_ORIGIN_TTL: Duration = Duration::from_secs(600);

/// The longest timeout of a blocking call: what 32 bits of milliseconds hold, seven weeks.
pub const LONGEST_WAIT: Duration = Duration::from_millis(u32::MAX as u64);
/// Of a shutdown's timeout, what is kept for threads to end in, at most: sending stops before that.
pub const SHUTDOWN_RESERVE: Duration = Duration::from_millis(500);
/// Threads that run no callback end within microseconds, and get this long on a busy machine.
pub const SHUTDOWN_MINIMUM: Duration = Duration::from_millis(100);
/// When everything is sent and the library stops, a server that sends nothing for this long is not waited
/// for any longer. Closing before it has read everything could reset the connection (RFC 6455 section 7.1.1).
pub const SHUTDOWN_SILENCE: Duration = Duration::from_millis(250);
