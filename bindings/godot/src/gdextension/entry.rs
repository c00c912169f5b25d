//! The entry point, by which Godot loads the library.

use super::interface::{self, GetProcAddress, Initialization, Pointer};
use super::method::guard;
use super::string;

/// When classes of the engine such as Node exist.
const LEVEL_SCENE: u32 = 2;
const LEVEL_EDITOR: u32 = 3;

/// What the extension does when it is loaded and unloaded.
pub struct Extension {
    pub register: fn(),
    pub load_docs: fn(),
    pub unregister: fn(),
}

/// # Safety
///
/// The pointers are those that Godot passes to the entry point.
pub unsafe fn start(
    get: GetProcAddress,
    library: Pointer,
    initialization: *mut Initialization,
    extension: &'static Extension,
) -> u8 {
    // SAFETY: the caller's.
    unsafe {
        if !interface::load(get, library) {
            return 0;
        }
        *initialization = Initialization {
            minimum_level: LEVEL_SCENE,
            userdata: std::ptr::from_ref(extension).cast_mut().cast(),
            initialize,
            deinitialize,
        };
    }
    1
}

unsafe extern "C" fn initialize(extension: Pointer, level: u32) {
    // SAFETY: the pointer from `start`.
    let extension = unsafe { &*extension.cast::<Extension>() };
    guard(|| match level {
        LEVEL_SCENE => (extension.register)(),
        LEVEL_EDITOR => (extension.load_docs)(),
        _ => {}
    });
}

unsafe extern "C" fn deinitialize(extension: Pointer, level: u32) {
    if level != LEVEL_SCENE {
        return;
    }
    // SAFETY: the pointer from `start`.
    let extension = unsafe { &*extension.cast::<Extension>() };
    guard(|| (extension.unregister)());
    // SAFETY: Godot makes no more calls, and the threads of the library have ended.
    unsafe {
        string::destroy_names();
        interface::unload();
    }
}

/// Exports the entry point under a name.
macro_rules! entry_point {
    ($name:ident, $extension:expr) => {
        /// # Safety
        ///
        /// Called by Godot.
        #[allow(unsafe_code)]
        #[unsafe(no_mangle)]
        pub unsafe extern "C" fn $name(
            get: $crate::gdextension::GetProcAddress,
            library: $crate::gdextension::Pointer,
            initialization: *mut $crate::gdextension::Initialization,
        ) -> u8 {
            // SAFETY: the caller's.
            unsafe { $crate::gdextension::entry::start(get, library, initialization, $extension) }
        }
    };
}

pub(crate) use entry_point;
