//! What happens to the machine that the game runs on.

use super::guard::guard;
use super::result::fw_result;
use crate::client;

/// Says that the network is another than before, or may be.
///
/// For a phone that goes from Wi-Fi to mobile, a laptop that is moved: connections die of that without a
/// sign. Every open one is pinged at once, whether pings are on or not, and where nothing at all comes
/// back within 3 seconds it counts as lost: the event error comes, with FW_ERROR_KIND_PING_TIMEOUT, or
/// reconnecting where that is on. While the game is behind with its events (event_queue_bytes) nothing is
/// read, and the 3 seconds begin when reading does. A socket that has not sent its upgrade request yet
/// begins to connect anew, in what is left of its connect timeout; one that waits for its next try begins
/// at once; one that closes goes on.
///
/// Returns: OK, also when the library does not run.
/// Threads: any.
/// Callbacks: none.
/// Blocks: no.
/// Since: 0.1.0.
#[unsafe(no_mangle)]
pub extern "C" fn fw_network_changed() -> fw_result {
    guard(|| {
        client::network_changed();
        Ok(())
    })
}

/// Says that the process is about to sleep.
///
/// For an app that goes to the background, where the system may stop it at any moment. Until fw_resume no
/// ping is sent, no try to reconnect begins, and no timeout of the library ends a connection; messages go
/// back and forth for as long as the system lets them. TCP itself still gives up on a peer that is gone.
/// Holds for the sockets that are open or opening; one that is opened later is awake. A second call does
/// nothing.
///
/// Returns: OK, also when the library does not run.
/// Threads: any.
/// Callbacks: none.
/// Blocks: no.
/// Since: 0.1.0.
#[unsafe(no_mangle)]
pub extern "C" fn fw_suspend() -> fw_result {
    guard(|| {
        client::suspend();
        Ok(())
    })
}

/// Says that the process is awake again.
///
/// Ends what fw_suspend began: timeouts go on with the time that was left to them, pings with a fresh
/// interval. Then does what fw_network_changed does, so that connections that did not survive the sleep are
/// found within 3 seconds. Without an fw_suspend before it is that alone.
///
/// Returns: OK, also when the library does not run.
/// Threads: any.
/// Callbacks: none.
/// Blocks: no.
/// Since: 0.1.0.
#[unsafe(no_mangle)]
pub extern "C" fn fw_resume() -> fw_result {
    guard(|| {
        client::resume();
        Ok(())
    })
}
