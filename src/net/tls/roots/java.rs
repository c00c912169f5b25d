//! Reads the certificate authorities that an Android app trusts from Java.
//!
//! ```text
//!   TrustManagerFactory.getDefaultAlgorithm() ─► getInstance(…) ─► init(null) ─► getTrustManagers()
//!        └► X509TrustManager.getAcceptedIssuers() ─► X509Certificate.getEncoded()
//! ```
//!
//! The result is that of the app's network security configuration, its `base-config`: the system's authorities
//! without those that the user has turned off, and those that the user has installed if the configuration says
//! so. All classes are part of every Java runtime, so that the app needs no Java code of this library.

use std::ffi::{CStr, c_void};
use std::ptr;

use jni_sys::{
    JNI_EDETACHED, JNI_OK, JNI_VERSION_1_6, JNIEnv, JavaVM, jclass, jmethodID, jobject, jsize, jvalue,
};
use rustls::pki_types::CertificateDer;

use crate::net::tls::authority::check_authority;

/// References to objects that one call of [`authorities`] keeps, besides those of each certificate.
const REFERENCES: i32 = 16;

/// Returns the authorities, or the reason why Java has named none. May be called on any thread.
///
/// # Safety
///
/// `vm` is the `JavaVM` of this process.
pub unsafe fn authorities(vm: *mut c_void) -> Result<Vec<CertificateDer<'static>>, String> {
    let vm: *mut JavaVM = vm.cast();
    let mut env = ptr::null_mut();
    // SAFETY: the caller guarantees the VM. Both functions write the environment of this thread.
    let attached = unsafe {
        match ((**vm).v1_4.GetEnv)(vm, &mut env, JNI_VERSION_1_6) {
            JNI_OK => false,
            JNI_EDETACHED => match ((**vm).v1_4.AttachCurrentThread)(vm, &mut env, ptr::null_mut()) {
                JNI_OK => true,
                error => return Err(format!("a thread cannot be attached to the Java VM: error {error}")),
            },
            error => return Err(format!("the Java VM has no JNI 1.6: error {error}")),
        }
    };
    let java = Java(env.cast());
    let found = java.in_frame(accepted_issuers);
    if attached {
        // SAFETY: as above; `java` is not used any more, and there is no Java code below on the stack.
        unsafe { ((**vm).v1_4.DetachCurrentThread)(vm) };
    }
    let mut found: Vec<CertificateDer<'static>> = found?.into_iter().map(CertificateDer::from).collect();
    found.retain(|certificate| check_authority(certificate).is_ok());
    if found.is_empty() { Err("Java has named no authority".into()) } else { Ok(found) }
}

fn accepted_issuers(java: &Java) -> Result<Vec<Vec<u8>>, String> {
    let factories = java.class(c"javax/net/ssl/TrustManagerFactory")?;
    let x509_managers = java.class(c"javax/net/ssl/X509TrustManager")?;
    let certificates = java.class(c"java/security/cert/Certificate")?;
    let algorithm = java.call_static(factories, c"getDefaultAlgorithm", c"()Ljava/lang/String;", &[])?;
    let signature = c"(Ljava/lang/String;)Ljavax/net/ssl/TrustManagerFactory;";
    let factory = java.call_static(factories, c"getInstance", signature, &[jvalue { l: algorithm }])?;
    let init = java.method(factories, c"init", c"(Ljava/security/KeyStore;)V")?;
    // Without a key store it takes the authorities of the system and the configuration.
    java.call_void(factory, init, &[jvalue { l: ptr::null_mut() }])?;
    let get_managers = java.method(factories, c"getTrustManagers", c"()[Ljavax/net/ssl/TrustManager;")?;
    let get_issuers =
        java.method(x509_managers, c"getAcceptedIssuers", c"()[Ljava/security/cert/X509Certificate;")?;
    let get_encoded = java.method(certificates, c"getEncoded", c"()[B")?;
    let managers = java.call(factory, get_managers)?;
    let mut found = Vec::new();
    for at in 0..java.length(managers) {
        let manager = java.element(managers, at)?;
        if !java.is_instance(manager, x509_managers) {
            continue;
        }
        let issuers = java.call(manager, get_issuers)?;
        for at in 0..java.length(issuers) {
            // A frame for each, because there may be more than a frame has references.
            found.push(java.in_frame(|java| {
                let issuer = java.element(issuers, at)?;
                java.bytes(java.call(issuer, get_encoded)?)
            })?);
        }
    }
    Ok(found)
}

/// The functions of JNI on a thread. A method that fails leaves no exception pending.
///
/// Every object and class comes from the same environment and is used before its frame ends; every signature is
/// that of the Java documentation.
struct Java(*mut JNIEnv);

