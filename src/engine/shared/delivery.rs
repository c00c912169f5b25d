//! Delivering events to the game, on the thread that calls.
//!
//! The sockets that have events are served round robin: each delivers a few and goes to the end of the list,
//! and the next call continues where the last one stopped, so a flooded socket does not starve the others.
//! While a callback runs, no lock is held that another thread waits for.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use super::budget::Budget;
use super::callbacks::Wants;
use super::dispatch::{call, call_message};
use super::event::EventKind;
use super::event_queue::{QueueReader, QueuedEvent};
use super::message_run::{MessageRun, TakeMessages};
use super::ready_list;
use super::socket::{Handler, ReadyList, Shared, Socket};
use crate::fault;
use crate::inside::Inside;
use crate::limits::{EVENT_OVERHEAD, EVENTS_PER_TURN};
use crate::sync::lock;

/// An event taken from the queue with [`next_event`](crate::next_event).
#[derive(Debug)]
#[non_exhaustive]
pub struct Event {
    /// The socket this event belongs to.
    pub socket: Socket,
    /// The event and its contents.
    pub kind: EventKind,
}

/// Taken events are settled when they are charged for this much: sixteen small ones together, large ones at
/// once, as the worker waits for their memory.
const SETTLE_AT: usize = 16 * 2 * EVENT_OVERHEAD;

/// Runs waiting callbacks within the budget. Returns the number of events that had a callback.
pub fn poll(ready_list: &Arc<ReadyList>, max_events: u32, max_microseconds: u32) -> usize {
    let Some(_delivering) = ready_list.begin_delivery() else { return 0 };
    let mut budget = Budget::new(max_events, max_microseconds, ready_list::pending());
    run_finalizers(ready_list, || budget.is_late());
    let mut ran = 0;
    // A socket that another thread delivers from keeps its place; nothing waits for it.
    let mut skipped = 0;
    while !budget.is_spent() && skipped <= ready_list.ready_len() {
        let Some(socket) = ready_list.next_ready() else { break };
        let _requeue = RequeueOnPanic(&socket);
        match socket.event_queue.reader() {
            Some(mut reader) => {
                let more = loop {
                    ran += deliver(&socket, &mut reader, &mut budget, EVENTS_PER_TURN);
                    let more = reader.has_more();
                    // If no other socket has events, this one continues.
                    if !more || budget.is_spent() || ready_list.ready_len() > 0 || socket.is_destroyed() {
                        break more;
                    }
                };
                drop(reader);
                if more {
                    ready_list.make_ready(&socket);
                }
            }
            None => {
                skipped += 1;
                ready_list.make_ready(&socket);
            }
        }
    }
    ran
}

/// As [`poll`], for one socket.
pub fn poll_one(socket: &Arc<Shared>, max_events: u32, max_microseconds: u32) -> usize {
    let ready_list = socket.ready_list.clone();
    let Some(_delivering) = ready_list.begin_delivery() else { return 0 };
    let mut budget = Budget::new(max_events, max_microseconds, ready_list::pending());
    let _requeue = RequeueOnPanic(socket);
    let Some(mut reader) = socket.event_queue.reader() else { return 0 };
    let ran = deliver(socket, &mut reader, &mut budget, usize::MAX);
    let more = reader.has_more();
    drop(reader);
    if more {
        ready_list.make_ready(socket);
    }
    ran
}

/// Takes the next event of any socket, round robin.
pub fn next_event(ready_list: &Arc<ReadyList>) -> Option<Event> {
    let _delivering = ready_list.begin_delivery()?;
    run_finalizers(ready_list, || false);
    let mut skipped = 0;
    while skipped <= ready_list.ready_len() {
        let socket = ready_list.rotate()?;
        // A panic leaves it in the list.
        let Some(mut reader) = socket.event_queue.reader() else {
            skipped += 1;
            continue;
        };
        let event = take(&socket, &mut reader);
        let more = reader.has_more();
        drop(reader);
        if !more {
            remove_if_empty(ready_list, &socket);
        }
        if let Some(kind) = event {
            return Some(Event { socket: Socket(socket), kind });
        }
        skipped += 1;
    }
    None
}

/// What [`next_events`] takes.
pub enum Taken<'a> {
    Event(EventKind),
    /// Consecutive messages of one block, of which those that are not taken stay in the queue.
    Messages(&'a mut TakeMessages),
}

