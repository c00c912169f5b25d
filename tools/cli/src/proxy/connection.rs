//! One connection: two flows between the client and the target.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use framewire::LinkCut;
use serde_json::json;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, Interest};
use tokio::net::TcpStream;
use tokio::sync::{Semaphore, mpsc};
use tokio::time::sleep_until;

use super::Shared;
use super::model::{Direction, Flow, round_trip};
use super::target::replace_host;
use crate::diagnose::tls;
use crate::output::{BAD, GOOD, WARNING};
use crate::plot::thousands;
use crate::values::show;

/// The bytes that move at once.
const CHUNK: usize = 16 << 10;
/// The bytes in flight in each direction: 280 Mbit/s at 120 ms.
const IN_FLIGHT: usize = 4 << 20;
/// A request head.
const MAX_HEAD: usize = 64 << 10;
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(20);

/// What the flows of a connection share.
#[derive(Default)]
struct Progress {
    /// Nothing moves.
    is_stalled: AtomicBool,
    /// What is read is dropped.
    is_half_open: AtomicBool,
    out: AtomicU64,
    input: AtomicU64,
}

/// Why a connection has ended.
enum End {
    Finished,
    Cut(&'static str),
}

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

pub async fn run(client: TcpStream, from: SocketAddr, number: u64, shared: Arc<Shared>) {
    let began = Instant::now();
    let progress = Arc::new(Progress::default());
    let ended = forward(client, number, &shared, &progress).await;
    let (out, input) = (progress.out.load(Ordering::Relaxed), progress.input.load(Ordering::Relaxed));
    let (how, why) = match &ended {
        Ok(End::Finished) => (GOOD, "ended".to_owned()),
        Ok(End::Cut(how)) => (WARNING, format!("cut: {how}")),
        Err(error) => (BAD, format!("failed: {error}")),
    };
    let text = format!(
        "{how}{why}{how:#} after {}, {} bytes out, {} bytes in",
        show(began.elapsed()),
        thousands(out),
        thousands(input)
    );
    let event = json!({
        "event": "ended", "connection": number, "client": from, "how": why, "seconds": began.elapsed().as_secs_f64(),
        "bytes_out": out, "bytes_in": input,
    });
    shared.report_connection(number, &text, event);
}

async fn forward(
    mut client: TcpStream,
    number: u64,
    shared: &Shared,
    progress: &Arc<Progress>,
) -> io::Result<End> {
    client.set_nodelay(true)?;
    let address = client.peer_addr()?;
    tokio::time::sleep(round_trip(&shared.conditions, Instant::now())).await;
    let (target, socket) = tokio::time::timeout(HANDSHAKE_TIMEOUT, dial(shared))
        .await
        .unwrap_or_else(|_| Err(io::Error::new(io::ErrorKind::TimedOut, "the target does not answer")))?;
    let text = format!("{GOOD}connected{GOOD:#} {address} to {}", shared.target.name);
    shared.report_connection(
        number,
        &text,
        json!({ "event": "connected", "connection": number, "client": address }),
    );
    let started = Instant::now();
    let (client_socket, target_socket) = (duplicate(&client)?, socket);
    let head = match &shared.target.host_field {
        Some(host) => replace_host(&read_head(&mut client).await?, host),
        None => Vec::new(),
    };
    let (client_read, client_write) = tokio::io::split(client);
    let (target_read, target_write) = tokio::io::split(target);
    let flow = |direction| Flow::new(&shared.conditions, direction, started);
    let out = pump(flow(Direction::Out), head, client_read, target_write, progress.clone(), Direction::Out);
    let input =
        pump(flow(Direction::In), Vec::new(), target_read, client_write, progress.clone(), Direction::In);
    let both = async { tokio::try_join!(out, input) };
    tokio::pin!(both);
    let cut_at = started + shared.cut_after;
    let cut = shared.conditions.cut;
    let is_cut = !matches!(cut, LinkCut::None | LinkCut::Refuse);
    tokio::select! {
        ended = &mut both => return ended.map(|_| End::Finished),
        () = sleep_until(cut_at.into()), if is_cut => {}
    }
    match cut {
        LinkCut::Reset => {
            // The reset is sent when the last descriptor is closed, at the end of this function.
            for socket in [&client_socket, &target_socket] {
                socket2::SockRef::from(socket).set_linger(Some(Duration::ZERO))?;
            }
            Ok(End::Cut("reset"))
        }
        LinkCut::End => {
            for socket in [&client_socket, &target_socket] {
                // Fails if that side has ended already.
                let _ = socket.shutdown(std::net::Shutdown::Write);
            }
            Ok(End::Cut("end"))
        }
        LinkCut::HalfOpen => {
            progress.is_half_open.store(true, Ordering::SeqCst);
            until_client_ends(client_socket, both).await.map(|()| End::Cut("half-open"))
        }
        _ => {
            progress.is_stalled.store(true, Ordering::SeqCst);
            until_client_ends(client_socket, both).await.map(|()| End::Cut("stall"))
        }
    }
}

/// Runs the flows of a connection on which nothing arrives any more until the client ends or resets it.
async fn until_client_ends<T>(
    client: std::net::TcpStream,
    flows: impl Future<Output = io::Result<T>>,
) -> io::Result<()> {
    let client = TcpStream::from_std(client)?;
    let has_ended = async {
        // What has arrived before the end stays unread, so that the client sees a stall.
        while !client.ready(Interest::READABLE).await?.is_read_closed() {
            let nothing = || Err::<(), _>(io::ErrorKind::WouldBlock.into());
            // Waits for the next change.
            let _ = client.try_io(Interest::READABLE, nothing);
        }
        Ok(())
    };
    tokio::select! {
        ended = has_ended => ended,
        ended = flows => ended.map(drop),
    }
}

/// Connects to the target. Returns the stream, and a second descriptor of its socket.
async fn dial(shared: &Shared) -> io::Result<(Box<dyn Stream>, std::net::TcpStream)> {
    let target = &shared.target;
    let stream = TcpStream::connect((target.host.as_str(), target.port)).await?;
    stream.set_nodelay(true)?;
    let socket = duplicate(&stream)?;
    if !target.is_secure {
        return Ok((Box::new(stream), socket));
    }
    let stream = tls::connect(&target.host, stream, &shared.tls).await.map_err(io::Error::other)?;
    Ok((Box::new(stream), socket))
}

#[cfg(unix)]
fn duplicate(stream: &TcpStream) -> io::Result<std::net::TcpStream> {
    use std::os::fd::AsFd;
    Ok(std::net::TcpStream::from(stream.as_fd().try_clone_to_owned()?))
}

#[cfg(windows)]
fn duplicate(stream: &TcpStream) -> io::Result<std::net::TcpStream> {
    use std::os::windows::io::AsSocket;
    Ok(std::net::TcpStream::from(stream.as_socket().try_clone_to_owned()?))
}

/// Reads a request head, and whatever has arrived with it.
async fn read_head(client: &mut TcpStream) -> io::Result<Vec<u8>> {
    let mut head = Vec::new();
    let read = async {
        while !head.windows(4).any(|end| end == b"\r\n\r\n") {
            let mut chunk = [0; 1024];
            let count = client.read(&mut chunk).await?;
            if count == 0 || head.len() > MAX_HEAD {
                return Err(io::Error::new(
                    io::ErrorKind::InvalidData,
                    "the client has sent no HTTP request",
                ));
            }
            head.extend_from_slice(&chunk[..count]);
        }
        Ok(())
    };
    tokio::time::timeout(HANDSHAKE_TIMEOUT, read)
        .await
        .unwrap_or_else(|_| Err(io::Error::new(io::ErrorKind::TimedOut, "the client has sent no request")))?;
    Ok(head)
}

/// Moves bytes in one direction until its end.
async fn pump(
    flow: Flow,
    head: Vec<u8>,
    reader: impl AsyncRead + Unpin,
    writer: impl AsyncWrite + Unpin,
    progress: Arc<Progress>,
    direction: Direction,
) -> io::Result<()> {
    let (sender, receiver) = mpsc::unbounded_channel();
    let flow = std::sync::Mutex::new(flow);
    // Bounds what the channel holds.
    let room = Semaphore::new(IN_FLIGHT);
    let read = read(&flow, &room, head, reader, sender, &progress);
    let write = write(&flow, &room, receiver, writer, &progress, direction);
    tokio::try_join!(read, write).map(drop)
}

/// Bytes in flight, and when they arrive.
type Chunk = (Instant, Vec<u8>);

async fn read(
    flow: &std::sync::Mutex<Flow>,
    room: &Semaphore,
    head: Vec<u8>,
    mut reader: impl AsyncRead + Unpin,
    chunks: mpsc::UnboundedSender<Chunk>,
    progress: &Progress,
) -> io::Result<()> {
    let mut buffer = vec![0; CHUNK];
    let mut head = io::Cursor::new(head);
    loop {
        while progress.is_stalled.load(Ordering::SeqCst) {
            std::future::pending::<()>().await;
        }
        let now = Instant::now();
        let allowed = lock(flow).room(CHUNK, now);
        let allowed = match allowed {
            Ok(allowed) => allowed,
            Err(at) => {
                sleep_until(at.into()).await;
                continue;
            }
        };
        let count = match AsyncReadExt::read(&mut head, &mut buffer[..allowed]).await? {
            0 => match reader.read(&mut buffer[..allowed]).await {
                // TLS without a close_notify alert, which is common, is an end too.
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => 0,
                read => read?,
            },
            count => count,
        };
        if progress.is_half_open.load(Ordering::SeqCst) {
            if count == 0 {
                // The end of the stream is lost too.
                std::future::pending::<()>().await;
            }
            continue;
        }
        let due = lock(flow).enter(count, Instant::now());
        let permits = u32::try_from(count).unwrap_or(u32::MAX);
        if let Ok(permit) = room.acquire_many(permits).await {
            permit.forget();
        }
        // An empty chunk is the end. Sending fails when writing has failed, which ends this too.
        if chunks.send((due, buffer[..count].to_vec())).is_err() || count == 0 {
            return Ok(());
        }
    }
}

async fn write(
    flow: &std::sync::Mutex<Flow>,
    room: &Semaphore,
    mut chunks: mpsc::UnboundedReceiver<Chunk>,
    mut writer: impl AsyncWrite + Unpin,
    progress: &Progress,
    direction: Direction,
) -> io::Result<()> {
    let moved = if direction == Direction::Out { &progress.out } else { &progress.input };
    while let Some((due, bytes)) = chunks.recv().await {
        sleep_until(due.into()).await;
        loop {
            let stall_end = lock(flow).stall_end(Instant::now());
            let Some(end) = stall_end else { break };
            sleep_until(end.into()).await;
        }
        if progress.is_stalled.load(Ordering::SeqCst) || progress.is_half_open.load(Ordering::SeqCst) {
            std::future::pending::<()>().await;
        }
        if bytes.is_empty() {
            break;
        }
        writer.write_all(&bytes).await?;
        writer.flush().await?;
        room.add_permits(bytes.len());
        moved.fetch_add(bytes.len() as u64, Ordering::Relaxed);
    }
    // Fails if the other side has ended the connection.
    let _ = writer.shutdown().await;
    Ok(())
}

fn lock(flow: &std::sync::Mutex<Flow>) -> std::sync::MutexGuard<'_, Flow> {
    flow.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}
