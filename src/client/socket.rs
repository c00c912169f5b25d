//! A socket's life and its callbacks.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use crate::engine::library;
use crate::engine::shared::commands::DestroyMode;
use crate::engine::shared::delivery::{self, Event};
use crate::engine::shared::event::EventType;
use crate::engine::shared::settings::Plan;
use crate::engine::shared::socket::{
    Callbacks, OnBytes, OnClosed, OnError, OnFrame, OnReconnecting, OnRequest, OnSegment, OnSocket, OnText,
    Socket,
};
use crate::engine::shared::state::{Dispatch, State};
use crate::engine::shared::{random, ready_list, sockets};
use crate::error::{CallError, Code};
use crate::fault;
use crate::limits::{LONGEST_WAIT, MAX_CLOSE_REASON};
use crate::sync::lock;
use crate::wire::close::{NORMAL, may_send};
use crate::wire::proxy::{Environment, ProxyChoice};
use crate::wire::upgrade::UpgradeRequest;
use crate::wire::url::Url;

impl Socket {
    /// A socket for `ws:`, `wss:`, `http:` or `https:` URLs. Checks the URL, touches no network.
    pub fn create(url: &str) -> Result<Socket, CallError> {
        fault::point("client.create");
        let url = Url::parse(url).map_err(|error| CallError::new(Code::InvalidUrl, error.to_string()))?;
        if url.secure && !cfg!(feature = "tls") {
            return Err(CallError::new(Code::NotSupported, "this build of the library has no TLS"));
        }
        library::create(UpgradeRequest::new(url))
    }

    /// The socket behind a handle, unless it was destroyed or never was.
    pub fn from_id(id: u64) -> Result<Socket, CallError> {
        sockets::find(id).ok_or_else(|| {
            CallError::new(Code::InvalidHandle, "there is no such socket: it was destroyed, or never made")
        })
    }

    pub fn id(&self) -> u64 {
        self.0.id
    }