/// Takes the next events, at most `at_most`, until `put` returns false, in the same order as [`next_event`].
/// Returns how many were taken. `put` takes at least one of the messages that it is given, or returns false.
pub fn next_events(
    ready_list: &Arc<ReadyList>,
    at_most: usize,
    put: &mut dyn FnMut(&Socket, Taken<'_>) -> bool,
) -> usize {
    let Some(_delivering) = ready_list.begin_delivery() else { return 0 };
    run_finalizers(ready_list, || false);
    // Events that arrive meanwhile must not keep the call running.
    let at_most = at_most.min(ready_list::pending());
    let mut taken = 0;
    let mut skipped = 0;
    while taken < at_most && skipped <= ready_list.ready_len() {
        let Some(socket) = ready_list.rotate() else { break };
        // A panic leaves it in the list.
        let Some(mut reader) = socket.event_queue.reader() else {
            skipped += 1;
            continue;
        };
        // If no other socket has events, this one continues.
        let turn = if ready_list.ready_len() > 1 { 1 } else { at_most - taken };
        let handle = Socket(socket.clone());
        let (put_now, accepts_more) = take_several(&handle, &mut reader, turn, put);
        let more = reader.has_more();
        drop(reader);
        if !more {
            remove_if_empty(ready_list, &socket);
        }
        taken += put_now;
        skipped = if put_now > 0 { 0 } else { skipped + 1 };
        if !accepts_more {
            break;
        }
    }
    taken
}

/// As [`next_events`], for one socket.
pub fn next_events_of(
    socket: &Socket,
    at_most: usize,
    put: &mut dyn FnMut(&Socket, Taken<'_>) -> bool,
) -> usize {
    let Some(_delivering) = socket.0.ready_list.begin_delivery() else { return 0 };
    let Some(mut reader) = socket.0.event_queue.reader() else { return 0 };
    take_several(socket, &mut reader, at_most.min(ready_list::pending()), put).0
}

/// Returns how many events were taken, and whether `put` accepts more.
fn take_several(
    socket: &Socket,
    reader: &mut QueueReader<'_>,
    at_most: usize,
    put: &mut dyn FnMut(&Socket, Taken<'_>) -> bool,
) -> (usize, bool) {
    let mut batch = Batch { socket: &socket.0, reader };
    let (mut taken, mut accepted_all) = (0, true);
    while taken < at_most {
        let (count, accepts_more) = match batch.next() {
            None => break,
            Some(Next::Event(event)) => {
                batch.settle_if_due();
                (1, put(socket, Taken::Event(event)))
            }
            Some(Next::Messages(run)) => {
                let messages = TakeMessages::new(run, at_most - taken);
                let mut taking = PutBackRest { reader: batch.reader, messages };
                let accepts_more = put(socket, Taken::Messages(&mut taking.messages));
                let count = taking.messages.taken;
                drop(taking);
                batch.settle_if_due();
                (count, accepts_more && count > 0)
            }
        };
        taken += count;
        if !accepts_more {
            accepted_all = false;
            break;
        }
    }
    if socket.0.is_destroyed() {
        // `put` may have destroyed it, so what was not taken is still counted.
        ready_list::settled(batch.reader.discard());
    }
    (taken, accepted_all)
}

/// Puts back the messages that were not taken, also after a panic.
struct PutBackRest<'a, 'b> {
    reader: &'a mut QueueReader<'b>,
    messages: TakeMessages,
}

impl Drop for PutBackRest<'_, '_> {
    fn drop(&mut self) {
        self.reader.count_several_taken(self.messages.taken, self.messages.charge);
        self.reader.put_back(self.messages.rest());
    }
}

/// As [`next_event`], for one socket.
pub fn next_event_of(socket: &Arc<Shared>) -> Option<Event> {
    let ready_list = socket.ready_list.clone();
    let _delivering = ready_list.begin_delivery()?;
    let mut reader = socket.event_queue.reader()?;
    let kind = take(socket, &mut reader)?;
    drop(reader);
    Some(Event { socket: Socket(socket.clone()), kind })
}

fn deliver(socket: &Arc<Shared>, reader: &mut QueueReader<'_>, budget: &mut Budget, at_most: usize) -> usize {
    fault::point("engine.deliver");
    let mut batch = Batch { socket, reader };
    let mut runner = CallbackRunner::new(socket, budget, at_most);
    let _inside = Inside::enter();
    while runner.may_continue() {
        match batch.next() {
            Some(Next::Messages(run)) => call_messages(run, &mut batch, &mut runner),
            Some(Next::Event(event)) => {
                batch.settle_if_due();
                runner.call(|handle, handler, _| call(handle, handler, event));
            }
            None => break,
        }
    }
    runner.ran
}

/// Runs the callbacks for messages, without copying them out of their block.
fn call_messages(mut run: MessageRun, batch: &mut Batch<'_, '_>, runner: &mut CallbackRunner<'_>) {
    while let Some(range) = run.first() {
        if !runner.may_continue() || batch.socket.is_destroyed() {
            batch.reader.put_back(run);
            return;
        }
        batch.reader.count_taken(range.charge());
        batch.settle_if_due();
        runner.call(|handle, handler, wants| {
            handler.is_some_and(|handler| {
                let segment = || run.segment(range);
                call_message(handle, handler, wants, range.message_type, run.payload(range), segment)
            })
        });
        run.drop_first(range);
    }
}

/// Runs the callbacks of one socket, within the budget.
struct CallbackRunner<'a> {
    handle: Socket,
    handler: Option<Arc<Handler>>,
    wants: Wants,
    version: u32,
    budget: &'a mut Budget,
    left: usize,
    ran: usize,
}

impl<'a> CallbackRunner<'a> {
    fn new(socket: &Arc<Shared>, budget: &'a mut Budget, at_most: usize) -> Self {
        let (handler, wants, version) = socket.fetch_handler();
        Self { handle: Socket(socket.clone()), handler, wants, version, budget, left: at_most, ran: 0 }
    }

    fn may_continue(&self) -> bool {
        self.left > 0 && !self.budget.is_spent()
    }

    #[inline]
    fn call(&mut self, call: impl FnOnce(&Socket, Option<&Handler>, Wants) -> bool) {
        if self.handle.0.handler_version() != self.version {
            (self.handler, self.wants, self.version) = self.handle.0.fetch_handler();
        }
        // A panic must not stop the delivery of other events.
        let called =
            catch_unwind(AssertUnwindSafe(|| call(&self.handle, self.handler.as_deref(), self.wants)));
        self.ran += usize::from(called.unwrap_or_else(|_| {
            self.handle.0.fault("a callback panicked");
            true
        }));
        self.budget.spend();
        self.left -= 1;
    }
}

/// A socket that was removed from the ready list. A panic appends it again, which otherwise only its next
/// event would do.
struct RequeueOnPanic<'a>(&'a Arc<Shared>);

impl Drop for RequeueOnPanic<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.ready_list.make_ready(self.0);
        }
    }
}

