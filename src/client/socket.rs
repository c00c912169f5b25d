//! Creating, opening, closing and destroying sockets; their callbacks and events.

use std::any::Any;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::library::pass_on;
use crate::capabilities::{Capability, require};
use crate::clock::Instant;
use crate::engine::library;
use crate::engine::shared::callbacks::Wants;
use crate::engine::shared::commands::DestroyMode;
use crate::engine::shared::delivery::{self, Event, Taken};
use crate::engine::shared::event::{EventKind, EventType};
use crate::engine::shared::message_run::Messages;
use crate::engine::shared::settings::Plan;
use crate::engine::shared::socket::{
    Callbacks, Handler, OnBytes, OnClosed, OnError, OnFrame, OnReconnecting, OnRequest, OnSegment, OnSent,
    OnSocket, OnText, Socket,
};
use crate::engine::shared::state::{Dispatch, State};
use crate::engine::shared::{random, ready_list, sockets};
use crate::error::{CallError, Code};
use crate::fault;
use crate::limits::{LONGEST_WAIT, MAX_CLOSE_REASON};
use crate::sync::lock;
use crate::wire::close::{NORMAL, may_send, may_send_anywhere};
use crate::wire::proxy::{Environment, ProxyChoice};
use crate::wire::upgrade::UpgradeRequest;
use crate::wire::url::Url;

/// What [`Socket::next_event_batches`] takes.
#[derive(Debug)]
#[non_exhaustive]
pub enum EventBatch {
    /// One event, which may be a message.
    Event(EventKind),
    /// Consecutive messages.
    Messages(Messages),
}

impl Socket {
    /// Creates a socket for a `ws:`, `wss:`, `http:` or `https:` URL. Checks the URL; does not use the
    /// network.
    ///
    /// Starts the library if it does not run.
    pub fn create(url: &str) -> Result<Socket, CallError> {
        fault::point("client.create");
        let url = Url::parse(url).map_err(|error| CallError::new(Code::InvalidUrl, error.to_string()))?;
        if url.secure {
            require(Capability::Tls)?;
        }
        if url.credentials.is_some() {
            require(Capability::Headers)?;
        }
        library::create(UpgradeRequest::new(url))
    }

    /// Returns the socket with this ID, or [`InvalidHandle`](Code::InvalidHandle) if there is none.
    pub fn from_id(id: u64) -> Result<Socket, CallError> {
        sockets::find(id).ok_or_else(|| {
            CallError::new(Code::InvalidHandle, "the socket was destroyed, or its handle was never valid")
        })
    }

    /// Returns the ID of the socket, which the log callback gets with each line.
    pub fn id(&self) -> u64 {
        self.0.id
    }

    /// Starts connecting and returns. A socket can be opened again after its terminal event, also inside the
    /// callback of that event.
    ///
    /// Returns [`InvalidState`](Code::InvalidState) unless the socket is closed.
    pub fn open(&self) -> Result<(), CallError> {
        self.check_not_destroyed()?;
        fault::point("client.open");
        let settings = {
            let mut settings = lock(&self.0.settings);
            settings.share_equal();
            settings.clone()
        };
        let environment = match settings.proxy {
            // A value that is not Unicode is logged as an invalid proxy, like any other invalid value.
            ProxyChoice::Environment => {
                let variable = |name: &str| Some(std::env::var_os(name)?.to_string_lossy().into_owned());
                Some(Environment::read(variable)).filter(|found| !found.is_empty()).map(Box::new)
            }
            _ => None,
        };
        let mut to_worker = lock(&self.0.to_worker);
        if self.0.state() != State::Closed {
            return Err(CallError::state("the socket is connecting, open or closing already"));
        }
        lock(&self.0.info).reset(&settings.request);
        self.0.latency_us.store(-1, Ordering::Relaxed);
        to_worker.discard_commands();
        to_worker.queue_while_connecting(&settings);
        let plan = Plan { settings, environment };
        library::place(&self.0, &plan);
        to_worker.commands().open = Some(plan);
        self.0.set_state(State::Connecting);
        drop(to_worker);
        self.0.notify();
        Ok(())
    }

