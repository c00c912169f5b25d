//! Version, configuration, start and shutdown of the library.

use std::ffi::{c_char, c_void};
use std::mem::{MaybeUninit, size_of};
use std::sync::Arc;
use std::time::Duration;

use super::allocator::{self, Hooks};
use super::args::{Enumeration, UserData, number, pointer};
use super::buffers::{fw_pool_stats, fw_segment};
use super::callback_set::fw_callbacks;
use super::capture::fw_capture;
use super::compression::fw_compression;
use super::error::fw_error;
use super::event;
use super::event_types::fw_event;
use super::extension::{fw_extension, fw_extension_frame};
use super::guard::{guard, guard_or};
use super::lanes::{fw_lane, fw_lane_stats, fw_message};
use super::link::fw_link;
use super::message::fw_frame;
use super::reconnect::fw_reconnect;
use super::result::fw_result;
use super::sized::{self, sized};
use super::state::fw_stats;
use crate::client::{self, Config};
use crate::error::CallError;

/// Returns the version of the loaded library as major << 16 | minor << 8 | patch.
///
/// Compare it with FW_VERSION, the version of the header: the major version must be the same, and
/// while it is 0 the minor version too.
///
/// \returns The version.
#[unsafe(no_mangle)]
pub extern "C" fn fw_version() -> u32 {
    guard_or(0, || {
        let [major, minor, patch] = version_numbers();
        Ok(major << 16 | minor << 8 | patch)
    })
}

/// Returns the version of the loaded library as text: MAJOR.MINOR.PATCH.
///
/// FW_VERSION_STRING is the version of the header.
///
/// \returns A static string, never NULL.
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
    /// fw_message
    FW_STRUCT_MESSAGE = 13,
    /// fw_lane
    FW_STRUCT_LANE = 14,
    /// fw_lane_stats
    FW_STRUCT_LANE_STATS = 15,
    /// fw_link
    FW_STRUCT_LINK = 16,
    /// fw_capture
    FW_STRUCT_CAPTURE = 17,
}

// SAFETY: `repr(u32)`.
unsafe impl Enumeration for fw_struct {}

/// Returns the size of a struct in the loaded library.
///
/// Bindings that declare the structs in their own language can check at start that the layouts
/// agree.
///
/// \param which The struct.
/// \returns The size in bytes; 0 for a number that is not in fw_struct.
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
            13 => size_of::<fw_message>(),
            14 => size_of::<fw_lane>(),
            15 => size_of::<fw_lane_stats>(),
            16 => size_of::<fw_link>(),
            17 => size_of::<fw_capture>(),
            _ => return Err(CallError::argument("not a value of fw_struct")),
        })
    })
}

/// Allocates a block of memory.
///
/// Called on any thread, in parallel. Must not call the library.
///
/// \param size Size in bytes, never 0; need not be a multiple of align.
/// \param align Alignment in bytes: a power of two, at least the size of a pointer.
/// \param user_data The alloc_user_data of fw_config.
/// \returns A block of at least size bytes, aligned to align; NULL when allocation fails.
pub type fw_alloc_fn =
    Option<unsafe extern "C" fn(size: usize, align: usize, user_data: *mut c_void) -> *mut c_void>;

/// Resizes a block of memory.
///
/// The new block begins with the content of the old one, and the old one is freed. On failure the
/// old block stays valid. Called like fw_alloc_fn.
///
/// \param ptr A block that alloc or realloc returned, never NULL.
/// \param old_size The size it was allocated with, in bytes.
/// \param new_size Size in bytes, never 0.
/// \param align The alignment it was allocated with.
/// \param user_data The alloc_user_data of fw_config.
/// \returns A block of at least new_size bytes, aligned to align; NULL when allocation fails.
pub type fw_realloc_fn = Option<
    unsafe extern "C" fn(
        ptr: *mut c_void,
        old_size: usize,
        new_size: usize,
        align: usize,
        user_data: *mut c_void,
    ) -> *mut c_void,
>;

/// Frees a block of memory.
///
/// Called like fw_alloc_fn.
///
/// \param ptr A block that alloc or realloc returned, never NULL.
/// \param size The size it was allocated with, in bytes.
/// \param align The alignment it was allocated with.
/// \param user_data The alloc_user_data of fw_config.
pub type fw_free_fn =
    Option<unsafe extern "C" fn(ptr: *mut c_void, size: usize, align: usize, user_data: *mut c_void)>;

/// Called on a thread of the library when it starts or ends.
///
/// \param user_data The thread_user_data of fw_config.
pub type fw_thread_fn = Option<unsafe extern "C" fn(user_data: *mut c_void)>;

