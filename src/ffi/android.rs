//! What an app hands over on Android.

use std::ffi::c_void;

use super::args::pointer;
use super::guard::guard;
use super::result::fw_result;
use crate::client;

/// Hands over the Java VM of an Android app.
///
/// With it, FW_ROOTS_PLATFORM honours the app's network security configuration (base-config):
/// authorities that the user has installed are trusted if the configuration says so. Without it,
/// and if Java fails, FW_ROOTS_PLATFORM reads the system's certificate folders: authorities of the
/// system are trusted unless the user has turned them off, installed ones are not, as is Android's
/// default. Optional; call it before the first connection with FW_ROOTS_PLATFORM. The VM is kept
/// until the process ends; a second call has no effect, also from another thread.
///
/// Only on Android: elsewhere returns NOT_SUPPORTED (FW_CAPABILITY_ANDROID).
///
/// \param java_vm The JavaVM * of this process, as JNI_OnLoad gets it; not NULL. Other pointers
///   cannot be detected.
/// \param application_context The application's android.content.Context as a jobject, of any kind of
///   reference; not NULL. Not used after the call.
/// \returns OK; INVALID_ARGUMENT (NULL); NOT_SUPPORTED (not Android).
/// \since 0.2.0
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fw_android_init(
    java_vm: *mut c_void,
    application_context: *mut c_void,
) -> fw_result {
    guard(|| {
        let java_vm = pointer(java_vm, "java_vm")?;
        let application_context = pointer(application_context, "application_context")?;
        // SAFETY: the header requires that it is the VM.
        unsafe { client::android_init(java_vm, application_context) }
    })
}