    /// Starts the closing handshake after everything that is queued. While connecting, cancels.
    ///
    /// `code` is 0 (same as 1000), 1000 to 1003, 1007 to 1014 or 3000 to 4999; `reason` has at most 123
    /// bytes. A browser can send only 1000 and 3000 to 4999 ([`Capability::CloseCodes`]).
    pub fn close(&self, code: u16, reason: &str) -> Result<(), CallError> {
        self.check_not_destroyed()?;
        let code = if code == 0 { NORMAL } else { code };
        if !may_send(code) {
            return Err(CallError::argument(format!(
                "the close code {code} must be 1000 to 1003, 1007 to 1014 or 3000 to 4999 (RFC 6455 section 7.4)"
            )));
        }
        if !may_send_anywhere(code) {
            require(Capability::CloseCodes)?;
        }
        if reason.len() > MAX_CLOSE_REASON {
            return Err(CallError::new(
                Code::TooLarge,
                "a close reason must be at most 123 bytes (RFC 6455 section 5.5.1)",
            ));
        }
        let mut to_worker = lock(&self.0.to_worker);
        match self.0.state() {
            State::Open => {
                let queued = self.0.queue(&mut to_worker, |outbox, _| {
                    outbox.push_close(code, reason, &mut random::next_key)
                });
                if let Err(failure) = queued {
                    drop(to_worker);
                    return Err(self.0.report(failure));
                }
                self.0.set_state(State::Closing);
            }
            State::Connecting => {
                to_worker.commands().cancel = Some("cancelled while connecting");
                self.0.set_state(State::Closing);
            }
            State::Closing | State::Closed | State::Unknown => {
                return Err(CallError::state("the socket is closing or closed already"));
            }
        }
        drop(to_worker);
        self.0.notify();
        Ok(())
    }

    /// Drops the connection immediately, without a closing handshake. The closed event follows.
    pub fn abort(&self) -> Result<(), CallError> {
        self.check_not_destroyed()?;
        let mut to_worker = lock(&self.0.to_worker);
        if self.0.state() == State::Closed {
            return Err(CallError::state("the socket is closed"));
        }
        to_worker.commands().cancel = Some("aborted by the caller");
        to_worker.outbox.close();
        self.0.set_state(State::Closing);
        drop(to_worker);
        self.0.notify();
        Ok(())
    }

    /// Destroys the socket: invalidates the handle and all its clones. Does not block.
    ///
    /// No further event is delivered; only the finalizer runs. Queued messages are dropped, and the
    /// connection is closed in the background.
    pub fn destroy(&self) -> Result<(), CallError> {
        self.leave(DestroyMode::Discard)
    }

    /// Destroys the socket like [`Socket::destroy`], but sends what is queued and a close frame (1001) first,
    /// in the background and for at most `within`. [`shutdown`](crate::shutdown) continues this within its
    /// own timeout.
    ///
    /// In browsers, the browser sends what is queued and closes with code 1000, without a timeout.
    pub fn destroy_when_sent(&self, within: Duration) -> Result<(), CallError> {
        self.leave(DestroyMode::Drain { until: Instant::now() + within.min(LONGEST_WAIT) })
    }

    fn leave(&self, mode: DestroyMode) -> Result<(), CallError> {
        match sockets::remove(self.0.id) {
            Some(_) => {
                library::destroy(&self.0, mode);
                Ok(())
            }
            None => Err(CallError::new(Code::InvalidHandle, "the socket was destroyed before")),
        }
    }

    /// Sets a function that runs exactly once, after the last callback of the socket.
    pub fn set_finalizer(&self, finalizer: Option<Box<dyn FnOnce() + Send>>) -> Result<(), CallError> {
        let mut current = lock(&self.0.finalizer);
        // With the lock: the end of the socket takes the finalizer with it, after it was marked as destroyed.
        self.check_not_destroyed()?;
        let old = std::mem::replace(&mut *current, finalizer);
        drop(current);
        drop(old);
        Ok(())
    }

    // ---------------------------------------------------------------- callbacks

    /// Sets the callback for the open event: the handshake is complete.
    pub fn on_open(&self, f: Option<Arc<OnSocket>>) -> Result<(), CallError> {
        self.register(|callbacks| callbacks.open = f)
    }

    /// Sets the callback for text messages.
    pub fn on_text(&self, f: Option<Arc<OnText>>) -> Result<(), CallError> {
        self.register(|callbacks| callbacks.text = f)
    }

    /// Sets a callback for text messages without a copy. The segment is valid UTF-8; clone it to keep it.
    pub fn on_text_segment(&self, f: Option<Arc<OnSegment>>) -> Result<(), CallError> {
        self.register(|callbacks| callbacks.text_segment = f)
    }

    /// Sets the callback for binary messages.
    pub fn on_binary(&self, f: Option<Arc<OnBytes>>) -> Result<(), CallError> {
        self.register(|callbacks| callbacks.binary = f)
    }

