//! Blocks whose last reference may be dropped by any thread.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::{check, thread};
use crate::buffer::{self, Segment};

/// A segment that counts its readers.
struct Read {
    segment: Segment,
    readers: Arc<AtomicUsize>,
}

impl Drop for Read {
    fn drop(&mut self) {
        // Its contents have not changed.
        assert!(self.segment.as_slice().iter().all(|byte| *byte == self.segment.as_slice()[0]));
        self.readers.fetch_sub(1, Ordering::SeqCst);
    }
}

#[test]
fn block_is_reused_only_without_readers() {
    check(|| {
        let mut writer = buffer::take(1024).unwrap();
        let readers = Arc::new(AtomicUsize::new(0));
        let mut threads = Vec::new();
        for turn in 1..=3u8 {
            if writer.reclaim() {
                assert_eq!(readers.load(Ordering::SeqCst), 0);
            }
            let start = writer.filled();
            writer.put(&[turn; 8]);
            readers.fetch_add(1, Ordering::SeqCst);
            let read = Read { segment: writer.segment(start, start + 8), readers: readers.clone() };
            threads.push(thread::spawn(move || {
                let part = read.segment.slice(2, 4);
                drop(read);
                part.as_slice()[0]
            }));
        }
        drop(writer);
        for (turn, thread) in (1..).zip(threads) {
            assert_eq!(thread.join().unwrap(), turn);
        }
        assert_eq!(buffer::stats().blocks_in_use, 0);
        assert_eq!(buffer::stats().blocks_free, 1, "the block was returned once");
        buffer::trim();
    });
}

#[test]
fn only_one_of_two_references_becomes_exclusive() {
    check(|| {
        let segment = Segment::copy_of(b"abcdef").unwrap();
        let threads = [(b'x', segment.slice(0, 3)), (b'y', segment)].map(|(letter, part)| {
            thread::spawn(move || match part.into_exclusive() {
                Ok(mut exclusive) => {
                    exclusive.as_mut_slice().fill(letter);
                    thread::yield_now();
                    exclusive.freeze().as_slice().iter().all(|byte| *byte == letter)
                }
                Err(shared) => {
                    let before = shared.as_slice().to_vec();
                    thread::yield_now();
                    before.starts_with(b"abc") && shared.as_slice() == before
                }
            })
        });
        for thread in threads {
            assert!(thread.join().unwrap());
        }
        assert_eq!(buffer::stats().blocks_free, 1);
        buffer::trim();
    });
}

#[test]
fn pool_counters_match_blocks() {
    check(|| {
        let threads = [1000, 2000, 1000].map(|size| {
            thread::spawn(move || {
                let mut writer = buffer::take(size).unwrap();
                writer.put(b"abc");
                let segment = writer.segment(0, 3);
                drop(writer);
                assert_eq!(segment.as_slice(), b"abc");
            })
        });
        buffer::trim();
        for thread in threads {
            thread.join().unwrap();
        }
        let stats = buffer::stats();
        assert_eq!((stats.blocks_in_use, stats.bytes_in_use), (0, 0));
        assert!(stats.blocks_free <= stats.allocations);
        buffer::trim();
        let stats = buffer::stats();
        assert_eq!((stats.blocks_free, stats.bytes_free), (0, 0));
    });
}
