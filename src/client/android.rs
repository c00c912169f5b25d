//! What an app hands over on Android.

use std::ffi::c_void;
use std::ptr::NonNull;

use crate::capabilities::{Capability, require};
use crate::error::CallError;
use crate::net::android;

/// Hands over the Java VM of an Android app, so that [`Roots::Platform`](crate::Roots::Platform) honours the app's
/// network security configuration. Without it, that setting trusts the system's authorities.
///
/// The first VM is kept until the process ends; later calls have no effect. Returns
/// [`NotSupported`](crate::Code::NotSupported) without [`Capability::Android`].
///
/// # Safety
///
/// `java_vm` is the `JavaVM` of this process.
#[allow(unsafe_code)]
pub unsafe fn android_init(
    java_vm: NonNull<c_void>,
    application_context: NonNull<c_void>,
) -> Result<(), CallError> {
    require(Capability::Android)?;
    // The default trust manager needs no context. A check that needs one (of a host's own configuration) can
    // be added without a new function.
    let _ = application_context;
    android::keep_vm(java_vm);
    Ok(())
}