    /// Sets a callback for binary messages without a copy. Clone the segment to keep it.
    pub fn on_binary_no_alloc(&self, f: Option<Arc<OnSegment>>) -> Result<(), CallError> {
        self.register(|callbacks| callbacks.binary_no_alloc = f)
    }

    /// Sets the callback for fragments. While it is set, fragmented messages are delivered fragment by
    /// fragment, decompressed, and are not assembled. Messages in a single frame still arrive as text or
    /// binary. Needs [`Capability::Fragments`].
    pub fn on_incomplete_frame(&self, f: Option<Arc<OnFrame>>) -> Result<(), CallError> {
        self.register(|callbacks| callbacks.incomplete_frame = f)
    }

    /// Sets the callback that may change the upgrade request. It runs before every connection attempt, also
    /// after a redirect, a retry or a fallback to HTTP/1.1. Needs [`Capability::Headers`].
    pub fn on_internal_request_created(&self, f: Option<Arc<OnRequest>>) -> Result<(), CallError> {
        self.register(|callbacks| callbacks.request = f)
    }

    /// Sets the callback for pongs. Needs [`Capability::Ping`].
    pub fn on_pong(&self, f: Option<Arc<OnBytes>>) -> Result<(), CallError> {
        self.register(|callbacks| callbacks.pong = f)
    }

    /// Sets the callback for the reconnecting event: the connection was lost or not established, and a retry
    /// is scheduled.
    pub fn on_reconnecting(&self, f: Option<Arc<OnReconnecting>>) -> Result<(), CallError> {
        self.register(|callbacks| callbacks.reconnecting = f)
    }

    /// Sets the callback for the closed event (terminal): the connection ended with a closing handshake, or
    /// you cancelled it.
    pub fn on_closed(&self, f: Option<Arc<OnClosed>>) -> Result<(), CallError> {
        self.register(|callbacks| callbacks.closed = f)
    }

    /// Sets the callback for the error event (terminal): connecting failed, the server violated the protocol,
    /// or the connection was lost.
    pub fn on_error(&self, f: Option<Arc<OnError>>) -> Result<(), CallError> {
        self.register(|callbacks| callbacks.error = f)
    }

    /// Sets the callback for the outcome of messages with a tag: it runs once for each tag that
    /// [`send_message`](Socket::send_message) has accepted, before the terminal event.
    pub fn on_sent(&self, f: Option<Arc<OnSent>>) -> Result<(), CallError> {
        self.register(|callbacks| callbacks.sent = f)
    }

    /// Replaces all callbacks atomically: no event is delivered to a mix of old and new ones. Callbacks for
    /// fragments, requests and pongs need the same capabilities as the functions that set them alone.
    pub fn set_callbacks(&self, callbacks: Callbacks) -> Result<(), CallError> {
        self.change_handler(|_| Arc::new(callbacks))
    }

    // ---------------------------------------------------------------- delivery

    /// Sets where callbacks run (default [`Dispatch::Poll`]). Only while the socket is closed.
    /// [`Dispatch::Worker`] needs [`Capability::WorkerDispatch`].
    pub fn set_dispatch(&self, dispatch: Dispatch) -> Result<(), CallError> {
        require_for(dispatch == Dispatch::Worker, Capability::WorkerDispatch)?;
        self.while_closed(|_| self.0.dispatch.store(dispatch as u8, Ordering::Relaxed))
    }

    /// Enables events for [`next_event`](Socket::next_event) that otherwise need a callback:
    /// [`EventType::Request`], which delays the connection until the event is dropped, and
    /// [`EventType::IncompleteFrame`]. Other types return [`InvalidArgument`](Code::InvalidArgument). They need
    /// [`Capability::Headers`] and [`Capability::Fragments`].
    pub fn enable_event(&self, event: EventType, on: bool) -> Result<(), CallError> {
        self.check_not_destroyed()?;
        let (flag, capability) = match event {
            EventType::Request => (&self.0.request_enabled, Capability::Headers),
            EventType::IncompleteFrame => (&self.0.frames_enabled, Capability::Fragments),
            _ => {
                return Err(CallError::argument(
                    "only request and incomplete-frame events can be enabled; the others always are",
                ));
            }
        };
        require_for(on, capability)?;
        flag.store(on, Ordering::Relaxed);
        Ok(())
    }

