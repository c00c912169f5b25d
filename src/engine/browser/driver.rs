//! The turns of all connections, on the thread of the caller.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::connection::{Connection, End};
use super::js;
use crate::clock::Instant;
use crate::engine::shared::commands::Commands;
use crate::engine::shared::inbox::NetworkChange;
use crate::engine::shared::settings::Plan;
use crate::engine::shared::socket::{Inbox, Shared};
use crate::sync::{Mutex, lock, statics};

statics! {
    static DRIVER: Mutex<Option<Driver>> = Mutex::new(None);
}

struct Driver {
    inbox: Arc<Inbox>,
    /// By the number of the WebSocket.
    connections: BTreeMap<u32, Connection>,
    /// Sockets taken from the inbox. Kept to reuse its memory.
    sockets: Vec<Arc<Shared>>,
}

/// Numbers of WebSockets that were used, over all starts of the library.
static NUMBERS: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);

/// Serves a new worker.
pub fn start(inbox: Arc<Inbox>) {
    // The first command is announced by a wakeup, as all others are.
    inbox.may_sleep();
    *lock(&DRIVER) = Some(Driver { inbox, connections: BTreeMap::new(), sockets: Vec::new() });
}

/// Ends the worker, and what is left of the connections. Not inside [`drive`], where a shutdown is refused.
pub fn stop() {
    if let Ok(mut driver) = DRIVER.try_lock()
        && let Some(driver) = driver.take()
    {
        driver.connections.keys().for_each(|id| js::leave(*id));
    }
}

/// Runs what is due: commands, records of JavaScript, deadlines.
pub fn drive() {
    with_driver(Driver::run);
}

/// Runs the commands that wake the worker.
pub fn run_commands() {
    with_driver(Driver::run_commands);
}

/// Does nothing inside itself, which happens if a log callback calls the library.
fn with_driver(act: impl FnOnce(&mut Driver)) {
    let Ok(mut driver) = DRIVER.try_lock() else { return };
    if let Some(driver) = &mut *driver {
        act(driver);
    }
}

impl Driver {
    fn run(&mut self) {
        self.run_commands();
        while let Some(id) = js::ready() {
            self.with(id, Connection::receive);
        }
        self.with_all(Connection::turn);
        self.run_commands();
    }

    fn run_commands(&mut self) {
        loop {
            self.inbox.awake();
            let commands = self.inbox.take(&mut self.sockets);
            let mut sockets = std::mem::take(&mut self.sockets);
            let later = commands.announced_after(&mut sockets);
            for socket in sockets.drain(..) {
                self.handle_commands(&socket);
            }
            self.sockets = sockets;
            if commands.change != NetworkChange::default() {
                self.with_all(|connection, now| connection.network_changed(commands.change, now));
            }
            for socket in later {
                self.handle_commands(&socket);
            }
            if self.inbox.may_sleep() {
                return;
            }
        }
    }

    fn handle_commands(&mut self, socket: &Arc<Shared>) {
        socket.take_notification();
        let commands = lock(&socket.to_worker).commands.take();
        let Commands { open, cancel, fault, destroy, .. } =
            commands.map(|commands| *commands).unwrap_or_default();
        if let Some(plan) = open {
            self.open(socket, plan);
        }
        let id = socket.connection.load(Ordering::Relaxed) as u32;
        self.with(id, |connection| {
            if let Some(what) = fault {
                return connection.fail_internally(what);
            }
            match (cancel, destroy) {
                (Some(reason), _) => connection.cancel(reason),
                (None, Some(mode)) => connection.destroy(mode),
                // Messages to send, or room in the event queue.
                (None, None) => connection.send().and_then(|()| connection.receive()),
            }
        });
        if destroy.is_some() {
            socket.clone().finish();
        }
    }

    fn open(&mut self, socket: &Arc<Shared>, plan: Plan) {
        let id = NUMBERS.fetch_add(1, Ordering::Relaxed).wrapping_add(1).max(1);
        socket.connection.store(id.into(), Ordering::Relaxed);
        self.connections.insert(id, Connection::new(id, socket.clone(), plan.settings));
        self.with(id, Connection::start);
    }

    /// Runs a step of a connection, and removes the connection if it has ended.
    fn with(&mut self, id: u32, step: impl FnOnce(&mut Connection) -> Result<(), End>) {
        let Some(connection) = self.connections.get_mut(&id) else { return };
        if step(connection).is_err() {
            self.connections.remove(&id);
        }
    }

    fn with_all(&mut self, step: impl Fn(&mut Connection, Instant) -> Result<(), End>) {
        if !self.connections.is_empty() {
            let now = Instant::now();
            self.connections.retain(|_, connection| step(connection, now).is_ok());
        }
    }
}
