//! Leases that the library ends while callers retain, release and take them.

use super::{check, thread};
use crate::buffer::lease::{self, Leased};
use crate::buffer::{self, Segment};
use crate::handles::nth;

/// A lease without the raw pointer, which is not `Send`.
#[derive(Clone, Copy)]
struct Lease {
    data: usize,
    offset: usize,
    count: usize,
    id: u64,
}

fn create(bytes: &[u8]) -> Lease {
    let Leased { data, offset, count, id } = lease::create(Segment::copy_of(bytes).unwrap()).unwrap();
    Lease { data: data as usize, offset, count, id }
}

fn take(info: Lease) -> Option<Segment> {
    lease::take(info.id, info.data as *const u8, info.offset, info.count).ok()
}

fn assert_no_leaks() {
    let stats = buffer::stats();
    assert_eq!((stats.leases, stats.blocks_in_use, stats.bytes_in_use), (0, 0, 0));
    buffer::trim();
    assert_eq!(buffer::stats().bytes_free, 0);
}

#[test]
fn lease_ends_when_all_references_are_released() {
    check(|| {
        let info = create(b"abc");
        lease::retain(info.id).unwrap();
        let library = thread::spawn(move || lease::end(info.id));
        let releaser = thread::spawn(move || lease::release(info.id).unwrap());
        let retainer = thread::spawn(move || {
            // Fails without effect if the others have released the lease.
            lease::retain(info.id).is_ok().then(|| take(info).unwrap().as_slice().to_vec())
        });
        library.join().unwrap();
        releaser.join().unwrap();
        let kept = retainer.join().unwrap();
        assert!(kept.is_none_or(|bytes| bytes == b"abc"));
        assert!(lease::retain(info.id).is_err());
        assert_no_leaks();
    });
}

#[test]
fn one_reference_is_released_once() {
    check(|| {
        let info = create(b"abc");
        lease::retain(info.id).unwrap();
        let consumers = [(); 2].map(|()| thread::spawn(move || take(info).is_some()));
        let releaser = thread::spawn(move || lease::release(info.id).is_ok());
        lease::end(info.id);
        let taken = consumers.map(|consumer| consumer.join().unwrap());
        let released = releaser.join().unwrap();
        assert_eq!([taken[0], taken[1], released].iter().filter(|released| **released).count(), 1);
        assert_no_leaks();
    });
}

#[test]
fn segments_of_a_group_are_released_separately() {
    check(|| {
        let mut ranges = [(0, 0); lease::MAX_GROUP];
        (ranges[0], ranges[1]) = ((0, 3), (3, 6));
        let first = lease::create_group(Segment::copy_of(b"onetwo").unwrap(), 2, ranges).unwrap();
        let (one, data, offset) = (first.id, first.data as usize, first.offset);
        let two = Lease { data, offset: offset + 3, count: 3, id: nth(one, 1) };
        lease::retain(one).unwrap();
        let library = thread::spawn(move || lease::end_several(one, 2));
        let releaser = thread::spawn(move || lease::release(one).is_ok());
        let keeper = thread::spawn(move || {
            // Fails without effect if the library has ended it.
            lease::retain(two.id).is_ok().then(|| take(two).unwrap().as_slice().to_vec())
        });
        library.join().unwrap();
        assert!(releaser.join().unwrap());
        assert!(keeper.join().unwrap().is_none_or(|bytes| bytes == b"two"));
        assert!(lease::retain(one).is_err() && lease::retain(two.id).is_err());
        assert_no_leaks();
    });
}
