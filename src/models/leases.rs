//! Leases that the library ends while callers retain, release and take them.

use super::{check, thread};
use crate::buffer::lease::{self, Leased};
use crate::buffer::{self, Segment};

/// A raw pointer does not cross threads by itself.
#[derive(Clone, Copy)]
struct Shown {
    data: usize,
    offset: usize,
    count: usize,
    id: u64,
}

fn grant(bytes: &[u8]) -> Shown {
    let Leased { data, offset, count, id } = lease::grant(Segment::copy_of(bytes).unwrap()).unwrap();
    Shown { data: data as usize, offset, count, id }
}

fn take(shown: Shown) -> Option<Segment> {
    lease::take(shown.id, shown.data as *const u8, shown.offset, shown.count).ok()
}

fn assert_that_nothing_is_left() {
    let stats = buffer::stats();
    assert_eq!((stats.leases, stats.blocks_in_use, stats.bytes_in_use), (0, 0, 0));
    buffer::trim();
    assert_eq!(buffer::stats().bytes_free, 0);
}

#[test]
fn a_lease_lives_until_all_have_let_go() {
    check(|| {
        let shown = grant(b"abc");
        lease::retain(shown.id).unwrap();
        let library = thread::spawn(move || lease::end(shown.id));
        let releaser = thread::spawn(move || lease::release(shown.id).unwrap());
        let keeper = thread::spawn(move || {
            // Too late once the others are through; then it is refused and nothing else happens.
            lease::retain(shown.id).is_ok().then(|| take(shown).unwrap().as_slice().to_vec())
        });
        library.join().unwrap();
        releaser.join().unwrap();
        let kept = keeper.join().unwrap();
        assert!(kept.is_none_or(|bytes| bytes == b"abc"));
        assert!(lease::retain(shown.id).is_err());
        assert_that_nothing_is_left();
    });
}

#[test]
fn one_hold_is_given_up_once() {
    check(|| {
        let shown = grant(b"abc");
        lease::retain(shown.id).unwrap();
        let takers = [(); 2].map(|()| thread::spawn(move || take(shown).is_some()));
        let releaser = thread::spawn(move || lease::release(shown.id).is_ok());
        lease::end(shown.id);
        let taken = takers.map(|taker| taker.join().unwrap());
        let released = releaser.join().unwrap();
        assert_eq!([taken[0], taken[1], released].iter().filter(|given_up| **given_up).count(), 1);
        assert_that_nothing_is_left();
    });
}