impl Java {
    fn in_frame<T>(&self, run: impl FnOnce(&Java) -> Result<T, String>) -> Result<T, String> {
        // SAFETY: `authorities` has got the environment for this thread.
        let pushed = unsafe { ((**self.0).v1_6.PushLocalFrame)(self.0, REFERENCES) };
        self.check("a frame for references")?;
        if pushed != JNI_OK {
            return Err("Java is out of memory".into());
        }
        let result = run(self);
        // SAFETY: as above; the frame was pushed, and `run` returns no reference.
        unsafe { ((**self.0).v1_6.PopLocalFrame)(self.0, ptr::null_mut()) };
        result
    }

    fn class(&self, name: &CStr) -> Result<jclass, String> {
        // SAFETY: the environment is valid, see `Java`; the name is terminated.
        let class = unsafe { ((**self.0).v1_6.FindClass)(self.0, name.as_ptr()) };
        self.checked(class, name)
    }

    fn method(&self, class: jclass, name: &CStr, signature: &CStr) -> Result<jmethodID, String> {
        // SAFETY: as in `class`; the class is valid, see `Java`.
        let method =
            unsafe { ((**self.0).v1_6.GetMethodID)(self.0, class, name.as_ptr(), signature.as_ptr()) };
        self.checked(method, name)
    }

    fn call_static(
        &self,
        class: jclass,
        name: &CStr,
        signature: &CStr,
        arguments: &[jvalue],
    ) -> Result<jobject, String> {
        // SAFETY: as in `method`.
        let method =
            unsafe { ((**self.0).v1_6.GetStaticMethodID)(self.0, class, name.as_ptr(), signature.as_ptr()) };
        let method = self.checked(method, name)?;
        // SAFETY: the method is one of the class and takes these arguments.
        let object =
            unsafe { ((**self.0).v1_6.CallStaticObjectMethodA)(self.0, class, method, arguments.as_ptr()) };
        self.checked(object, name)
    }

    fn call(&self, object: jobject, method: jmethodID) -> Result<jobject, String> {
        // SAFETY: the object is valid and has the method, which takes no arguments.
        let result = unsafe { ((**self.0).v1_6.CallObjectMethodA)(self.0, object, method, ptr::null()) };
        self.checked(result, c"a method")
    }

    fn call_void(&self, object: jobject, method: jmethodID, arguments: &[jvalue]) -> Result<(), String> {
        // SAFETY: the object is valid and has the method, which takes these arguments.
        unsafe { ((**self.0).v1_6.CallVoidMethodA)(self.0, object, method, arguments.as_ptr()) };
        self.check("a method")
    }

    fn is_instance(&self, object: jobject, class: jclass) -> bool {
        // SAFETY: both are valid, see `Java`.
        unsafe { ((**self.0).v1_6.IsInstanceOf)(self.0, object, class) }
    }

    fn length(&self, array: jobject) -> jsize {
        // SAFETY: the array is valid, see `Java`.
        unsafe { ((**self.0).v1_6.GetArrayLength)(self.0, array) }
    }

    fn element(&self, array: jobject, at: jsize) -> Result<jobject, String> {
        // SAFETY: the array is one of objects. An index beyond its end is an exception.
        let element = unsafe { ((**self.0).v1_6.GetObjectArrayElement)(self.0, array, at) };
        self.checked(element, c"an element of an array")
    }

    fn bytes(&self, array: jobject) -> Result<Vec<u8>, String> {
        let length = self.length(array);
        let mut bytes = vec![0_u8; usize::try_from(length).unwrap_or_default()];
        // SAFETY: the array is one of bytes, and `bytes` has its length.
        unsafe { ((**self.0).v1_6.GetByteArrayRegion)(self.0, array, 0, length, bytes.as_mut_ptr().cast()) };
        self.check("the bytes of an array")?;
        Ok(bytes)
    }

    fn checked<T>(&self, result: *mut T, what: &CStr) -> Result<*mut T, String> {
        let what = what.to_string_lossy();
        self.check(&what)?;
        if result.is_null() { Err(format!("Java returns null for {what}")) } else { Ok(result) }
    }

    /// Turns a pending exception into an error: almost no function may be called while there is one.
    fn check(&self, what: &str) -> Result<(), String> {
        // SAFETY: the environment is valid, see `Java`; these functions may be called at any time.
        let failed = unsafe {
            let failed = ((**self.0).v1_6.ExceptionCheck)(self.0);
            if failed {
                ((**self.0).v1_6.ExceptionClear)(self.0);
            }
            failed
        };
        if failed { Err(format!("Java has thrown an exception for {what}")) } else { Ok(()) }
    }
}