/// Configuration of the library.
///
/// Initialize it with fw_config_init; fw_init copies it. Zero and NULL mean the default in every
/// field.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct fw_config {
    /// sizeof(fw_config), set by fw_config_init.
    pub struct_size: u32,
    /// Number of worker threads, at most 64. Default: 1, which carries thousands of sockets. In
    /// browsers there are none.
    pub worker_threads: u32,
    /// Allocates all memory of the library; set it together with free. The functions must stay
    /// callable until the process ends or the library is unloaded: a block is freed by the
    /// functions that allocated it, even after fw_shutdown. For NULL see Memory above. Default: the
    /// system's allocator.
    pub alloc: fw_alloc_fn,
    /// Optional. When NULL, blocks are resized by allocating and copying.
    pub realloc: fw_realloc_fn,
    /// Set it together with alloc.
    pub free: fw_free_fn,
    /// Passed to alloc, realloc and free.
    pub alloc_user_data: *mut c_void,
    /// Called first on each thread of the library, for example to register it with a profiler or
    /// attach it to a VM.
    pub thread_started: fw_thread_fn,
    /// Called last on each thread of the library.
    pub thread_stopped: fw_thread_fn,
    /// Passed to thread_started and thread_stopped.
    pub thread_user_data: *mut c_void,
    /// Size of a socket's event queue in bytes; less than 16 KiB counts as 16 KiB. When the unread events (payload
    /// plus 64 bytes each) reach it, the socket stops reading from the network until events are
    /// taken (backpressure). May be exceeded by one message and one read of 64 KiB. Default: 4 MiB.
    pub event_queue_bytes: usize,
    /// 1: the library does not watch the network, and only fw_network_changed reports changes. 0 (the
    /// default): see fw_network_changed.
    pub ignore_network_changes: u32,
    /// Must be 0.
    pub reserved: u32,
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
    ignore_network_changes: 0,
    reserved: 0,
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
        ignore_network_changes,
        reserved,
    },
    DEFAULTS
);

/// Initializes a configuration with the defaults.
///
/// \param config Written to; NULL does nothing.
/// \param struct_size sizeof(fw_config).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fw_config_init(config: *mut fw_config, struct_size: usize) {
    // SAFETY: the caller promises that struct_size bytes can be written there.
    unsafe { sized::init(config, struct_size) }
}

/// Starts the library with a configuration.
///
/// Optional: the first socket starts the library with the defaults. The allocator functions are
/// used for new blocks until fw_shutdown has returned OK; blocks that the program still holds are
/// freed by them later. thread_started runs on the new threads.
///
/// \param config Initialized with fw_config_init, not NULL; copied.
/// \returns OK; INVALID_ARGUMENT (NULL, struct_size, too many threads, only one of alloc and free,
///   reserved not 0); NOT_SUPPORTED (a field is set that only a newer library knows); INVALID_STATE (already
///   started, by this call or by a socket; or more than 16 different sets of allocator functions
///   have live blocks); SHUT_DOWN (a shutdown is in progress); OUT_OF_MEMORY (a thread could not be
///   started).
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
            _ => return Err(CallError::argument("set both alloc and free, or neither and no realloc")),
        };
        if config.reserved != 0 {
            return Err(CallError::argument("reserved must be 0"));
        }
        // Before the library starts, so that all of its allocations use the hooks.
        let installed = hooks.map(allocator::install).transpose()?;
        client::init(settings(&config)).inspect_err(|_| {
            if let Some(installed) = installed {
                allocator::withdraw(installed);
            }
        })
    })
}

/// Shuts the library down gracefully: destroys every socket and ends every thread.
///
/// Open connections send what is queued, then a close frame with code 1001, and wait for the
/// server's close frame until the server has been silent for 250 ms. Sending may take three
/// quarters of the timeout, or all but half a second of it if that is more; the rest is dropped and
/// logged (FW_LOG_WARN). Sockets that are connecting are cancelled. A timeout of 0 drops everything
/// at once.
///
/// After OK, no thread of the library exists and no callback runs or will run; the library can be
/// started again. fw_tls handles and segments that the caller holds stay valid. An editor calls
/// this before it unloads scripts (hot reload).
///
/// Blocks up to timeout_ms, at least 100 ms if threads and their callbacks need it to end, plus the
/// run time of the finalizers, which run inside this call. thread_stopped runs on the ending
/// threads.
///
/// In browsers it does not wait: the browser sends what is queued and closes with code 1000.
///
/// \param timeout_ms Timeout in milliseconds.
/// \returns OK, also when nothing was running; INVALID_STATE (called in a function given to the
///   library, or on a thread of the library); TIMED_OUT (a thread or a callback has not ended; all
///   sockets are destroyed; call again to wait longer).
/// \threadsafety Any thread, not inside a callback.
#[unsafe(no_mangle)]
pub extern "C" fn fw_shutdown(timeout_ms: u32) -> fw_result {
    guard(|| {
        let installed = allocator::installed();
        client::shutdown(Duration::from_millis(timeout_ms.into()))?;
        event::drop_requests();
        allocator::withdraw(installed);
        Ok(())
    })
}

fn settings(config: &fw_config) -> Config {
    let user_data = UserData::new(config.thread_user_data);
    let hook = |function: fw_thread_fn| {
        function.map(|function| {
            // SAFETY: the caller of fw_init promises that the function can be called with its
            // user_data on any thread.
            Arc::new(move || unsafe { function(user_data.get()) }) as Arc<dyn Fn() + Send + Sync>
        })
    };
    Config {
        worker_threads: config.worker_threads as usize,
        event_queue_bytes: config.event_queue_bytes,
        ignore_network_changes: config.ignore_network_changes != 0,
        thread_started: hook(config.thread_started),
        thread_stopped: hook(config.thread_stopped),
    }
}

fn version_numbers() -> [u32; 3] {
    // Cargo guarantees that these are numbers.
    [env!("CARGO_PKG_VERSION_MAJOR"), env!("CARGO_PKG_VERSION_MINOR"), env!("CARGO_PKG_VERSION_PATCH")]
        .map(|number| number.parse().unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn version_macros_match_the_crate() {
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
    fn alloc_without_free_is_refused() {
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
