//! All limits and defaults, with their reasons.

use std::time::Duration;

/// The default fragment size: longer messages are sent as several frames, so that control frames can be sent
/// between them. The value is the one of the reference component.
pub const MAX_FRAGMENT_SIZE: usize = 32_767;
/// A fragment below this would be mostly header.
pub const MIN_FRAGMENT_SIZE: usize = 16;

/// The default limit for received messages, after decompression: far above typical game messages, and small
/// enough for the memory of a phone.
pub const MAX_MESSAGE_SIZE: usize = 64 << 20;
/// The largest message size limit. Segments store lengths in 32 bits; one bit is reserved so that sums cannot
/// overflow.
pub const MAX_MESSAGE_SIZE_CEILING: usize = (1 << 31) - 1;

/// The default limit for payload bytes in the send queue; beyond it, sends fail.
pub const MAX_BUFFERED_AMOUNT: usize = 64 << 20;

/// The number of lanes of a socket.
pub const MAX_LANES: usize = 8;
/// The largest weight of a lane.
pub const MAX_LANE_WEIGHT: u32 = 1000;
/// The number of messages that may wait in the lanes of a socket, so that a flood of empty ones is bounded too.
pub const MAX_WAITING_MESSAGES: usize = 65_536;
/// The number of bytes that are prepared for the network ahead of what it has taken, where lanes are used: what was
/// prepared cannot be overtaken.
pub const LANE_AHEAD: usize = 16 << 10;

/// The same in a browser, which takes messages in polls only: at 60 polls a second, 4 MB/s.
pub const BROWSER_LANE_AHEAD: usize = 64 << 10;

/// The longest delay of a simulated link: beyond the timeouts of every phase.
pub const LONGEST_LINK_DELAY: Duration = Duration::from_secs(60);
/// The longest interval between stalls of a simulated link.
pub const LONGEST_LINK_STALL_INTERVAL: Duration = Duration::from_secs(3600);
/// The bytes that a simulated link holds in each direction: 280 Mbit/s at 120 ms.
pub const LINK_BYTES_IN_FLIGHT: usize = 4 << 20;
/// The number of bytes that a simulated link moves at a time.
pub const LINK_READ_SIZE: usize = 16 << 10;

/// The bytes that may wait for the thread that writes captures: 20 ms of 400 MB/s.
pub const CAPTURE_QUEUE_BYTES: usize = 8 << 20;
/// The number of reads and writes that may wait for it.
pub const CAPTURE_QUEUE_RECORDS: usize = 8 << 10;

/// The default compression level of zlib, between speed (1) and size (9).
pub const COMPRESSION_LEVEL: u32 = 6;
/// The minimum size of compressed messages: shorter ones gain little.
pub const MIN_SIZE_TO_COMPRESS: usize = 256;

/// The size of a socket's event queue at which it stops reading from the network (backpressure).
pub const EVENT_QUEUE_BYTES: usize = 4 << 20;
/// The minimum event queue size: enough for the small messages of one read.
pub const MIN_EVENT_QUEUE_BYTES: usize = 16 << 10;
/// The bytes that are counted per event in addition to its payload, so that a flood of empty messages is
/// bounded too. At least the real size of a queue entry.
pub const EVENT_OVERHEAD: usize = 64;

/// In a browser: how many times the size of an event queue its JavaScript queue may hold, as the server cannot be
/// made to wait; beyond it, the connection ends. A page that is hidden for minutes stays below with usual games.
pub const BROWSER_QUEUE_FACTOR: usize = 16;
/// The same as a number of messages: enough for 60 a second over a quarter of an hour.
pub const BROWSER_QUEUE_EVENTS: u32 = 65_536;

/// The payload limit of control frames (RFC 6455 section 5.5).
pub const MAX_CONTROL_PAYLOAD: usize = 125;
/// The limit of a close reason: the same without the two-byte status code (section 5.5.1).
pub const MAX_CLOSE_REASON: usize = 123;

/// The size limit of response heads; common servers send at most 16 KiB.
pub const MAX_RESPONSE_HEAD: usize = 64 << 10;
/// The limit for response header fields.
pub const MAX_RESPONSE_HEADERS: usize = 256;
/// The bytes kept of the body of a refused upgrade: enough for an error text.
pub const MAX_RESPONSE_BODY: usize = 1024;
/// The limit for interim (1xx) responses before the final one.
pub const MAX_INTERIM_RESPONSES: usize = 16;
/// The length limit of URLs, including credentials; common servers reject request lines beyond 8 KiB.
pub const MAX_URL: usize = 8 << 10;