    /// Runs callbacks like [`poll`](crate::poll), of this socket only.
    pub fn poll(&self, max_events: u32, max_microseconds: u32) -> Result<usize, CallError> {
        self.check_not_destroyed()?;
        library::drive();
        Ok(delivery::poll_one(&self.0, max_events, max_microseconds))
    }

    /// Takes the next event like [`next_event`](crate::next_event), of this socket only.
    pub fn next_event(&self) -> Result<Option<Event>, CallError> {
        self.check_not_destroyed()?;
        library::drive();
        if ready_list::idle() {
            return Ok(None);
        }
        Ok(delivery::next_event_of(&self.0))
    }

    /// Takes several events like [`next_events`](crate::next_events), of this socket only.
    pub fn next_events(
        &self,
        at_most: usize,
        put: &mut dyn FnMut(Event) -> bool,
    ) -> Result<usize, CallError> {
        self.take_events(at_most, &mut |socket, taken| {
            pass_on(taken, &mut |kind| put(Event { socket: socket.clone(), kind }))
        })
    }

    /// Takes several events like [`next_events`](Socket::next_events), with consecutive small messages together,
    /// so that the cost per message is only that of reading it. Returns the number of events, in which each message
    /// counts.
    pub fn next_event_batches(
        &self,
        at_most: usize,
        mut put: impl FnMut(EventBatch) -> bool,
    ) -> Result<usize, CallError> {
        self.take_events(at_most, &mut |_, taken| match taken {
            Taken::Event(event) => put(EventBatch::Event(event)),
            Taken::Messages(messages) => put(EventBatch::Messages(messages.take_all())),
        })
    }

    /// As [`next_events`](Socket::next_events), with consecutive messages of one block together.
    pub(crate) fn take_events(
        &self,
        at_most: usize,
        put: &mut dyn FnMut(&Socket, Taken<'_>) -> bool,
    ) -> Result<usize, CallError> {
        self.check_not_destroyed()?;
        library::drive();
        if ready_list::idle() {
            return Ok(0);
        }
        Ok(delivery::next_events_of(self, at_most, put))
    }

    /// Sets a number that [`user_data`](Socket::user_data) returns, for example an index into your own table.
    pub fn set_user_data(&self, data: usize) -> Result<(), CallError> {
        self.check_not_destroyed()?;
        self.0.user_data.store(data, Ordering::Relaxed);
        Ok(())
    }

    /// Returns the number set with [`set_user_data`](Socket::set_user_data), 0 by default.
    pub fn user_data(&self) -> usize {
        self.0.user_data.load(Ordering::Relaxed)
    }

    // ---------------------------------------------------------------- internal

    /// Ends the connection with an error, after a panic in the caller's code.
    #[cfg(feature = "capi")]
    pub(crate) fn fault(&self, what: &'static str) {
        self.0.fault(what);
    }

    fn register(&self, change: impl FnOnce(&mut Callbacks)) -> Result<(), CallError> {
        self.change_handler(|current| {
            let current = current.and_then(|handler| (handler as &dyn Any).downcast_ref::<Callbacks>());
            let mut callbacks = current.cloned().unwrap_or_default();
            change(&mut callbacks);
            Arc::new(callbacks)
        })
    }

    /// Replaces what runs the callbacks.
    pub(crate) fn change_handler(
        &self,
        change: impl FnOnce(Option<&Handler>) -> Arc<Handler>,
    ) -> Result<(), CallError> {
        let check = |wants: Wants| {
            // With the lock: the end of the socket takes the handler with it, after it was marked as destroyed.
            self.check_not_destroyed()?;
            require_for(wants.has(Wants::FRAMES), Capability::Fragments)?;
            require_for(wants.has(Wants::REQUEST), Capability::Headers)?;
            require_for(wants.has(Wants::PONG), Capability::Ping)
        };
        let done = self.0.change_handler(|current| {
            let handler = change(current);
            match check(handler.wants()) {
                Ok(()) => Ok(Some(handler)),
                Err(error) => Err((error, handler)),
            }
        });
        // Drops a refused handler, which may own the caller's closures, without the lock.
        done.map_err(|(error, _refused)| error)
    }

    /// Fails if the socket was destroyed: clones of the handle may outlive it.
    pub(super) fn check_not_destroyed(&self) -> Result<(), CallError> {
        if self.0.is_destroyed() {
            return Err(CallError::new(Code::InvalidHandle, "the socket was destroyed"));
        }
        Ok(())
    }
}

/// Checks a capability if the call uses it.
fn require_for(used: bool, capability: Capability) -> Result<(), CallError> {
    if used { require(capability) } else { Ok(()) }
}
