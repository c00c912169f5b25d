//! The C callbacks of a socket, with their user_data: what the engine runs for events.
//!
//! The safety of each call rests on what the header requires: a callback may be called with its
//! user_data, on the polling thread and on the socket's worker thread, until it is replaced and a call
//! in progress has returned; and it does not unwind.

use std::any::Any;
use std::ffi::c_void;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::args::UserData;
use super::callback_types::*;
use super::error::with_error;
use super::event::with_segment;
use super::message::fw_frame;
use super::request::fw_request;
use super::socket::{fw_finalizer_fn, fw_socket};
use super::text::{address, terminated};
use crate::client::{Frame, Handler, HandlerOf, Outcome, Request, Segment, Socket, Wants};
use crate::error::{CallError, Error};
use crate::inside::Inside;

macro_rules! functions {
    ($($name:ident: $type:ty),+ $(,)?) => {
        /// The functions, one for each event.
        #[derive(Clone, Copy, Default)]
        pub(super) struct Functions { $(pub $name: $type),+ }

        /// Names a function.
        #[allow(non_camel_case_types)]
        #[derive(Clone, Copy)]
        pub(super) enum Name { $($name),+ }

        const COUNT: usize = [$(Name::$name),+].len();
    };
}

functions! {
    open: fw_open_fn,
    text: fw_text_fn,
    text_segment: fw_text_segment_fn,
    binary: fw_binary_fn,
    binary_no_alloc: fw_binary_no_alloc_fn,
    incomplete_frame: fw_incomplete_frame_fn,
    internal_request_created: fw_request_fn,
    pong: fw_pong_fn,
    reconnecting: fw_reconnecting_fn,
    closed: fw_closed_fn,
    error: fw_error_fn,
    sent: fw_sent_fn,
}

/// The user_data of the functions. Nearly always they have the same, and sockets are many.
#[derive(Clone)]
enum Pointers {
    Same(UserData),
    Each(Box<[UserData; COUNT]>),
}

#[derive(Clone)]
struct Table {
    functions: Functions,
    user_data: Pointers,
    /// Of the set that was set as a whole, until the last handler with a function of it is dropped.
    _owner: Option<Arc<Owner>>,
}

/// Calls the `released` function of a set when it is dropped.
struct Owner {
    released: fw_finalizer_fn,
    user_data: UserData,
    is_set: AtomicBool,
}

impl Drop for Owner {
    fn drop(&mut self) {
        if let Some(released) = self.released
            && *self.is_set.get_mut()
        {
            let _inside = Inside::enter();
            // SAFETY: the header requires that it may be called once, on any thread.
            unsafe { released(self.user_data.get()) }
        }
    }
}

/// Sets one function, with its user_data. Callbacks that the program has set in Rust end.
pub(super) fn set_one(
    socket: fw_socket,
    name: Name,
    user_data: *mut c_void,
    change: impl FnOnce(&mut Functions),
) -> Result<(), CallError> {
    socket.get()?.change_handler(|current| {
        let user_data = UserData::new(user_data);
        let current = current.and_then(|handler| (handler as &dyn Any).downcast_ref::<Table>());
        let mut table = current.cloned().unwrap_or_else(|| Table {
            functions: Functions::default(),
            user_data: Pointers::Same(user_data),
            _owner: None,
        });
        change(&mut table.functions);
        table.user_data.set(name, user_data);
        Arc::new(table)
    })
}

/// Sets all functions, with the same user_data. `released` is called when no set uses them any longer.
pub(super) fn set_all(
    socket: &Socket,
    functions: Functions,
    user_data: *mut c_void,
    released: fw_finalizer_fn,
) -> Result<(), CallError> {
    let user_data = UserData::new(user_data);
    let owner = released.map(|_| Arc::new(Owner { released, user_data, is_set: AtomicBool::new(true) }));
    let table = Table { functions, user_data: Pointers::Same(user_data), _owner: owner.clone() };
    let done = socket.change_handler(|_| Arc::new(table) as Arc<Handler>);
    if let Some(owner) = owner {
        owner.is_set.store(done.is_ok(), Ordering::Relaxed);
    }
    done
}

