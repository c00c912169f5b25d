//! The thread that writes the files.

use std::collections::{HashMap, HashSet};
use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::mpsc::Receiver;
use std::time::Duration;

use super::conversation::{Conversation, HTTP_PORT};
use super::framing::Direction;
use super::notes::Lost;
use super::pcapng::{self, Packet};
use super::queue::{Captured, Command, Content, FileInfo, Queue, Record};
use crate::clock::unix_time;
use crate::logging::{self, LogLevel};
use crate::sync::atomic::Ordering;

/// The pause between two writes, in which records collect.
const PAUSE: Duration = Duration::from_millis(20);
/// The size of the buffer in front of a file.
const BUFFER: usize = 256 << 10;
/// The bytes that the end of a file needs, within its limit.
const RESERVE: u64 = 256;
/// The ports for connections whose own port is used by another one in the file (RFC 6335 section 6).
const DYNAMIC_PORTS: std::ops::RangeInclusive<u16> = 49152..=65535;

/// Writes what is queued until the queue is stopped, or `retire` returns true when no file is open.
pub fn run(queue: &Arc<Queue>, records: &Receiver<Record>, retire: impl Fn() -> bool) {
    queue.serve();
    let (mut files, mut next) = (Files::default(), None);
    loop {
        // Before the records: those that it follows are written first.
        let is_stopping = queue.is_stopping.load(Ordering::Acquire);
        let commands = queue.take_commands();
        let mut is_idle = commands.is_empty();
        while let Some(record) = next.take().or_else(|| records.try_recv().ok()) {
            is_idle = false;
            let payload = match &record.content {
                Content::Bytes { bytes, .. } => bytes.len(),
                _ => 0,
            };
            files.write(record);
            queue.release(payload);
        }
        for command in commands {
            match command {
                Command::Open(info) => drop(files.get(&info)),
                Command::Close(number) => files.close(number),
                Command::Late(record) => files.write(*record),
            }
        }
        files.flush();
        if is_stopping {
            return files.close_all();
        }
        if !is_idle {
            std::thread::park_timeout(PAUSE);
            continue;
        }
        if files.open.is_empty() && retire() {
            return;
        }
        queue.sleep(|| {
            next = records.try_recv().ok();
            next.is_none() && !queue.has_commands()
        });
    }
}

/// The open files, by their numbers.
#[derive(Default)]
struct Files {
    open: HashMap<u64, OpenFile>,
}

impl Files {
    /// The file, which is created at its first use. None after its end.
    fn get(&mut self, info: &Arc<FileInfo>) -> Option<&mut OpenFile> {
        if !self.open.contains_key(&info.number) {
            if info.has_ended.load(Ordering::Relaxed) {
                return None;
            }
            // Closed, but not by all connections yet.
            let earlier = self.open.iter().find(|(_, file)| file.info.path == info.path);
            if let Some(number) = earlier.map(|(number, _)| *number) {
                self.close(number);
            }
            match OpenFile::create(info.clone()) {
                Ok(file) => _ = self.open.insert(info.number, file),
                Err(error) => {
                    info.has_ended.store(true, Ordering::Relaxed);
                    let path = info.path.display();
                    logging::note(
                        LogLevel::Error,
                        format_args!("the capture file {path} cannot be created: {error}"),
                    );
                }
            }
        }
        self.open.get_mut(&info.number)
    }

    fn write(&mut self, record: Record) {
        let info = record.connection.file.info.clone();
        let Some(file) = self.get(&info) else { return };
        if let Err(end) = file.record(&record) {
            self.end(info.number, Some(end));
        }
    }

    fn flush(&mut self) {
        let failed: Vec<(u64, End)> = self
            .open
            .iter_mut()
            .filter_map(|(number, file)| Some((*number, End::Failed(file.output.flush().err()?))))
            .collect();
        for (number, end) in failed {
            self.end(number, Some(end));
        }
    }

    fn close(&mut self, number: u64) {
        self.end(number, None);
    }

    fn close_all(&mut self) {
        for number in self.open.keys().copied().collect::<Vec<_>>() {
            self.close(number);
        }
    }

    /// Ends a file. The reason is logged; None if the program has ended it.
    fn end(&mut self, number: u64, why: Option<End>) {
        let Some(mut file) = self.open.remove(&number) else { return };
        file.info.has_ended.store(true, Ordering::Relaxed);
        let end = match why {
            Some(End::Failed(error)) => Err(error),
            _ => file.finish(),
        };
        let path = file.info.path.display();
        match (end, why_limit(file.is_full, &file.info)) {
            (Err(error), _) => logging::note(
                LogLevel::Error,
                format_args!("the capture to {path} has ended: it cannot be written: {error}"),
            ),
            (Ok(()), Some(limit)) => logging::note(
                LogLevel::Warn,
                format_args!("the capture to {path} has ended: its limit of {limit} bytes is reached"),
            ),
            (Ok(()), None) => {
                logging::note(LogLevel::Debug, format_args!("captured {} packets to {path}", file.packets));
            }
        }
        if file.lost.bytes > 0 {
            let bytes = file.lost.bytes;
            logging::note(
                LogLevel::Warn,
                format_args!("{bytes} bytes were not captured to {path}: the capture queue was full"),
            );
        }
        // What is left in the buffer of a failed file is not written again.
        drop(file.output.into_parts());
    }
}

