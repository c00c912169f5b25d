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
/// A handle: copy it freely. Ends with fw_tls_destroy; sockets that were given it keep the settings
/// alive. Does not end with fw_shutdown.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct fw_tls {
    /// 0 is none.
    pub id: u64,
}

impl fw_tls {
    pub(super) fn get(self) -> Result<Tls, CallError> {
        Tls::from_id(self.id)
    }
}

/// Which certificate authorities are trusted, beside those added.
#[repr(u32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum fw_roots {
    /// Those that Mozilla trusts, built into the library: the default, the same everywhere.
    FW_ROOTS_WEBPKI = 0,
    /// Those that the operating system trusts.
    FW_ROOTS_PLATFORM = 1,
    /// None but those added with fw_tls_add_ca_pem, or pinned with fw_tls_add_pin_sha256.
    FW_ROOTS_NONE = 2,
}

// SAFETY: `repr(u32)`.
unsafe impl Enumeration for fw_roots {}

/// Makes TLS settings.
///
/// With webpki roots, verification on, and a session cache of their own.
///
/// out: receives the handle; not NULL.
/// Returns: OK; INVALID_ARGUMENT (NULL); NOT_SUPPORTED (a build without TLS); OUT_OF_MEMORY.
/// Threads: any.
/// Callbacks: none.
/// Blocks: no.
/// Since: 0.1.0.
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

/// Trusts more certificates.
///
/// For test servers and private networks. Each certificate is trusted as an authority, and as a server's
/// own certificate when a server presents the very same one, byte for byte: for its dates and names, even
/// if it is marked as a CA's, as openssl req -x509 does by default. May be called several times.
///
/// tls: the settings; later changes reach connections opened later.
/// pem: one or more certificates in PEM, len bytes, no NUL needed; copied.
/// len: bytes.
/// Returns: OK; INVALID_HANDLE; INVALID_ARGUMENT (NULL, or nothing usable in it; then none is added).
/// Threads: any.
/// Callbacks: none.
/// Blocks: no.
/// Since: 0.1.0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fw_tls_add_ca_pem(tls: fw_tls, pem: *const c_char, len: usize) -> fw_result {
    guard(|| {
        let tls = tls.get()?;
        // SAFETY: the caller promises that many bytes for the length of the call.
        tls.add_ca_pem(unsafe { bytes(pem.cast(), len, "pem") }?)
    })
}

/// Shows a certificate to servers that ask for one.
///
/// Replaces the one set before.
///
/// tls: the settings; later changes reach connections opened later.
/// cert_pem: the certificate and the rest of its chain in PEM, cert_len bytes; copied.
/// cert_len: bytes.
/// key_pem: its private key in PEM (PKCS#8, SEC1 or PKCS#1, not encrypted), key_len bytes; copied.
/// key_len: bytes.
/// Returns: OK; INVALID_HANDLE; INVALID_ARGUMENT (NULL, nothing usable in it, or a key that does not fit).
/// Threads: any.
/// Callbacks: none.
/// Blocks: no.
/// Since: 0.1.0.
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
        // SAFETY: the caller promises that many bytes for the length of the call.
        let certificate = unsafe { bytes(cert_pem.cast(), cert_len, "cert_pem") }?;
        // SAFETY: as above.
        let key = unsafe { bytes(key_pem.cast(), key_len, "key_pem") }?;
        tls.set_client_cert_pem(certificate, key)
    })
}

/// Accepts only servers with a certain public key.
///
/// On top of the usual verification. With FW_ROOTS_NONE and no certificate added, a matching pin replaces
/// the check of the issuer; dates, extended key usage and names are still checked. With several pins any
/// of them will do. A pin is compared with the key of the server's own certificate, not with that of an
/// intermediate; it does not apply to a proxy.
///
/// tls: the settings; later changes reach connections opened later.
/// pin: 32 bytes, the SHA-256 of the certificate's SubjectPublicKeyInfo; copied.
/// Returns: OK; INVALID_HANDLE; INVALID_ARGUMENT (NULL).
/// Threads: any.
/// Callbacks: none.
/// Blocks: no.
/// Since: 0.1.0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fw_tls_add_pin_sha256(tls: fw_tls, pin: *const u8) -> fw_result {
    guard(|| {
        let tls = tls.get()?;
        let pin = pointer(pin.cast_mut().cast::<[u8; 32]>(), "pin")?;
        // SAFETY: not NULL; the caller promises 32 bytes.
        tls.add_pin_sha256(unsafe { pin.read() })
    })
}

/// Chooses which certificate authorities are trusted.
///
/// Those added with fw_tls_add_ca_pem are trusted besides.
///
/// tls: the settings; later changes reach connections opened later.
/// roots: default FW_ROOTS_WEBPKI.
/// Returns: OK; INVALID_HANDLE; INVALID_ARGUMENT (no such number).
/// Threads: any.
/// Callbacks: none.
/// Blocks: no.
/// Since: 0.1.0.
#[unsafe(no_mangle)]
pub extern "C" fn fw_tls_set_roots(tls: fw_tls, roots: MaybeUninit<fw_roots>) -> fw_result {
    guard(|| {
        let tls = tls.get()?;
        tls.set_roots(match number(roots) {
            0 => Roots::Webpki,
            1 => Roots::Platform,
            2 => Roots::None,
            other => return Err(CallError::argument(format!("{other} is no choice of roots"))),
        })
    })
}

/// Accepts any certificate.
///
/// Anybody on the way can then read and change everything: for development only.
///
/// tls: the settings; later changes reach connections opened later.
/// enable: default false.
/// Returns: OK; INVALID_HANDLE.
/// Threads: any.
/// Callbacks: none.
/// Blocks: no.
/// Since: 0.1.0.
#[unsafe(no_mangle)]
pub extern "C" fn fw_tls_set_insecure(tls: fw_tls, enable: MaybeUninit<bool>) -> fw_result {
    guard(|| tls.get()?.set_insecure(bool_from_c(enable)))
}

/// Writes the keys of connections to the file that the environment variable SSLKEYLOGFILE names.
///
/// So that tools such as Wireshark can show what was said: for development only.
///
/// tls: the settings; later changes reach connections opened later.
/// enable: default false.
/// Returns: OK; INVALID_HANDLE.
/// Threads: any.
/// Callbacks: none.
/// Blocks: no.
/// Since: 0.1.0.
#[unsafe(no_mangle)]
pub extern "C" fn fw_tls_set_key_log(tls: fw_tls, enable: MaybeUninit<bool>) -> fw_result {
    guard(|| tls.get()?.set_key_log(bool_from_c(enable)))
}

/// Destroys the handle.
///
/// Sockets that use it keep its settings.
///
/// tls: the settings.
/// Returns: OK; INVALID_HANDLE (destroyed already).
/// Threads: any.
/// Callbacks: none.
/// Blocks: no.
/// Since: 0.1.0.
#[unsafe(no_mangle)]
pub extern "C" fn fw_tls_destroy(tls: fw_tls) -> fw_result {
    guard(|| tls.get()?.destroy())
}
