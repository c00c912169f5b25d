//! What waits for a worker, and how it is woken.

use std::io;
use std::sync::Arc;
use std::time::Instant;

use mio::{Poll, Token, Waker};

use super::super::hub;
use super::super::lock;
use super::super::socket::Shared;
use crate::logging::{self, LogLevel};
use crate::sync::Mutex;
use crate::sync::atomic::{AtomicBool, Ordering};

/// Of the waker, among the worker's readiness events.
pub(super) const WAKE: Token = Token(usize::MAX);

/// The worker's letter box.
pub struct Inbox {
    /// Of the worker, among those of the library.
    number: usize,
    /// None once the worker has ended.
    post: Mutex<Option<Post>>,
    /// The worker waits, or is about to, and must be woken.
    sleeping: AtomicBool,
    waker: Box<Wake>,
}

/// What has come in.
#[derive(Default)]
struct Post {
    sockets: Vec<Arc<Shared>>,
    orders: Orders,
}

/// What is for the worker as a whole.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Orders {
    /// The worker is to end by then.
    pub stop: Option<Instant>,
    pub news: News,
}

/// What the host says of the machine that it runs on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct News {
    /// The process is about to sleep, or has woken up.
    pub suspended: Option<bool>,
    /// Connections may have died without a sign.
    pub look_alive: bool,
}

/// Ends the worker's wait for the network, or the next one if it does not wait now.
pub type Wake = dyn Fn() -> io::Result<()> + Send + Sync;

impl Inbox {
    pub fn new(number: usize) -> io::Result<(Arc<Self>, Poll)> {
        let poll = Poll::new()?;
        let waker = Waker::new(poll.registry(), WAKE)?;
        Ok((Arc::new(Self::with_waker(number, Box::new(move || waker.wake()))), poll))
    }

    pub fn with_waker(number: usize, waker: Box<Wake>) -> Self {
        Self { number, post: Mutex::new(Some(Post::default())), sleeping: AtomicBool::new(false), waker }
    }

    pub fn number(&self) -> usize {
        self.number
    }

    /// Something waits in the socket's `to_worker`. False if the worker has ended.
    pub fn put(&self, socket: Arc<Shared>) -> bool {
        self.post(|post| post.sockets.push(socket))
    }

    /// The worker is to end by then.
    pub fn stop(&self, deadline: Instant) {
        self.post(|post| post.orders.stop = Some(deadline));
    }

    /// For every connection of the worker. What was not heard yet is summed up.
    pub fn tell(&self, news: News) {
        self.post(|post| {
            let told = &mut post.orders.news;
            told.suspended = news.suspended.or(told.suspended);
            told.look_alive |= news.look_alive;
        });
    }

    fn post(&self, put: impl FnOnce(&mut Post)) -> bool {
        match &mut *lock(&self.post) {
            Some(post) => put(post),
            None => return false,
        }
        self.wake();
        true
    }

    fn wake(&self) {
        if self.sleeping.swap(false, Ordering::SeqCst)
            && let Err(error) = (self.waker)()
        {
            logging::write(LogLevel::Error, 0, "", format_args!("a worker could not be woken: {error}"));
        }
    }

    // ---------------------------------------------------------------- the worker's side

    /// Swaps the sockets that have come in against an empty list, and takes the orders.
    pub fn take(&self, sockets: &mut Vec<Arc<Shared>>) -> Orders {
        let mut post = lock(&self.post);
        let Some(post) = &mut *post else { return Orders::default() };
        std::mem::swap(&mut post.sockets, sockets);
        std::mem::take(&mut post.orders)
    }

    /// The worker is about to wait, and wants to be woken. False if something has come in already.
    pub fn may_sleep(&self) -> bool {
        // Here and in `awake` swaps, as in `wake`: all three come one after the other, for every thread.
        self.sleeping.swap(true, Ordering::SeqCst);
        self.is_empty()
    }

    /// The worker waits no longer.
    pub fn awake(&self) {
        self.sleeping.swap(false, Ordering::SeqCst);
    }

    pub(super) fn is_empty(&self) -> bool {
        let post = lock(&self.post);
        post.as_ref().is_none_or(|post| post.sockets.is_empty() && post.orders == Orders::default())
    }

    /// The worker has ended. What it has not looked at, and will not, is seen to here.
    pub fn close(&self) {
        let post = lock(&self.post).take();
        for socket in post.into_iter().flat_map(|post| post.sockets) {
            unattended(socket);
        }
    }
}

/// A socket has something for its worker, which has ended: only that it is destroyed matters.
pub fn unattended(socket: Arc<Shared>) {
    socket.take_notification();
    let wishes = lock(&socket.to_worker).wishes.take();
    let destroyed = wishes.is_some_and(|wishes| wishes.destroy.is_some());
    if destroyed {
        finish(socket);
    }
}

/// The last that is done of a socket: its finalizer runs where its callbacks did.
pub(super) fn finish(socket: Arc<Shared>) {
    if socket.polls() {
        socket.hub.clone().finalize_later(socket);
    } else {
        hub::finalize(&socket);
    }
}

/// Closes the inbox however the worker ends.
pub(super) struct Attended(pub(super) Arc<Inbox>);

impl Drop for Attended {
    fn drop(&mut self) {
        self.0.close();
    }
}
