//! Handing events over to the game, on the thread that asks.
//!
//! The sockets that have events stand in a line. Each gets a few delivered and goes to the end of
//! it, and the next call goes on where the last one stopped, so a flooded socket never starves a
//! quiet one. While a callback runs nothing is locked that anybody waits for.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::callbacks::{Callbacks, Inside};
use super::event::{Event, EventKind, Letter};
use super::hub::{self, Hub};
use super::lock;
use super::mailbox::Delivery;
use super::run::Run;
use super::socket::{Shared, Socket};
use crate::buffer::Segment;
use crate::fault;
use crate::limits::{EVENT_OVERHEAD, EVENTS_PER_TURN};
use crate::session::MessageType;
use crate::sync::atomic::Ordering;

/// While callbacks take less than this on average, the clock is read once in several of them.
const QUICK_CALLBACK: Duration = Duration::from_micros(2);
const EVENTS_PER_LOOK_AT_THE_CLOCK: u32 = 8;

/// Events that were taken and are charged for this much are settled: sixteen small ones together, and
/// large ones at once, for which the worker waits.
const SETTLE_AT: usize = 16 * 2 * EVENT_OVERHEAD;

/// What a call may still do. A limit of 0 is none.
pub struct Budget {
    events: usize,
    ends: Option<Instant>,
    last_look: Option<Instant>,
    since_look: u32,
    look_every: u32,
}

impl Budget {
    /// At most `events`, or what waits when the call begins: what arrives meanwhile must not keep
    /// it for ever.
    pub fn new(max_events: u32, max_microseconds: u32, waiting: usize) -> Self {
        let started = (max_microseconds > 0).then(Instant::now);
        Self {
            events: if max_events == 0 { waiting } else { waiting.min(max_events as usize) },
            ends: started.map(|now| now + Duration::from_micros(max_microseconds.into())),
            last_look: started,
            since_look: 0,
            look_every: 1,
        }
    }

    /// The time is over.
    fn is_late(&self) -> bool {
        self.ends.is_some_and(|ends| Instant::now() >= ends)
    }

    fn is_spent(&self) -> bool {
        self.events == 0
    }

    /// One event less, and perhaps a look at the clock.
    fn spend(&mut self) {
        self.events -= 1;
        let (Some(ends), Some(last)) = (self.ends, self.last_look) else { return };
        self.since_look += 1;
        if self.since_look < self.look_every {
            return;
        }
        let now = Instant::now();
        let quick = now - last < QUICK_CALLBACK * self.since_look;
        self.look_every = if quick { EVENTS_PER_LOOK_AT_THE_CLOCK } else { 1 };
        (self.last_look, self.since_look) = (Some(now), 0);
        if now >= ends {
            self.events = 0;
        }
    }
}

/// Runs waiting callbacks within the budget; returns how many events were given to one.
pub fn poll(hub: &Arc<Hub>, max_events: u32, max_microseconds: u32) -> usize {
    let Some(_delivering) = hub.begin_delivery() else { return 0 };
    let mut budget = Budget::new(max_events, max_microseconds, hub::pending());
    hub.run_finalizers(|| budget.is_late());
    let mut ran = 0;
    // A socket that somebody else delivers from keeps its place without being waited for.
    let mut skipped = 0;
    while !budget.is_spent() && skipped <= hub.ready_len() {
        let Some(socket) = hub.next_ready() else { break };
        let _place = Place(&socket);
        match socket.mailbox.claim() {
            Some(mut delivery) => {
                let more = loop {
                    ran += deliver(&socket, &mut delivery, &mut budget, EVENTS_PER_TURN);
                    let more = delivery.has_more();
                    // Where nobody else waits the next turn is its own as well.
                    if !more || budget.is_spent() || hub.ready_len() > 0 || socket.is_destroyed() {
                        break more;
                    }
                };
                drop(delivery);
                if more {
                    hub.make_ready(&socket);
                }
            }
            None => {
                skipped += 1;
                hub.make_ready(&socket);
            }
        }
    }
    ran
}