impl Pointers {
    fn set(&mut self, name: Name, user_data: UserData) {
        match self {
            Pointers::Same(same) if *same == user_data => {}
            Pointers::Same(same) => {
                let mut each = Box::new([*same; COUNT]);
                each[name as usize] = user_data;
                *self = Pointers::Each(each);
            }
            Pointers::Each(each) => each[name as usize] = user_data,
        }
    }
}

impl Table {
    #[inline]
    fn user_data(&self, name: Name) -> *mut c_void {
        match &self.user_data {
            Pointers::Same(same) => same.get(),
            Pointers::Each(each) => each[name as usize].get(),
        }
    }
}

impl HandlerOf<Socket> for Table {
    fn open(&self, socket: &Socket) -> bool {
        let Some(callback) = self.functions.open else { return false };
        // SAFETY: as required above.
        unsafe { callback(socket.into(), self.user_data(Name::open)) }
        true
    }

    fn text(&self, socket: &Socket, payload: &[u8]) {
        let Some(callback) = self.functions.text else { return };
        crate::fault::point("ffi.callback");
        let (data, user_data) = (address(payload).cast(), self.user_data(Name::text));
        // SAFETY: as required above.
        unsafe { callback(socket.into(), data, payload.len(), user_data) }
    }

    fn text_segment(&self, socket: &Socket, payload: &Segment) {
        let Some(callback) = self.functions.text_segment else { return };
        with_segment(socket, payload, |segment| {
            // SAFETY: as required above.
            unsafe { callback(socket.into(), &segment, self.user_data(Name::text_segment)) }
        });
    }

    fn binary(&self, socket: &Socket, payload: &[u8]) {
        let Some(callback) = self.functions.binary else { return };
        // SAFETY: as required above.
        unsafe { callback(socket.into(), address(payload), payload.len(), self.user_data(Name::binary)) }
    }

    fn binary_segment(&self, socket: &Socket, payload: &Segment) {
        let Some(callback) = self.functions.binary_no_alloc else { return };
        with_segment(socket, payload, |segment| {
            // SAFETY: as required above.
            unsafe { callback(socket.into(), &segment, self.user_data(Name::binary_no_alloc)) }
        });
    }

    fn incomplete_frame(&self, socket: &Socket, frame: &Frame) -> bool {
        let Some(callback) = self.functions.incomplete_frame else { return false };
        with_segment(socket, &frame.payload, |payload| {
            let frame = fw_frame {
                opcode: frame.opcode.into(),
                is_first: frame.is_first.into(),
                is_final: frame.is_final.into(),
                payload,
                reserved: [0; 2],
            };
            // SAFETY: as required above.
            unsafe { callback(socket.into(), &frame, self.user_data(Name::incomplete_frame)) }
        });
        true
    }

    fn request(&self, socket: &Socket, request: &Request) -> bool {
        let Some(callback) = self.functions.internal_request_created else { return false };
        let request = fw_request { id: request.id() };
        // SAFETY: as required above.
        unsafe { callback(socket.into(), request, self.user_data(Name::internal_request_created)) }
        true
    }

    fn pong(&self, socket: &Socket, payload: &[u8]) -> bool {
        let Some(callback) = self.functions.pong else { return false };
        // SAFETY: as required above.
        unsafe { callback(socket.into(), address(payload), payload.len(), self.user_data(Name::pong)) }
        true
    }

    fn reconnecting(&self, socket: &Socket, error: &Error, attempt: u32, delay_ms: u32) -> bool {
        let Some(callback) = self.functions.reconnecting else { return false };
        with_error(error, |error| {
            let user_data = self.user_data(Name::reconnecting);
            // SAFETY: as required above.
            unsafe { callback(socket.into(), error, attempt, delay_ms, user_data) }
        });
        true
    }