/// The limit for the caller's extensions on one socket; they share three reserved bits.
pub const MAX_EXTENSIONS: usize = 8;

/// The limit for cookies of a socket; RFC 6265 section 6.1 requires 50 per host.
pub const MAX_COOKIES: usize = 64;
/// The limit for names, values, domains and paths of all cookies: together with other fields below what common
/// servers accept.
pub const MAX_COOKIE_BYTES: usize = 16 << 10;

/// The limit for header fields that the caller adds to the request; common servers accept about 100.
pub const MAX_REQUEST_HEADERS: usize = 64;
/// The limit for names and values of these fields; common servers reject more than 8 to 32 KiB.
pub const MAX_REQUEST_HEADER_BYTES: usize = 32 << 10;

/// The default connect timeout, over name resolution, TCP, proxy, TLS and upgrade.
pub const CONNECT_TIMEOUT: Duration = Duration::from_millis(20_000);
/// The default close timeout, from our close frame to the end of the connection.
pub const CLOSE_TIMEOUT: Duration = Duration::from_millis(5_000);
/// The timeout for the body of a refused upgrade.
pub const RESPONSE_BODY_TIMEOUT: Duration = Duration::from_millis(1_000);

/// The default minimum delay before a retry: longer than a short network interruption.
pub const RECONNECT_MIN_DELAY: Duration = Duration::from_millis(250);
/// The default maximum delay between retries: acceptable to a player while a server restarts.
pub const RECONNECT_MAX_DELAY: Duration = Duration::from_millis(30_000);
/// The limit for `Retry-After`: the clock of the server or of the client may be wrong.
pub const MAX_RETRY_AFTER: Duration = Duration::from_secs(600);

/// The timeout of the probe after a network change or a suspend: enough for a radio to wake up and for one
/// retransmission.
pub const PROBE_TIMEOUT: Duration = Duration::from_millis(3_000);

/// How long such a probe may be unanswered before a socket with reconnecting enabled also opens a new connection:
/// longer than the round trip of a slow network.
pub const HANDOVER_DELAY: Duration = Duration::from_millis(500);

/// The minimum time between two network changes that the library notices itself, of which one change of the
/// configuration causes several.
pub const NETWORK_CHANGE_INTERVAL: Duration = Duration::from_millis(500);

/// The default ping interval.
pub const PING_FREQUENCY: Duration = Duration::from_millis(1_000);
/// The default ping timeout, while nothing is received.
pub const CLOSE_AFTER_NO_MESSAGE: Duration = Duration::from_millis(2_000);
/// The minimum ping interval, to protect the server.
pub const MIN_PING_FREQUENCY: Duration = Duration::from_millis(10);

/// How long a write may stall before the connection counts as lost.
pub const WRITE_STALL_TIMEOUT: Duration = Duration::from_millis(20_000);
/// The idle time before TCP keepalive probes.
pub const KEEPALIVE_IDLE: Duration = Duration::from_secs(15);
/// The interval of TCP keepalive probes.
pub const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(5);
/// The number of unanswered keepalive probes after which the connection is lost: 15 + 3 * 5 = 30 seconds in
/// total.
pub const KEEPALIVE_PROBES: u32 = 3;

/// The delay between connection attempts (RFC 8305 section 5).
pub const CONNECTION_ATTEMPT_DELAY: Duration = Duration::from_millis(250);
/// The limit for addresses of one name.
pub const MAX_ADDRESSES: usize = 32;

/// The size of reads: large enough for many small messages.
pub const READ_SIZE: usize = 64 << 10;
/// The block size of the send queue.
pub const WRITE_BLOCK_SIZE: usize = 64 << 10;
/// Writes per connection and turn, of up to 256 KiB each.
pub const WRITES_PER_TURN: usize = 4;
/// The bytes that are compressed before the next write, which takes one or two milliseconds.
pub const COMPRESS_AT_A_TIME: usize = 64 << 10;
/// Reads per connection and turn.
pub const READS_PER_TURN: usize = 16;
/// Events that `poll` delivers per socket before it continues with the next one.
pub const EVENTS_PER_TURN: usize = 16;

