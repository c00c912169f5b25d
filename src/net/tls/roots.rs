//! Root certificates: builds the chain verifier for each setting.

#[cfg(any(target_os = "android", all(test, unix)))]
mod folders;
#[cfg(any(target_os = "android", feature = "internals"))]
#[allow(unsafe_code)]
pub mod java;

use std::sync::{Arc, Mutex, PoisonError};

use rustls::RootCertStore;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier;
use rustls::pki_types::CertificateDer;

use super::Roots;
#[cfg(not(target_os = "android"))]
use super::error::describe;
use super::humanize::humanize_text;
use super::provider::{self, provider, shared};
use crate::error::{CallError, Code};
#[cfg(target_os = "android")]
use crate::{
    logging::{self, LogLevel},
    net::{android, options},
};

/// Builds a verifier that trusts `roots` and the caller's certificates.
pub fn chain_verifier(
    roots: Roots,
    own: &[CertificateDer<'static>],
) -> Result<Arc<dyn ServerCertVerifier>, CallError> {
    match roots {
        Roots::Webpki if own.is_empty() => webpki_verifier(built_in()),
        Roots::Webpki => webpki_verifier(with_own(RootCertStore::clone(&built_in()), own)),
        Roots::None if own.is_empty() => Err(CallError::state(
            "without roots no server is trusted: add a certificate with fw_tls_add_ca_pem, pin the server's \
             key with fw_tls_add_pin_sha256 (pins do not apply to a proxy), or choose other roots",
        )),
        Roots::None => webpki_verifier(with_own(RootCertStore::empty(), own)),
        Roots::Platform => platform_verifier(own),
    }
}

/// Returns Mozilla's roots, built once.
fn built_in() -> Arc<RootCertStore> {
    shared(&BUILT_IN, || Arc::new(webpki_roots::TLS_SERVER_ROOTS.iter().cloned().collect()))
}

static BUILT_IN: Mutex<Option<Arc<RootCertStore>>> = Mutex::new(None);

/// Releases state shared by connectors. Called when the library has stopped, so that no leak is reported.
pub fn forget_shared() {
    BUILT_IN.lock().unwrap_or_else(PoisonError::into_inner).take();
    provider::forget();
}

/// Adds certificates that were checked before, so none is skipped.
fn with_own(mut store: RootCertStore, own: &[CertificateDer<'static>]) -> Arc<RootCertStore> {
    store.add_parsable_certificates(own.iter().cloned());
    Arc::new(store)
}

fn webpki_verifier(store: Arc<RootCertStore>) -> Result<Arc<dyn ServerCertVerifier>, CallError> {
    match WebPkiServerVerifier::builder_with_provider(store, provider()).build() {
        Ok(verifier) => Ok(verifier),
        Err(error) => Err(CallError::new(
            Code::Internal,
            format!("the root certificates: {}", humanize_text(&error.to_string())),
        )),
    }
}

#[cfg(not(target_os = "android"))]
fn platform_verifier(own: &[CertificateDer<'static>]) -> Result<Arc<dyn ServerCertVerifier>, CallError> {
    use rustls_platform_verifier::Verifier;
    match Verifier::new_with_extra_roots(own.iter().cloned(), provider()) {
        Ok(verifier) => Ok(Arc::new(verifier)),
        Err(error) => {
            let message = format!("the system's root certificates cannot be used: {}", describe(&error));
            Err(CallError::new(Code::NotSupported, message))
        }
    }
}

/// Trusts the authorities that Java names. Without a VM, or if Java fails, those in the system's folders.
#[cfg(target_os = "android")]
fn platform_verifier(own: &[CertificateDer<'static>]) -> Result<Arc<dyn ServerCertVerifier>, CallError> {
    if let Some(authorities) = java_authorities() {
        return verifier_for(authorities, own);
    }
    android_verifier(&folders::Folders::of_user(options::android_user()), own)
}

#[cfg(target_os = "android")]
#[allow(unsafe_code)]
fn java_authorities() -> Option<Vec<CertificateDer<'static>>> {
    let vm = android::vm()?;
    // SAFETY: the caller of `android_init` guarantees it.
    match unsafe { java::authorities(vm.as_ptr()) } {
        Ok(authorities) => Some(authorities),
        Err(why) => {
            let instead = "the root certificates in the system's folders are used";
            logging::note(LogLevel::Warn, format_args!("{why}; {instead}"));
            None
        }
    }
}

#[cfg(any(target_os = "android", all(test, unix)))]
fn android_verifier(
    folders: &folders::Folders,
    own: &[CertificateDer<'static>],
) -> Result<Arc<dyn ServerCertVerifier>, CallError> {
    let authorities = folders.read().map_err(|why| {
        let message = format!("the system's root certificates cannot be used: {why}");
        CallError::new(Code::NotSupported, message)
    })?;
    verifier_for(authorities, own)
}

/// Verifies chain, dates, names and usage as with the built-in roots; revocation is not checked.
#[cfg(any(target_os = "android", all(test, unix)))]
fn verifier_for(
    authorities: Vec<CertificateDer<'static>>,
    own: &[CertificateDer<'static>],
) -> Result<Arc<dyn ServerCertVerifier>, CallError> {
    let mut store = RootCertStore::empty();
    store.add_parsable_certificates(authorities);
    webpki_verifier(with_own(store, own))
}