    /// Starts connecting. Legal again after a terminal event, and inside its callback.
    pub fn open(&self) -> Result<(), CallError> {
        self.living()?;
        fault::point("client.open");
        let settings = lock(&self.0.settings).clone();
        let environment = match settings.proxy {
            // What is not Unicode is no usable proxy, which is said to the log as of any other.
            ProxyChoice::Environment => Environment::read(|name| {
                std::env::var_os(name).map(|value| value.to_string_lossy().into_owned())
            }),
            _ => Environment::default(),
        };
        let mut to_worker = lock(&self.0.to_worker);
        if self.0.state() != State::Closed {
            return Err(CallError::state("the socket is connecting, open or closing already"));
        }
        lock(&self.0.info).reset(&settings.request.url);
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

    /// Starts the closing handshake, behind everything that is queued. While connecting it
    /// cancels. `code` 0 is 1000; the reason has at most 123 bytes.
    pub fn close(&self, code: u16, reason: &str) -> Result<(), CallError> {
        self.living()?;
        let code = if code == 0 { NORMAL } else { code };
        if !may_send(code) {
            return Err(CallError::argument(format!(
                "{code} is no close code that may be sent: 1000-1003, 1007-1014 and 3000-4999 are (RFC 6455 section 7.4)"
            )));
        }
        if reason.len() > MAX_CLOSE_REASON {
            return Err(CallError::new(
                Code::TooLarge,
                "a close reason has at most 123 bytes (RFC 6455 section 5.5.1)",
            ));
        }
        let mut to_worker = lock(&self.0.to_worker);
        match self.0.state() {
            State::Open => {
                to_worker = self
                    .0
                    .queue(to_worker, |outbox, _| outbox.push_close(code, reason, &mut random::next_key))?;
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

    /// Drops the connection now, without a closing handshake.
    pub fn abort(&self) -> Result<(), CallError> {
        self.living()?;
        let mut to_worker = lock(&self.0.to_worker);
        if self.0.state() == State::Closed {
            return Err(CallError::state("the socket is closed"));
        }
        to_worker.commands().cancel = Some("aborted by the caller");
        to_worker.outbox.shut();
        self.0.set_state(State::Closing);
        drop(to_worker);
        self.0.notify();
        Ok(())
    }

    /// Takes the socket away: its handle is invalid from now on, and nothing more of it is
    /// delivered but the finalizer. Never waits; the connection is closed in the background, and what
    /// it has queued is dropped.
    pub fn destroy(&self) -> Result<(), CallError> {
        self.leave(DestroyMode::Discard)
    }

    /// Destroys the socket as [`Socket::destroy`] does, but first sends what is queued, with a close frame
    /// (1001) behind it, in the background and for at most `within`. A
    /// [`shutdown`](crate::shutdown) goes on with it, within its own timeout.
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

    /// Called exactly once, after the last callback: the place to free what callbacks use.
    pub fn set_finalizer(&self, finalizer: Option<Box<dyn FnOnce() + Send>>) -> Result<(), CallError> {
        self.living()?;
        let old = std::mem::replace(&mut *lock(&self.0.finalizer), finalizer);
        drop(old);
        Ok(())
    }

    // ---------------------------------------------------------------- callbacks

    /// The upgrade is done.
    pub fn on_open(&self, f: Option<Arc<OnSocket>>) -> Result<(), CallError> {
        self.register(|callbacks| callbacks.open = f)
    }

    /// A whole text message.
    pub fn on_text(&self, f: Option<Arc<OnText>>) -> Result<(), CallError> {
        self.register(|callbacks| callbacks.text = f)
    }

    /// A whole text message where it was received, valid UTF-8; clone the segment to keep it.
    pub fn on_text_segment(&self, f: Option<Arc<OnSegment>>) -> Result<(), CallError> {
        self.register(|callbacks| callbacks.text_segment = f)
    }

    /// A whole binary message.
    pub fn on_binary(&self, f: Option<Arc<OnBytes>>) -> Result<(), CallError> {
        self.register(|callbacks| callbacks.binary = f)
    }

    /// A whole binary message where it was received; clone the segment to keep it.
    pub fn on_binary_no_alloc(&self, f: Option<Arc<OnSegment>>) -> Result<(), CallError> {
        self.register(|callbacks| callbacks.binary_no_alloc = f)
    }

    /// While registered, fragments come one by one, decoded, and are neither assembled nor stored.
    /// Messages of one frame come as text or binary.
    pub fn on_incomplete_frame(&self, f: Option<Arc<OnFrame>>) -> Result<(), CallError> {
        self.register(|callbacks| callbacks.incomplete_frame = f)
    }

    /// Before every attempt: the upgrade request can still be changed.
    pub fn on_internal_request_created(&self, f: Option<Arc<OnRequest>>) -> Result<(), CallError> {
        self.register(|callbacks| callbacks.request = f)
    }

    /// A pong came.
    pub fn on_pong(&self, f: Option<Arc<OnBytes>>) -> Result<(), CallError> {
        self.register(|callbacks| callbacks.pong = f)
    }

    /// The connection was lost, or not made, and will be tried again.
    pub fn on_reconnecting(&self, f: Option<Arc<OnReconnecting>>) -> Result<(), CallError> {
        self.register(|callbacks| callbacks.reconnecting = f)
    }

    /// Terminal: a closing handshake ended the connection, or the caller cancelled.
    pub fn on_closed(&self, f: Option<Arc<OnClosed>>) -> Result<(), CallError> {
        self.register(|callbacks| callbacks.closed = f)
    }

    /// Terminal: could not connect, the protocol was violated, or the connection was lost.
    pub fn on_error(&self, f: Option<Arc<OnError>>) -> Result<(), CallError> {
        self.register(|callbacks| callbacks.error = f)
    }

    /// Replaces every callback at once; no event comes between two of them.
    pub fn set_callbacks(&self, callbacks: Callbacks) -> Result<(), CallError> {
        self.register(|current| *current = callbacks)
    }

    // ---------------------------------------------------------------- delivery

    /// Where callbacks run. Only while the socket is closed.
    pub fn set_dispatch(&self, dispatch: Dispatch) -> Result<(), CallError> {
        self.while_closed(|_| self.0.dispatch.store(dispatch as u8, Ordering::Relaxed))
    }

    /// Asks for events that come only on request when no callback of theirs is registered: the
    /// upgrade request, which holds the connection until it is released, and incomplete frames.
    pub fn enable_event(&self, event: EventType, on: bool) -> Result<(), CallError> {
        self.living()?;
        let flag = match event {
            EventType::Request => &self.0.request_enabled,
            EventType::IncompleteFrame => &self.0.frames_enabled,
            _ => {
                return Err(CallError::argument(
                    "only request and incomplete-frame events are switched; the others always come",
                ));
            }
        };
        flag.store(on, Ordering::Relaxed);
        Ok(())
    }

    /// As [`poll`](crate::poll), for this socket alone.
    pub fn poll(&self, max_events: u32, max_microseconds: u32) -> Result<usize, CallError> {
        self.living()?;
        Ok(delivery::poll_one(&self.0, max_events, max_microseconds))
    }

    /// As [`next_event`](crate::next_event), for this socket alone.
    pub fn next_event(&self) -> Result<Option<Event>, CallError> {
        self.living()?;
        if ready_list::idle() {
            return Ok(None);
        }
        Ok(delivery::next_event_of(&self.0))
    }

    /// As [`next_events`](crate::next_events), for this socket alone.
    pub fn next_events(
        &self,
        at_most: usize,
        put: &mut dyn FnMut(Event) -> bool,
    ) -> Result<usize, CallError> {
        self.living()?;
        if ready_list::idle() {
            return Ok(0);
        }
        Ok(delivery::next_events_of(&self.0, at_most, put))
    }

    /// A number of the caller's that comes with every event.
    pub fn set_user_data(&self, data: usize) -> Result<(), CallError> {
        self.living()?;
        self.0.user_data.store(data, Ordering::Relaxed);
        Ok(())
    }

    pub fn user_data(&self) -> usize {
        self.0.user_data.load(Ordering::Relaxed)
    }

    // ---------------------------------------------------------------- within

    /// A panic on the game's side has lost something of the connection, which ends with that as its
    /// error.
    #[cfg(feature = "capi")]
    pub(crate) fn fault(&self, what: &'static str) {
        self.0.fault(what);
    }

    fn register(&self, change: impl FnOnce(&mut Callbacks)) -> Result<(), CallError> {
        self.living()?;
        self.0.change_callbacks(change);
        Ok(())
    }

    /// Clones of the handle may outlive the socket.
    pub(super) fn living(&self) -> Result<(), CallError> {
        if self.0.is_destroyed() {
            return Err(CallError::new(Code::InvalidHandle, "the socket was destroyed"));
        }
        Ok(())
    }
}