fn why_limit(is_full: bool, info: &FileInfo) -> Option<u64> {
    is_full.then_some(info.options.max_file_bytes)
}

/// Why a file ends.
enum End {
    Failed(io::Error),
    /// Its limit is reached.
    Full,
}

struct OpenFile {
    info: Arc<FileInfo>,
    output: BufWriter<File>,
    written: u64,
    packets: u64,
    lost: Lost,
    is_full: bool,
    conversations: HashMap<u64, Conversation>,
    /// Client and server address of each connection so far.
    used: HashSet<(IpAddr, u16, IpAddr)>,
    block: Vec<u8>,
}

impl OpenFile {
    fn create(info: Arc<FileInfo>) -> io::Result<Self> {
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(true);
        // Only the user may read the messages.
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let output = BufWriter::with_capacity(BUFFER, options.open(&info.path)?);
        let secrets = if info.options.include_secrets {
            "Header fields with secrets are included."
        } else {
            "The values of Authorization, Proxy-Authorization, Cookie and Set-Cookie are replaced. URLs and messages \
             are not."
        };
        let mut block = Vec::new();
        pcapng::begin(
            &mut block,
            &format!(
                "WebSocket traffic above TLS and HTTP/2, as synthetic TCP connections to port {HTTP_PORT}. {secrets}"
            ),
        );
        let mut file = Self {
            info,
            output,
            written: 0,
            packets: 0,
            lost: Lost::default(),
            is_full: false,
            conversations: HashMap::new(),
            used: HashSet::new(),
            block,
        };
        file.write_block()?;
        Ok(file)
    }

    fn record(&mut self, record: &Record) -> Result<(), End> {
        let Record { connection, time, lost, content } = record;
        let time = *time;
        let mut conversation = match self.conversations.remove(&connection.number) {
            Some(conversation) => conversation,
            None => self.open(connection, time)?,
        };
        for (direction, lost) in [Direction::Sent, Direction::Received].into_iter().zip(lost) {
            if lost.records > 0 {
                self.lost.records += lost.records;
                self.lost.bytes += lost.bytes;
                conversation.lose(direction, *lost);
            }
        }
        let mut result = Ok(());
        let mut sink = |packet: &Packet<'_>| {
            if result.is_ok() {
                result = self.packet(packet);
            }
        };
        match content {
            Content::Opened => {}
            Content::Bytes { direction, bytes, first_unit, notes } => {
                conversation.bytes(*direction, bytes, *first_unit, notes, time, &mut sink);
            }
            Content::Ended(ending) => conversation.end(ending, time, &mut sink),
        }
        if !matches!(content, Content::Ended(_)) {
            self.conversations.insert(connection.number, conversation);
        }
        result
    }

    fn open(&mut self, connection: &Captured, time: Duration) -> Result<Conversation, End> {
        let (own, server) = (connection.client, connection.server);
        let (client_ip, server_ip) = (own.ip().to_canonical(), server.ip().to_canonical());
        let port = self.unused_port(client_ip, own.port(), server_ip);
        let mut description = format!("{}; {own} to {server}", connection.description);
        if port != own.port() {
            description.push_str("; the client's port is replaced, as another connection has it");
        }
        let client = SocketAddr::new(client_ip, port);
        let server = SocketAddr::new(server_ip, HTTP_PORT);
        let mut conversation = Conversation::new(client, server, self.info.options.include_secrets);
        let mut result = Ok(());
        conversation.open(time, &description, &mut |packet| {
            if result.is_ok() {
                result = self.packet(packet);
            }
        });
        result.map(|()| conversation)
    }

    /// A port that no connection in the file has, so that viewers tell them apart.
    fn unused_port(&mut self, client: IpAddr, port: u16, server: IpAddr) -> u16 {
        let ports = std::iter::once(port).chain(DYNAMIC_PORTS);
        let mut unused = ports.filter(|port| !self.used.contains(&(client, *port, server)));
        let port = unused.next().unwrap_or(port);
        self.used.insert((client, port, server));
        port
    }

    fn packet(&mut self, packet: &Packet<'_>) -> Result<(), End> {
        self.block.clear();
        pcapng::packet(&mut self.block, packet);
        let limit = self.info.options.max_file_bytes;
        if limit > 0 && self.written + self.block.len() as u64 + RESERVE > limit {
            self.is_full = true;
            return Err(End::Full);
        }
        self.packets += 1;
        self.write_block().map_err(End::Failed)
    }

    fn finish(&mut self) -> io::Result<()> {
        let Lost { records, bytes } = self.lost;
        let comment = format!("{bytes} bytes in {records} reads and writes were not captured");
        self.block.clear();
        let packets = self.packets + records;
        pcapng::statistics(&mut self.block, unix_time(), packets, records, &comment);
        self.write_block()?;
        self.output.flush()
    }

    fn write_block(&mut self) -> io::Result<()> {
        self.written += self.block.len() as u64;
        self.output.write_all(&self.block)
    }
}