/// The same for one socket.
pub fn poll_one(socket: &Arc<Shared>, max_events: u32, max_microseconds: u32) -> usize {
    let hub = socket.hub.clone();
    let Some(_delivering) = hub.begin_delivery() else { return 0 };
    let mut budget = Budget::new(max_events, max_microseconds, hub::pending());
    let _place = Place(socket);
    let Some(mut delivery) = socket.mailbox.claim() else { return 0 };
    let ran = deliver(socket, &mut delivery, &mut budget, usize::MAX);
    let more = delivery.has_more();
    drop(delivery);
    if more {
        hub.make_ready(socket);
    }
    ran
}

/// The next event of any socket, each in its turn.
pub fn next_event(hub: &Arc<Hub>) -> Option<Event> {
    let _delivering = hub.begin_delivery()?;
    hub.run_finalizers(|| false);
    let mut skipped = 0;
    while skipped <= hub.ready_len() {
        let socket = hub.rotate()?;
        // A panic leaves it in the line.
        let Some(mut delivery) = socket.mailbox.claim() else {
            skipped += 1;
            continue;
        };
        let event = take(&socket, &mut delivery);
        let more = delivery.has_more();
        drop(delivery);
        if !more {
            hub.leave(&socket);
        }
        if let Some(kind) = event {
            return Some(Event { socket: Socket(socket), kind });
        }
        skipped += 1;
    }
    None
}

/// The next events, at most so many, until `put` wants no more; returns how many it was given. Every
/// socket in its turn, in the same order as [`next_event`] would take them.
pub fn next_events(hub: &Arc<Hub>, at_most: usize, put: &mut dyn FnMut(Event) -> bool) -> usize {
    let Some(_delivering) = hub.begin_delivery() else { return 0 };
    hub.run_finalizers(|| false);
    // What arrives meanwhile must not keep the call for ever.
    let at_most = at_most.min(hub::pending());
    let mut taken = 0;
    let mut skipped = 0;
    while taken < at_most && skipped <= hub.ready_len() {
        let Some(socket) = hub.rotate() else { break };
        // A panic leaves it in the line.
        let Some(mut delivery) = socket.mailbox.claim() else {
            skipped += 1;
            continue;
        };
        // Where nobody else waits the next turn is its own as well.
        let turn = if hub.ready_len() > 1 { 1 } else { at_most - taken };
        let (put_now, goes_on) = take_several(&socket, &mut delivery, turn, put);
        let more = delivery.has_more();
        drop(delivery);
        if !more {
            hub.leave(&socket);
        }
        taken += put_now;
        skipped = if put_now > 0 { 0 } else { skipped + 1 };
        if !goes_on {
            break;
        }
    }
    taken
}

/// The next events of one socket, likewise.
pub fn next_events_of(socket: &Arc<Shared>, at_most: usize, put: &mut dyn FnMut(Event) -> bool) -> usize {
    let hub = socket.hub.clone();
    let Some(_delivering) = hub.begin_delivery() else { return 0 };
    let Some(mut delivery) = socket.mailbox.claim() else { return 0 };
    take_several(socket, &mut delivery, at_most.min(hub::pending()), put).0
}

/// How many were taken, and whether `put` wants more.
fn take_several(
    socket: &Arc<Shared>,
    delivery: &mut Delivery<'_>,
    at_most: usize,
    put: &mut dyn FnMut(Event) -> bool,
) -> (usize, bool) {
    let mut turn = Turn { socket, delivery };
    let mut taken = 0;
    while taken < at_most {
        let Some(kind) = turn.take() else { break };
        turn.settle_if_due();
        taken += 1;
        if !put(Event { socket: Socket(socket.clone()), kind }) {
            return (taken, false);
        }
    }
    (taken, true)
}

/// The next event of one socket.
pub fn next_event_of(socket: &Arc<Shared>) -> Option<Event> {
    let hub = socket.hub.clone();
    let _delivering = hub.begin_delivery()?;
    let mut delivery = socket.mailbox.claim()?;
    let kind = take(socket, &mut delivery)?;
    drop(delivery);
    Some(Event { socket: Socket(socket.clone()), kind })
}

