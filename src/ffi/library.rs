//! The library as a whole: version, start, stop.

use std::ffi::{c_char, c_void};
use std::mem::{MaybeUninit, size_of};
use std::sync::Arc;
use std::time::Duration;

use super::allocator::{self, Hooks};
use super::args::{Enumeration, UserData, number, pointer};
use super::buffers::{fw_pool_stats, fw_segment};
use super::callback_set::fw_callbacks;
use super::callbacks::fw_frame;
use super::compression::fw_compression;
use super::delivery::fw_event;
use super::error::fw_error;
use super::event;
use super::extension::{fw_extension, fw_extension_frame};
use super::guard::{guard, guard_or};
use super::reconnect::fw_reconnect;
use super::result::fw_result;
use super::sized::{self, sized};
use super::state::fw_stats;
use crate::client::{self, Config};
use crate::error::CallError;

/// The version of the library that runs, as major << 16 | minor << 8 | patch.
///
/// Compare it with the macro FW_VERSION, which is the version of the header: while the major
/// version is 0 the minor must be the same, later the major.
///
/// Returns: the version.
/// Threads: any.
/// Callbacks: none.
/// Blocks: no.
/// Since: 0.1.0.
#[unsafe(no_mangle)]
pub extern "C" fn fw_version() -> u32 {
    guard_or(0, || {
        let [major, minor, patch] = version_numbers();
        Ok(major << 16 | minor << 8 | patch)
    })
}

/// The version of the library that runs, as text: MAJOR.MINOR.PATCH.
///
/// For logs and error messages; the macro FW_VERSION_STRING is that of the header.
///
/// Returns: a static text, never NULL, not to be freed.
/// Threads: any.
/// Callbacks: none.
/// Blocks: no.
/// Since: 0.1.0.
#[unsafe(no_mangle)]
pub extern "C" fn fw_version_string() -> *const c_char {
    guard_or(c"".as_ptr(), || Ok(concat!(env!("CARGO_PKG_VERSION"), "\0").as_ptr().cast()))
}

/// The structs of this header, for fw_sizeof.
#[repr(u32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum fw_struct {
    /// fw_config
    FW_STRUCT_CONFIG = 1,
    /// fw_error
    FW_STRUCT_ERROR = 2,
    /// fw_segment
    FW_STRUCT_SEGMENT = 3,
    /// fw_frame
    FW_STRUCT_FRAME = 4,
    /// fw_event
    FW_STRUCT_EVENT = 5,
    /// fw_stats
    FW_STRUCT_STATS = 6,
    /// fw_pool_stats
    FW_STRUCT_POOL_STATS = 7,
    /// fw_compression
    FW_STRUCT_COMPRESSION = 8,
    /// fw_extension
    FW_STRUCT_EXTENSION = 9,
    /// fw_reconnect
    FW_STRUCT_RECONNECT = 10,
    /// fw_callbacks
    FW_STRUCT_CALLBACKS = 11,
    /// fw_extension_frame
    FW_STRUCT_EXTENSION_FRAME = 12,
}

// SAFETY: `repr(u32)`.
unsafe impl Enumeration for fw_struct {}

/// The size of a struct as the library that runs sees it.
///
/// For bindings that declare the structs in their own language and want to check at start that
/// they agree.
///
/// which: one of fw_struct.
/// Returns: the size in bytes, 0 for a number that is none of fw_struct.
/// Threads: any.
/// Callbacks: none.
/// Blocks: no.
/// Since: 0.1.0.
#[unsafe(no_mangle)]
pub extern "C" fn fw_sizeof(which: MaybeUninit<fw_struct>) -> usize {
    guard_or(0, || {
        Ok(match number(which) {
            1 => size_of::<fw_config>(),
            2 => size_of::<fw_error>(),
            3 => size_of::<fw_segment>(),
            4 => size_of::<fw_frame>(),
            5 => size_of::<fw_event>(),
            6 => size_of::<fw_stats>(),
            7 => size_of::<fw_pool_stats>(),
            8 => size_of::<fw_compression>(),
            9 => size_of::<fw_extension>(),
            10 => size_of::<fw_reconnect>(),
            11 => size_of::<fw_callbacks>(),
            12 => size_of::<fw_extension_frame>(),
            _ => return Err(CallError::argument("not a number of fw_struct")),
        })
    })
}

/// Allocates for the library.
///
/// Must give a block of at least size bytes at a multiple of align, or NULL when there is none. Called
/// on any thread, several at once; must not call the library.
///
/// size: bytes, never 0; need not be a multiple of align.
/// align: a power of two, at least the size of a pointer.
/// user_data: alloc_user_data of fw_config.
pub type fw_alloc_fn =
    Option<unsafe extern "C" fn(size: usize, align: usize, user_data: *mut c_void) -> *mut c_void>;

