//! Network emulation: packets are lost, delayed and reordered.
//!
//! ```text
//!   10.9.0.1 ──to 10.9.0.2──> TUN device ──loss, delay──> from 10.9.0.2 ──> 10.9.0.1
//! ```
//!
//! Packets to the peer's address come back from it, so a server on this machine is reached through the
//! device, in both directions.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::fd::AsRawFd;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

/// The address of this machine, and the one that is reached through the device.
pub const OWN: &str = "10.9.0.1";
pub const PEER: &str = "10.9.0.2";

const DEVICE: &str = "netem0";
/// From linux/if_tun.h.
const TUNSETIFF: libc::c_ulong = 0x4004_54CA;
const IFF_TUN: libc::c_short = 1;
const IFF_NO_PI: libc::c_short = 0x1000;

/// Impairments: packets lost per thousand, the delay of the others, and random delay on top.
#[derive(Clone, Copy, Default)]
pub struct Impairments {
    pub lost: u64,
    pub delay: Duration,
    pub jitter: Duration,
}

/// Packets with their due times, the earliest first.
type Packets = BinaryHeap<Reverse<(Instant, u64, Vec<u8>)>>;

#[derive(Default)]
struct Shared {
    impairments: Mutex<Impairments>,
    packets: Mutex<Packets>,
    arrived: Condvar,
    delivered: AtomicU64,
    lost: AtomicU64,
    reordered: AtomicU64,
}

/// An emulated network, until the process ends.
pub struct Netem(Arc<Shared>);

impl Netem {
    /// Creates the device, in the test's own network namespace.
    pub fn begin(impairments: Impairments) -> io::Result<Self> {
        let device = open()?;
        for arguments in [&["addr", "add", "10.9.0.1/24", "dev", DEVICE][..], &["link", "set", DEVICE, "up"]]
        {
            super::run("ip", arguments, "");
        }
        let shared = Arc::new(Shared { impairments: Mutex::new(impairments), ..Shared::default() });
        let (own, reader) = (shared.clone(), device.try_clone()?);
        std::thread::spawn(move || own.read_packets(reader));
        let own = shared.clone();
        std::thread::spawn(move || own.write_packets(device));
        Ok(Self(shared))
    }

    pub fn change(&self, impairments: Impairments) {
        *self.0.impairments.lock().expect("no thread panics while it holds the lock") = impairments;
    }

    /// Packets delivered, lost, and reordered.
    pub fn counts(&self) -> (u64, u64, u64) {
        let load = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        (load(&self.0.delivered), load(&self.0.lost), load(&self.0.reordered))
    }
}

impl Shared {
    /// Reads packets that the system sends.
    fn read_packets(&self, mut device: File) {
        let (mut buffer, mut random, mut number, mut latest) = (vec![0; 65_536], 1u64, 0, Instant::now());
        while let Ok(len) = device.read(&mut buffer) {
            let packet = &mut buffer[..len];
            // IPv4 only. Swapping the addresses leaves both checksums valid.
            if len < 20 || packet[0] >> 4 != 4 {
                continue;
            }
            let (source, destination) = packet[12..20].split_at_mut(4);
            source.swap_with_slice(destination);
            // Marsaglia's xorshift.
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            let impairments = *self.impairments.lock().expect("no thread panics while it holds the lock");
            if (random >> 16) % 1000 < impairments.lost {
                self.lost.fetch_add(1, Ordering::Relaxed);
                continue;
            }
            let span = impairments.jitter.as_micros() as u64 + 1;
            let due = Instant::now() + impairments.delay + Duration::from_micros((random >> 32) % span);
            if due < latest {
                self.reordered.fetch_add(1, Ordering::Relaxed);
            }
            latest = latest.max(due);
            number += 1;
            self.packets.lock().expect("no thread panics while it holds the lock").push(Reverse((
                due,
                number,
                packet.to_vec(),
            )));
            self.arrived.notify_one();
        }
    }

    /// Writes due packets back to the system.
    fn write_packets(&self, mut device: File) {
        let mut packets = self.packets.lock().expect("no thread panics while it holds the lock");
        loop {
            let now = Instant::now();
            let wait = match packets.peek() {
                Some(Reverse((due, ..))) if *due <= now => {
                    let Some(Reverse((.., packet))) = packets.pop() else { continue };
                    // A packet that the system rejects counts as lost.
                    let _ = device.write(&packet);
                    self.delivered.fetch_add(1, Ordering::Relaxed);
                    continue;
                }
                Some(Reverse((due, ..))) => *due - now,
                None => Duration::from_secs(1),
            };
            packets =
                self.arrived.wait_timeout(packets, wait).expect("no thread panics while it holds the lock").0;
        }
    }
}

fn open() -> io::Result<File> {
    #[repr(C)]
    struct Request {
        name: [u8; libc::IFNAMSIZ],
        flags: libc::c_short,
        /// As long as the kernel's `struct ifreq`.
        rest: [u8; 22],
    }
    let device = OpenOptions::new().read(true).write(true).open("/dev/net/tun")?;
    let mut request = Request { name: [0; libc::IFNAMSIZ], flags: IFF_TUN | IFF_NO_PI, rest: [0; 22] };
    request.name[..DEVICE.len()].copy_from_slice(DEVICE.as_bytes());
    // SAFETY: the device is open, and the request has the size that the call expects and outlives it.
    let made = unsafe { libc::ioctl(device.as_raw_fd(), TUNSETIFF as _, &mut request) };
    if made < 0 { Err(io::Error::last_os_error()) } else { Ok(device) }
}