fn deliver(socket: &Arc<Shared>, delivery: &mut Delivery<'_>, budget: &mut Budget, at_most: usize) -> usize {
    fault::point("engine.deliver");
    let mut turn = Turn { socket, delivery };
    let mut caller = Caller::new(socket, budget, at_most);
    let _inside = Inside::enter();
    while caller.goes_on() {
        match turn.next() {
            Some(Next::Messages(run)) => show_all(run, &mut turn, &mut caller),
            Some(Next::Event(event)) => {
                turn.settle_if_due();
                caller.call(|handle, callbacks| call(handle, callbacks, event));
            }
            None => break,
        }
    }
    caller.ran
}

/// Shows messages where they lie.
fn show_all(mut run: Run, turn: &mut Turn<'_, '_>, caller: &mut Caller<'_>) {
    while let Some(place) = run.first() {
        if !caller.goes_on() || turn.socket.is_destroyed() {
            turn.delivery.put_back(run);
            return;
        }
        turn.delivery.owe(place.charge());
        turn.settle_if_due();
        caller.call(|handle, callbacks| {
            show(handle, callbacks, place.message_type, run.payload(place), || run.segment(place))
        });
        run.drop_first(place);
    }
}

/// Calls the callbacks of one socket, as long as it may.
struct Caller<'a> {
    handle: Socket,
    callbacks: Arc<Callbacks>,
    version: u32,
    budget: &'a mut Budget,
    left: usize,
    ran: usize,
}

impl<'a> Caller<'a> {
    fn new(socket: &Arc<Shared>, budget: &'a mut Budget, at_most: usize) -> Self {
        // The version first: at worst the callbacks are newer, and are fetched once more.
        let version = socket.callbacks_version();
        let callbacks = socket.callbacks();
        Self { handle: Socket(socket.clone()), callbacks, version, budget, left: at_most, ran: 0 }
    }

    fn goes_on(&self) -> bool {
        self.left > 0 && !self.budget.is_spent()
    }

    #[inline]
    fn call(&mut self, call: impl FnOnce(&Socket, &Callbacks) -> bool) {
        let socket = &self.handle.0;
        if socket.callbacks_version() != self.version {
            self.version = socket.callbacks_version();
            self.callbacks = socket.callbacks();
        }
        // The others' events come behind a callback that panics.
        let called = catch_unwind(AssertUnwindSafe(|| call(&self.handle, &self.callbacks)));
        self.ran += usize::from(called.unwrap_or_else(|_| {
            socket.fault("a callback panicked");
            true
        }));
        self.budget.spend();
        self.left -= 1;
    }
}

/// A socket that was taken out of the line. A panic that passes by puts it back, as nobody else would
/// before its next event.
struct Place<'a>(&'a Arc<Shared>);

impl Drop for Place<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.hub.make_ready(self.0);
        }
    }
}

/// Takes the oldest event.
fn take(socket: &Arc<Shared>, delivery: &mut Delivery<'_>) -> Option<EventKind> {
    Turn { socket, delivery }.take()
}

/// Events of one socket that are taken one after the other and settled together: at the latest when
/// this is dropped, which a callback that panics does as well.
struct Turn<'a, 'b> {
    socket: &'a Arc<Shared>,
    delivery: &'a mut Delivery<'b>,
}

/// What comes next of a socket.
enum Next {
    /// At least one, none of them taken yet.
    Messages(Run),
    Event(EventKind),
}

impl Turn<'_, '_> {
    /// What is oldest, unless the socket was destroyed.
    #[inline]
    fn next(&mut self) -> Option<Next> {
        if self.socket.is_destroyed() {
            hub::settled(self.delivery.discard());
            return None;
        }
        loop {
            match self.delivery.next()? {
                Letter::Event(event) => return Some(Next::Event(event)),
                Letter::Run(run) => return Some(Next::Messages(run)),
                Letter::Mark { attempt } => {
                    self.settle();
                    lock(&self.socket.to_worker).wish().caught_up = attempt;
                    self.socket.notify();
                }
            }
        }
    }