/// Takes the oldest event.
fn take(socket: &Arc<Shared>, reader: &mut QueueReader<'_>) -> Option<EventKind> {
    Batch { socket, reader }.take()
}

/// Takes events of one socket and settles several together, at the latest when this is dropped, also by a
/// panic.
struct Batch<'a, 'b> {
    socket: &'a Arc<Shared>,
    reader: &'a mut QueueReader<'b>,
}

/// The next entry of a queue.
enum Next {
    /// At least one; none of them counts as taken.
    Messages(MessageRun),
    Event(EventKind),
}

impl Batch<'_, '_> {
    /// The oldest entry, unless the socket was destroyed.
    #[inline]
    fn next(&mut self) -> Option<Next> {
        if self.socket.is_destroyed() {
            ready_list::settled(self.reader.discard());
            return None;
        }
        loop {
            match self.reader.next()? {
                QueuedEvent::Event(event) => return Some(Next::Event(event)),
                QueuedEvent::Messages(run) => return Some(Next::Messages(run)),
                QueuedEvent::Marker { connection } => {
                    self.settle();
                    lock(&self.socket.to_worker).commands().marker_reached = connection;
                    self.socket.notify();
                }
            }
        }
    }

    /// Takes the oldest event.
    #[inline]
    fn take(&mut self) -> Option<EventKind> {
        if !self.socket.is_destroyed()
            && let Some(message) = self.reader.take_message()
        {
            return Some(message);
        }
        match self.next()? {
            Next::Event(event) => Some(event),
            Next::Messages(mut run) => {
                let range = run.first()?;
                self.reader.count_taken(range.charge());
                let event = run.take_first(range);
                self.reader.put_back(run);
                Some(event)
            }
        }
    }

    #[inline]
    fn settle_if_due(&mut self) {
        if self.reader.unsettled() >= SETTLE_AT {
            self.settle();
        }
    }

    /// Resumes reading if it had stopped because the queue was full.
    #[inline]
    fn settle(&mut self) {
        let count = self.reader.settle();
        if count == 0 {
            return;
        }
        ready_list::settled(count);
        if self.socket.resumes() {
            self.socket.notify();
        }
    }
}

impl Drop for Batch<'_, '_> {
    fn drop(&mut self) {
        self.settle();
    }
}

/// Removes a socket from the ready list, unless it has events.
fn remove_if_empty(ready_list: &ReadyList, socket: &Arc<Shared>) {
    ready_list.remove(socket);
    // Events that came before the removal, or that another thread is taking, have not appended it.
    if socket.event_queue.charge() > 0 && !socket.is_destroyed() {
        ready_list.make_ready(socket);
    }
}

/// Runs finalizers of sockets that no thread delivers from: one, and more until it is late.
fn run_finalizers(ready_list: &ReadyList, is_late: impl Fn() -> bool) {
    // Finalizers queued during this loop run in the next call.
    for _ in 0..ready_list::pending_finalizers() {
        let Some(socket) = ready_list.next_finalizer() else { return };
        if socket.event_queue.has_reader() {
            socket.finish();
        } else {
            socket.finalize();
        }
        if is_late() {
            return;
        }
    }
}

/// Runs the last finalizers and drops the references to the sockets. For a list that is stopped and that no
/// thread delivers from.
pub fn close(ready_list: &ReadyList) {
    for socket in ready_list.close_finalizers() {
        socket.finalize();
    }
    for socket in ready_list.take_all() {
        // A delivery that was running when its socket was destroyed may leave events in the queue.
        ready_list::settled(socket.event_queue.close());
    }
}