    fn closed(&self, socket: &Socket, code: u16, reason: &str) -> bool {
        let Some(callback) = self.functions.closed else { return false };
        let text = terminated(reason);
        let (data, len) = (text.as_ptr().cast(), reason.len());
        // SAFETY: as required above; the text is valid until the end of the block.
        unsafe { callback(socket.into(), code, data, len, self.user_data(Name::closed)) }
        true
    }

    fn error(&self, socket: &Socket, error: &Error) -> bool {
        let Some(callback) = self.functions.error else { return false };
        with_error(error, |error| {
            // SAFETY: as required above.
            unsafe { callback(socket.into(), error, self.user_data(Name::error)) }
        });
        true
    }

    fn sent(&self, socket: &Socket, tag: u64, outcome: Outcome) -> bool {
        let Some(callback) = self.functions.sent else { return false };
        // SAFETY: as required above.
        unsafe { callback(socket.into(), tag, outcome.into(), self.user_data(Name::sent)) }
        true
    }

    fn wants(&self) -> Wants {
        Wants::of([
            (Wants::TEXT, self.functions.text.is_some()),
            (Wants::TEXT_SEGMENT, self.functions.text_segment.is_some()),
            (Wants::BINARY, self.functions.binary.is_some()),
            (Wants::BINARY_SEGMENT, self.functions.binary_no_alloc.is_some()),
            (Wants::FRAMES, self.functions.incomplete_frame.is_some()),
            (Wants::REQUEST, self.functions.internal_request_created.is_some()),
            (Wants::PONG, self.functions.pong.is_some()),
        ])
    }
}

#[cfg(test)]
mod tests {
    use std::ptr::without_provenance_mut;
    use std::sync::atomic::AtomicUsize;

    use super::*;
    use crate::error::Code;

    #[test]
    fn each_function_has_its_own_user_data() {
        let number = |number: usize| UserData::new(without_provenance_mut(number));
        let mut table =
            Table { functions: Functions::default(), user_data: Pointers::Same(number(1)), _owner: None };
        table.user_data.set(Name::text, number(1));
        assert!(matches!(table.user_data, Pointers::Same(_)));
        table.user_data.set(Name::closed, number(2));
        table.user_data.set(Name::sent, number(3));
        table.user_data.set(Name::closed, number(4));
        let of = |name| table.user_data(name).addr();
        assert_eq!([Name::open, Name::text, Name::closed, Name::error, Name::sent].map(of), [1, 1, 4, 1, 3]);
    }

    static RELEASED: AtomicUsize = AtomicUsize::new(0);

    unsafe extern "C" fn released(_user_data: *mut c_void) {
        RELEASED.fetch_add(1, Ordering::SeqCst);
    }

    #[test]
    fn released_is_called_once_for_a_set_that_was_accepted() {
        let socket = Socket::create("ws://127.0.0.1:1/").unwrap();
        let set = || set_all(&socket, Functions::default(), std::ptr::null_mut(), Some(released));
        let count = || RELEASED.load(Ordering::SeqCst);
        set().unwrap();
        assert_eq!(count(), 0);
        set().unwrap();
        assert_eq!(count(), 1, "the first one was replaced");
        let finalized = Arc::new(AtomicUsize::new(0));
        let own = finalized.clone();
        let finalizer = move || own.store(1 + RELEASED.load(Ordering::SeqCst), Ordering::SeqCst);
        socket.set_finalizer(Some(Box::new(finalizer))).unwrap();
        // Another thread has found the socket before it is destroyed.
        socket.destroy().unwrap();
        assert_eq!(set().map_err(|error| error.code), Err(Code::InvalidHandle));
        while finalized.load(Ordering::SeqCst) == 0 {
            crate::poll(0, 0);
            std::thread::yield_now();
        }
        assert_eq!((count(), finalized.load(Ordering::SeqCst)), (2, 1 + 2), "released, then finalized");
    }
}