/// The bytes of free blocks that the pool keeps; blocks beyond that are deallocated.
pub const POOL_KEEP_BYTES: usize = 32 << 20;
/// The space before the payload of a block from `fw_buffer_get`: the longest frame header (RFC 6455 section
/// 5.2: 2 + 8 + 4 bytes), rounded up for alignment.
pub const HEADROOM: usize = 16;

/// The default number of worker threads; two can serve tens of thousands of connections.
pub const WORKER_THREADS: usize = 1;
/// The limit for worker threads.
pub const MAX_WORKER_THREADS: usize = 64;
/// The limit for threads of the system's blocking resolver, started on demand: a name server that does not respond
/// blocks one for half a minute, also after the lookup was cancelled.
pub const RESOLVER_THREADS: usize = 8;
/// The limit for queued lookups: enough for a large load test, at about 100 bytes each.
pub const RESOLVER_QUEUE: usize = 16 << 10;
/// How long the result of a lookup is used again: sockets that connect at the same time share it, and a changed
/// record is noticed before a player would try again. A failed connection and a changed network end it.
pub const LOOKUP_LIFETIME: Duration = Duration::from_secs(10);
/// The number of names whose addresses are kept. A game has a few servers.
pub const MAX_RECENT_LOOKUPS: usize = 32;

/// The plaintext that TLS accepts if no records are pending: two write blocks, sent as full records in one
/// system call.
pub const TLS_SEND_BUFFER: usize = 2 * WRITE_BLOCK_SIZE;
/// The limit for records that TLS cannot process yet: the largest handshake message, in its records.
pub const TLS_INCOMPLETE: usize = 80 << 10;
/// The size of the TLS session cache of one set of settings, in servers.
pub const TLS_SESSIONS: usize = 256;
/// The limit for a file in Android's folders of root certificates: the largest certificates with their
/// descriptions have about 10 KiB.
pub const ROOT_FILE_BYTES: u64 = 256 << 10;

/// The receive window of an HTTP/2 stream: enough for 20 Mbit/s at 100 ms.
pub const HTTP2_STREAM_WINDOW: u32 = 256 << 10;
/// The limit for streams on one HTTP/2 connection; more streams use another connection. Common servers allow
/// 100 to 128.
pub const HTTP2_STREAMS: usize = 128;
/// The receive window of an HTTP/2 connection: the sum of its streams' windows, so that streams that are not
/// read do not block others.
pub const HTTP2_CONNECTION_WINDOW: u32 = HTTP2_STREAM_WINDOW * HTTP2_STREAMS as u32;
/// The send buffer of an HTTP/2 stream: a DATA frame of the usual size, and no more than lanes prepare ahead.
pub const HTTP2_SEND_BUFFER: usize = LANE_AHEAD;
/// The bytes read from an HTTP/2 connection per turn.
pub const HTTP2_READ_PER_TURN: usize = 4 * READ_SIZE;
/// The timeout of an HTTP/2 ping, which is sent after [`KEEPALIVE_IDLE`]: as long as the TCP keepalive
/// probes.
pub const HTTP2_PING_TIMEOUT: Duration = Duration::from_secs(15);
/// How long an unused HTTP/2 connection is kept for the next socket.
pub const HTTP2_IDLE: Duration = Duration::from_secs(2);
/// The timeout for closing such a connection.
pub const HTTP2_GOAWAY_TIMEOUT: Duration = Duration::from_secs(1);
/// The size of the cache of HTTP/2 support, in servers.
pub const HTTP2_ORIGINS: usize = 256;
/// How long missing HTTP/2 support is cached.
pub const HTTP2_ORIGIN_TTL: Duration = Duration::from_secs(600);

/// The longest timeout of a blocking call: 32 bits of milliseconds, about seven weeks.
pub const LONGEST_WAIT: Duration = Duration::from_millis(u32::MAX as u64);
/// The part of a shutdown timeout that is reserved for joining threads, at most; sending stops before it.
pub const SHUTDOWN_RESERVE: Duration = Duration::from_millis(500);
/// The minimum time for joining threads: they end within microseconds, but the machine may be busy.
pub const SHUTDOWN_MINIMUM: Duration = Duration::from_millis(100);
/// During shutdown, how long a server may be silent after everything is sent before its connection is
/// dropped. Closing before it has read everything could reset the connection (RFC 6455 section 7.1.1).
pub const SHUTDOWN_SILENCE: Duration = Duration::from_millis(250);