/// Changes the size of a block.
///
/// Must give a block like fw_alloc_fn that begins with what the old one held, and free the old one;
/// or give NULL and leave the old one as it is. Threads as for fw_alloc_fn.
///
/// ptr: a block of this set of functions, never NULL.
/// old_size: the size it was asked for with, in bytes.
/// new_size: bytes, never 0.
/// align: the alignment it was asked for with.
/// user_data: alloc_user_data of fw_config.
pub type fw_realloc_fn = Option<
    unsafe extern "C" fn(
        ptr: *mut c_void,
        old_size: usize,
        new_size: usize,
        align: usize,
        user_data: *mut c_void,
    ) -> *mut c_void,
>;

/// Frees a block. Threads as for fw_alloc_fn.
///
/// ptr: a block of this set of functions, never NULL.
/// size: the size it was asked for with, in bytes.
/// align: the alignment it was asked for with.
/// user_data: alloc_user_data of fw_config.
pub type fw_free_fn =
    Option<unsafe extern "C" fn(ptr: *mut c_void, size: usize, align: usize, user_data: *mut c_void)>;

/// Told that a thread of the library starts or ends: on that thread, first or last thing there.
///
/// user_data: thread_user_data of fw_config.
pub type fw_thread_fn = Option<unsafe extern "C" fn(user_data: *mut c_void)>;

/// How the library is to run. Zero and NULL mean the default everywhere.
///
/// Prepare it with fw_config_init, so that a program built with an older header keeps working.
/// Belongs to the caller; fw_init copies what it needs.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct fw_config {
    /// The size of this struct in bytes, set by fw_config_init.
    pub struct_size: u32,
    /// Threads that carry connections, at most 64. Default: 1, which carries thousands.
    pub worker_threads: u32,
    /// Allocates everything the library needs. Set alloc and free, or neither. A block goes back to
    /// the functions that made it, even after fw_shutdown, so they must stay callable until the
    /// process ends or the library is unloaded. NULL from alloc gives FW_RESULT_OUT_OF_MEMORY where
    /// payloads and handles are concerned; where the library cannot go on without memory the process
    /// ends, as said above under Memory.
    /// Default: the system's allocator.
    pub alloc: fw_alloc_fn,
    /// May stay NULL: then blocks grow by being copied.
    pub realloc: fw_realloc_fn,
    /// Goes with alloc.
    pub free: fw_free_fn,
    /// Passed to alloc, realloc and free.
    pub alloc_user_data: *mut c_void,
    /// Called first on each thread of the library: for profilers, or to attach it to a VM.
    pub thread_started: fw_thread_fn,
    /// Called last on each thread of the library.
    pub thread_stopped: fw_thread_fn,
    /// Passed to thread_started and thread_stopped.
    pub thread_user_data: *mut c_void,
    /// Unread events of one socket, in bytes (payload plus 64 for each event), at which it stops
    /// reading from the network until the game catches up; at least 16 KiB. One message and one
    /// read of 64 KiB may come on top. Default: 4 MiB.
    pub event_queue_bytes: usize,
}

const DEFAULTS: fw_config = fw_config {
    struct_size: size_of::<fw_config>() as u32,
    worker_threads: 0,
    alloc: None,
    realloc: None,
    free: None,
    alloc_user_data: std::ptr::null_mut(),
    thread_started: None,
    thread_stopped: None,
    thread_user_data: std::ptr::null_mut(),
    event_queue_bytes: 0,
};

sized!(
    fw_config {
        struct_size,
        worker_threads,
        alloc,
        realloc,
        free,
        alloc_user_data,
        thread_started,
        thread_stopped,
        thread_user_data,
        event_queue_bytes,
    },
    DEFAULTS
);

/// Fills a configuration with the defaults.
///
/// Call it first, as fw_config_init(&config, sizeof config), then change what is to differ.
/// Writes no more than struct_size bytes, so that a program built with an older header keeps working;
/// one that may meet an older library sets the struct to zero before.
///
/// config: written; NULL does nothing.
/// struct_size: sizeof(fw_config), as the caller's header declares it.
/// Returns: nothing.
/// Threads: any.
/// Callbacks: none.
/// Blocks: no.
/// Since: 0.1.0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fw_config_init(config: *mut fw_config, struct_size: usize) {
    // SAFETY: the caller promises that struct_size bytes can be written there.
    unsafe { sized::init(config, struct_size) }
}