    /// The oldest event.
    #[inline]
    fn take(&mut self) -> Option<EventKind> {
        match self.next()? {
            Next::Event(event) => Some(event),
            Next::Messages(mut run) => {
                let place = run.first()?;
                self.delivery.owe(place.charge());
                let event = run.take_first(place);
                self.delivery.put_back(run);
                Some(event)
            }
        }
    }

    #[inline]
    fn settle_if_due(&mut self) {
        if self.delivery.owes() >= SETTLE_AT {
            self.settle();
        }
    }

    /// Lets the worker read on if it had stopped for lack of room.
    #[inline]
    fn settle(&mut self) {
        let count = self.delivery.settle();
        if count == 0 {
            return;
        }
        hub::settled(count);
        if self.socket.resumes() {
            self.socket.notify();
        }
    }
}

impl Drop for Turn<'_, '_> {
    fn drop(&mut self) {
        self.settle();
    }
}

/// Calls what is registered for a message; whether anything was. Where many are shown one after the other,
/// the caller is [`Inside`] for all of them.
#[inline]
pub(super) fn show(
    socket: &Socket,
    callbacks: &Callbacks,
    message_type: MessageType,
    payload: &[u8],
    segment: impl FnOnce() -> Segment,
) -> bool {
    match message_type {
        MessageType::Text => {
            // Checked by the session, which says so in the message's type; a failure here would be
            // a fault of ours, and an empty text is the harmless way to show it.
            let text = callbacks.text.as_ref();
            let text = text.map(|f| f(socket, simdutf8::basic::from_utf8(payload).unwrap_or_default()));
            let shown = callbacks.text_segment.as_ref().map(|f| f(socket, &segment()));
            text.is_some() || shown.is_some()
        }
        MessageType::Binary => {
            let bytes = callbacks.binary.as_ref().map(|f| f(socket, payload));
            let shown = callbacks.binary_no_alloc.as_ref().map(|f| f(socket, &segment()));
            bytes.is_some() || shown.is_some()
        }
    }
}

/// Calls what is registered for an event; whether anything was.
pub(super) fn call(socket: &Socket, callbacks: &Callbacks, event: EventKind) -> bool {
    let _inside = Inside::enter();
    match event {
        EventKind::Open => callbacks.open.as_ref().map(|f| f(socket)).is_some(),
        EventKind::Text(payload) => {
            show(socket, callbacks, MessageType::Text, payload.as_slice(), || payload.clone())
        }
        EventKind::Binary(payload) => {
            show(socket, callbacks, MessageType::Binary, payload.as_slice(), || payload.clone())
        }
        EventKind::IncompleteFrame(frame) => {
            callbacks.incomplete_frame.as_ref().map(|f| f(socket, &frame)).is_some()
        }
        EventKind::Request(request) => {
            let called = callbacks.request.as_ref().map(|f| f(socket, &request)).is_some();
            request.finish();
            called
        }
        EventKind::Pong(payload) => callbacks.pong.as_ref().map(|f| f(socket, payload.as_slice())).is_some(),
        EventKind::Reconnecting { error, attempt, delay_ms } => {
            callbacks.reconnecting.as_ref().map(|f| f(socket, &error, attempt, delay_ms)).is_some()
        }
        EventKind::Closed { code, reason } => {
            callbacks.closed.as_ref().map(|f| f(socket, code, &reason)).is_some()
        }
        EventKind::Error(error) => callbacks.error.as_ref().map(|f| f(socket, &error)).is_some(),
    }
}

/// Destroys a socket's events and lets nothing more of it be delivered.
pub fn shut(socket: &Arc<Shared>) {
    socket.destroyed.store(true, Ordering::SeqCst);
    hub::settled(socket.mailbox.shut());
    let pings = lock(&socket.to_worker).wishes.as_mut().map(|wishes| std::mem::take(&mut wishes.user_pings));
    drop(pings);
}
