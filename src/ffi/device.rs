//! Notifications from the device: network changes, suspend and resume.

use super::guard::guard;
use super::result::fw_result;
use crate::client;

/// Notifies the library that the network may have changed.
///
/// Call it when a phone switches from Wi-Fi to mobile data or a laptop is moved: connections may
/// have been lost unnoticed. On Linux the library watches addresses and default routes and does the
/// same itself when one is added or removed, at most every 500 ms, and also on Android up to version
/// 10; fw_config.ignore_network_changes turns that off. On other systems only this call reports
/// changes. Pings every open connection immediately, even if keepalive pings
/// are off. If nothing is received within 3 seconds the connection is lost: the event is error,
/// with FW_ERROR_KIND_PING_TIMEOUT, or reconnecting where that is enabled. While a full event queue
/// (event_queue_bytes) stops reading, the 3 seconds start when reading resumes. A socket that has
/// not sent its upgrade request starts connecting again, within the rest of its connect timeout;
/// one that waits to reconnect starts immediately; a closing handshake continues.
///
/// Where reconnecting is enabled, a new connection is opened while the old one is probed (make
/// before break): at once if the system would use another local address for the same peer now,
/// otherwise after 500 ms without a response. If the old connection responds first, the new attempt
/// is dropped without an event. If the new one is open first, it replaces the old one, which is
/// closed with code 1001. The events are reconnecting (attempt 1, delay 0,
/// FW_ERROR_KIND_PING_TIMEOUT) and open, after every message received over the old connection. The
/// state stays FW_STATE_OPEN and sends are accepted. Messages that were not prepared for the network
/// yet are sent over the new connection, in order and once. Those that were, up to 256 KiB beside
/// what the system has buffered, are lost if the server has not received them. An attempt that fails
/// is repeated with the delays of fw_reconnect and without events; if the old connection is lost
/// meanwhile, the attempt continues as its reconnect. Each attempt calls internal_request_created,
/// before the event reconnecting. fw_socket_close closes the old connection and drops the attempt.
///
/// In browsers, only reconnects that wait for their delay start at once.
///
/// \returns OK, also when the library is not running.
#[unsafe(no_mangle)]
pub extern "C" fn fw_network_changed() -> fw_result {
    guard(|| {
        client::network_changed();
        Ok(())
    })
}

/// Notifies the library that the process is about to be suspended.
///
/// For an app that goes to the background, where the system may stop it at any moment. Until
/// fw_resume, no pings are sent, no reconnect starts, and no timeout of the library ends a
/// connection; messages are still sent and received while the process runs. TCP's own timeouts
/// still apply. Affects sockets that are open or connecting, not those opened later. A second call
/// does nothing.
///
/// \returns OK, also when the library is not running.
#[unsafe(no_mangle)]
pub extern "C" fn fw_suspend() -> fw_result {
    guard(|| {
        client::suspend();
        Ok(())
    })
}

/// Notifies the library that the process is running again.
///
/// Ends the effect of fw_suspend: timeouts continue with the time they had left, pings with a new
/// interval. Then does the same as fw_network_changed, so that lost connections are detected within
/// 3 seconds; without fw_suspend before it, only that. On iOS, where the system closes the sockets of
/// a suspended app, most are detected at once, as the first read or write fails.
///
/// \returns OK, also when the library is not running.
#[unsafe(no_mangle)]
pub extern "C" fn fw_resume() -> fw_result {
    guard(|| {
        client::resume();
        Ok(())
    })
}