/// Starts the library as configured.
///
/// Optional: the first socket starts the library with defaults. Allocator functions are in force
/// from here until fw_shutdown has ended.
///
/// config: prepared with fw_config_init, not NULL; copied.
/// Returns: OK; INVALID_ARGUMENT (NULL, struct_size, too many threads, alloc without free);
///   NOT_SUPPORTED (a field is set that only a newer library knows); INVALID_STATE (started already,
///   by this call or by a socket; or blocks of more than 16 different sets of allocator functions are
///   still in use); SHUT_DOWN (a shutdown is on its way);
///   OUT_OF_MEMORY (no thread could be started).
/// Threads: any.
/// Callbacks: none; thread_started runs on the new threads, alloc, realloc and free on any.
/// Blocks: no.
/// Since: 0.1.0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fw_init(config: *const fw_config) -> fw_result {
    guard(|| {
        let config = pointer(config.cast_mut(), "config")?;
        // SAFETY: the caller promises a struct of its struct_size.
        let config = unsafe { sized::read(config) }?;
        let hooks = match (config.alloc, config.free) {
            (Some(alloc), Some(free)) => {
                Some(Hooks { alloc, realloc: config.realloc, free, user_data: config.alloc_user_data })
            }
            (None, None) if config.realloc.is_none() => None,
            _ => return Err(CallError::argument("set both alloc and free, or none of the three")),
        };
        // Before the library starts, so that everything it allocates comes from them.
        let installed = hooks.map(allocator::install).transpose()?;
        client::init(settings(&config)).inspect_err(|_| {
            if let Some(installed) = installed {
                allocator::withdraw(installed);
            }
        })
    })
}

/// Destroys every socket and ends every thread of the library, after what is queued was sent.
///
/// Graceful: open connections send what is queued, then a close frame with code 1001, and wait for the
/// server to answer it, but no longer than it is silent for 250 ms. Sending may take three quarters of
/// the timeout, or all but half a second of it if that is more; what is not sent by then is dropped, and
/// the log says how much (FW_LOG_WARN). A timeout of 0 drops everything at once. Sockets that are still
/// connecting are cancelled.
///
/// When it returns OK no thread of the library exists and no callback runs or will run; finalizers
/// that were due have run inside it. fw_tls handles and segments that the caller holds stay valid.
/// The library can be started again. This is what an editor calls before it unloads scripts.
///
/// timeout_ms: how long all of it may take, in milliseconds. Threads and the callbacks that run on them
///   are given at least 100 ms to end.
/// Returns: OK, also when nothing was running; INVALID_STATE (called inside a callback: nothing
///   happens); TIMED_OUT (a thread or a callback did not end in time: no socket lives any more,
///   call again to go on waiting).
/// Threads: any but inside a callback.
/// Callbacks: runs finalizers on this thread; thread_stopped runs on the ending threads.
/// Blocks: at most timeout_ms (100 ms if that is more) and what the finalizers take.
/// Since: 0.1.0.
#[unsafe(no_mangle)]
pub extern "C" fn fw_shutdown(timeout_ms: u32) -> fw_result {
    guard(|| {
        let installed = allocator::installed();
        client::shutdown(Duration::from_millis(timeout_ms.into()))?;
        event::forget_all();
        allocator::withdraw(installed);
        Ok(())
    })
}

fn settings(config: &fw_config) -> Config {
    let user_data = UserData::new(config.thread_user_data);
    let hook = |function: fw_thread_fn| {
        function.map(|function| {
            // SAFETY: the caller of fw_init promises that its function can be called with its user
            // data on any thread.
            Arc::new(move || unsafe { function(user_data.get()) }) as Arc<dyn Fn() + Send + Sync>
        })
    };
    Config {
        worker_threads: config.worker_threads as usize,
        event_queue_bytes: config.event_queue_bytes,
        thread_started: hook(config.thread_started),
        thread_stopped: hook(config.thread_stopped),
    }
}

fn version_numbers() -> [u32; 3] {
    // Cargo checks that these are numbers.
    [env!("CARGO_PKG_VERSION_MAJOR"), env!("CARGO_PKG_VERSION_MINOR"), env!("CARGO_PKG_VERSION_PATCH")]
        .map(|number| number.parse().unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_macros_of_the_header_are_the_versions_of_the_crate() {
        let header = include_str!("../../include/framewire.h");
        let numbers: [u32; 3] = ["MAJOR", "MINOR", "PATCH"].map(|part| {
            let define = format!("#define FW_VERSION_{part} ");
            let line = header.lines().find_map(|line| line.strip_prefix(&define));
            line.expect("the macro is there").trim().parse().expect("a number")
        });
        assert_eq!(numbers, version_numbers());
        assert_eq!(fw_version(), numbers[0] << 16 | numbers[1] << 8 | numbers[2]);
    }

    #[test]
    fn half_a_set_of_allocator_hooks_is_refused() {
        unsafe extern "C" fn alloc(_: usize, _: usize, _: *mut c_void) -> *mut c_void {
            std::ptr::null_mut()
        }
        let config = fw_config { alloc: Some(alloc), ..DEFAULTS };
        // SAFETY: a whole struct.
        assert_eq!(unsafe { fw_init(&config) }, fw_result::FW_RESULT_INVALID_ARGUMENT);
        // SAFETY: NULL.
        assert_eq!(unsafe { fw_init(std::ptr::null()) }, fw_result::FW_RESULT_INVALID_ARGUMENT);
    }
}
