//! TLS settings, shared between sockets.

use std::ffi::c_char;
use std::mem::MaybeUninit;

use super::args::{Enumeration, bool_from_c, number, pointer};
use super::guard::guard;
use super::result::fw_result;
use super::text::bytes;
use crate::client::{Roots, Tls};
use crate::error::CallError;

/// TLS settings for sockets with wss: URLs.
///
/// A handle, valid until fw_tls_destroy, also after fw_shutdown. Sockets keep their settings alive.
/// Changes apply to connections opened later.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct fw_tls {
    /// 0 is never valid.
    pub id: u64,
}

impl fw_tls {
    pub(super) fn get(self) -> Result<Tls, CallError> {
        Tls::from_id(self.id)
    }
}

/// Root certificates to trust, in addition to those added with fw_tls_add_ca_pem.
#[repr(u32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum fw_roots {
    /// Mozilla's roots, built into the library and the same on every platform. The default.
    FW_ROOTS_WEBPKI = 0,
    /// The roots of the operating system. On Android see fw_android_init.
    FW_ROOTS_PLATFORM = 1,
    /// None: only those added with fw_tls_add_ca_pem, or keys pinned with fw_tls_add_pin_sha256.
    FW_ROOTS_NONE = 2,
}

// SAFETY: `repr(u32)`.
unsafe impl Enumeration for fw_roots {}

/// Creates TLS settings with webpki roots, verification on and their own session cache.
///
/// Not available in browsers: returns NOT_SUPPORTED (FW_CAPABILITY_TLS_SETTINGS).
///
/// \param out Receives the handle; not NULL.
/// \returns OK; INVALID_ARGUMENT (NULL); NOT_SUPPORTED (a build without TLS); OUT_OF_MEMORY.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fw_tls_create(out: *mut fw_tls) -> fw_result {
    guard(|| {
        let out = pointer(out, "out")?;
        let tls = Tls::create()?;
        // SAFETY: not NULL and aligned; the caller's to write.
        unsafe { out.write(fw_tls { id: tls.id() }) };
        Ok(())
    })
}

/// Adds trusted certificates.
///
/// For test servers and private networks. Each certificate is trusted as a certificate authority,
/// and also as the server's own certificate if the server presents exactly this one (its dates and
/// names are checked): self-signed certificates work, even marked as a CA, as openssl req -x509
/// makes them. May be called several times.
///
/// \param tls The settings.
/// \param pem One or more certificates in PEM format: the content of a file, not its path. No NUL
///   needed; copied.
/// \param len Size of pem in bytes.
/// \returns OK; INVALID_HANDLE; INVALID_ARGUMENT (NULL, or no usable certificate; then none is
///   added).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fw_tls_add_ca_pem(tls: fw_tls, pem: *const c_char, len: usize) -> fw_result {
    guard(|| {
        let tls = tls.get()?;
        // SAFETY: the caller promises that many bytes for the duration of the call.
        tls.add_ca_pem(unsafe { bytes(pem.cast(), len, "pem") }?)
    })
}

/// Sets the client certificate for servers that request one.
///
/// Replaces the previous one.
///
/// \param tls The settings.
/// \param cert_pem The certificate and its chain in PEM format; copied.
/// \param cert_len Size of cert_pem in bytes.
/// \param key_pem The private key in PEM format (PKCS#8, SEC1 or PKCS#1, not encrypted); copied.
/// \param key_len Size of key_pem in bytes.
/// \returns OK; INVALID_HANDLE; INVALID_ARGUMENT (NULL, nothing usable, or a key that does not
///   match).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fw_tls_set_client_cert_pem(
    tls: fw_tls,
    cert_pem: *const c_char,
    cert_len: usize,
    key_pem: *const c_char,
    key_len: usize,
) -> fw_result {
    guard(|| {
        let tls = tls.get()?;
        // SAFETY: the caller promises that many bytes for the duration of the call.
        let certificate = unsafe { bytes(cert_pem.cast(), cert_len, "cert_pem") }?;
        // SAFETY: as above.
        let key = unsafe { bytes(key_pem.cast(), key_len, "key_pem") }?;
        tls.set_client_cert_pem(certificate, key)
    })
}

/// Pins a public key: only servers with a pinned key are accepted.
///
/// In addition to normal verification. With FW_ROOTS_NONE and no added certificate, a matching pin
/// replaces the check of the issuer; dates, extended key usage and names are still checked. With
/// several pins, one must match. Compared with the key of the server's own certificate, not of an
/// intermediate. Not applied to proxies.
///
/// \param tls The settings.
/// \param pin SHA-256 of the certificate's SubjectPublicKeyInfo, 32 bytes; copied.
/// \returns OK; INVALID_HANDLE; INVALID_ARGUMENT (NULL).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fw_tls_add_pin_sha256(tls: fw_tls, pin: *const u8) -> fw_result {
    guard(|| {
        let tls = tls.get()?;
        let pin = pointer(pin.cast_mut().cast::<[u8; 32]>(), "pin")?;
        // SAFETY: not NULL; the caller promises 32 bytes.
        tls.add_pin_sha256(unsafe { pin.read() })
    })
}

/// Sets which root certificates are trusted.
///
/// \param tls The settings.
/// \param roots Default FW_ROOTS_WEBPKI.
/// \returns OK; INVALID_HANDLE; INVALID_ARGUMENT (not in fw_roots).
#[unsafe(no_mangle)]
pub extern "C" fn fw_tls_set_roots(tls: fw_tls, roots: MaybeUninit<fw_roots>) -> fw_result {
    guard(|| {
        let tls = tls.get()?;
        tls.set_roots(match number(roots) {
            0 => Roots::Webpki,
            1 => Roots::Platform,
            2 => Roots::None,
            other => return Err(CallError::argument(format!("{other} is not a value of fw_roots"))),
        })
    })
}

/// Disables certificate verification.
///
/// For development only: a man in the middle can read and change everything.
///
/// \param tls The settings.
/// \param enable Default false.
/// \returns OK; INVALID_HANDLE.
#[unsafe(no_mangle)]
pub extern "C" fn fw_tls_set_insecure(tls: fw_tls, enable: MaybeUninit<bool>) -> fw_result {
    guard(|| tls.get()?.set_insecure(bool_from_c(enable)))
}

/// Writes TLS session keys to the file named by the environment variable SSLKEYLOGFILE.
///
/// For development only: tools such as Wireshark can then decrypt the traffic.
///
/// \param tls The settings.
/// \param enable Default false.
/// \returns OK; INVALID_HANDLE.
#[unsafe(no_mangle)]
pub extern "C" fn fw_tls_set_key_log(tls: fw_tls, enable: MaybeUninit<bool>) -> fw_result {
    guard(|| tls.get()?.set_key_log(bool_from_c(enable)))
}

/// Destroys the handle.
///
/// Sockets that use the settings keep them.
///
/// \returns OK; INVALID_HANDLE (already destroyed).
#[unsafe(no_mangle)]
pub extern "C" fn fw_tls_destroy(tls: fw_tls) -> fw_result {
    guard(|| tls.get()?.destroy())
}
