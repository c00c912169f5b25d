//! Reads the certificate authorities of Android from the system's folders.
//!
//! Android has no C API for them. Its own Java code reads these folders too; every app may.
//!
//! | folder | content | here |
//! | --- | --- | --- |
//! | `/apex/com.android.conscrypt/cacerts` | the system's authorities, updated by Google Play, since Android 14 | trusted |
//! | `/system/etc/security/cacerts` | the system's authorities | trusted if the folder above is missing or has none |
//! | `/data/misc/user/0/cacerts-removed` | those that the user has turned off | not trusted |
//! | `/data/misc/user/0/cacerts-added` | those that the user or an administrator has installed | not read |
//!
//! Apps that target Android 7 or newer do not trust added authorities unless their network security configuration
//! says so, and only Java knows that configuration (`java`).

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use crate::limits;
use crate::logging::{self, LogLevel};
use crate::net::tls::authority::check_authority;

/// Where the certificates are.
pub struct Folders {
    /// The first of these that has a usable certificate counts.
    pub system: Vec<PathBuf>,
    pub removed: PathBuf,
}

impl Folders {
    /// The folders of a device, for a user of it: work profiles and guests are users with an own number.
    pub fn of_user(user: u32) -> Self {
        Self {
            system: ["/apex/com.android.conscrypt/cacerts", "/system/etc/security/cacerts"]
                .map(PathBuf::from)
                .into(),
            removed: format!("/data/misc/user/{user}/cacerts-removed").into(),
        }
    }

    /// Returns the authorities that the system trusts, at least one, or the reason.
    ///
    /// Expired ones too, as on Android: the dates of a root are not checked.
    pub fn read(&self) -> Result<Vec<CertificateDer<'static>>, String> {
        let mut reasons = Vec::new();
        for folder in &self.system {
            match certificates(folder) {
                Ok(found) if found.is_empty() => {
                    reasons.push(format!("{} contains no certificate", folder.display()));
                }
                Ok(found) => return self.without_removed(found),
                Err(error) => reasons.push(format!("{}: {error}", folder.display())),
            }
        }
        Err(reasons.join("; "))
    }

    fn without_removed(
        &self,
        mut found: Vec<CertificateDer<'static>>,
    ) -> Result<Vec<CertificateDer<'static>>, String> {
        let removed = match certificates(&self.removed) {
            Ok(removed) => removed,
            // The user has never turned one off.
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            // Trusting what the user may have turned off is no choice.
            Err(error) => return Err(format!("{}: {error}", self.removed.display())),
        };
        found.retain(|certificate| !removed.contains(certificate));
        if found.is_empty() { Err("the user has turned all authorities off".into()) } else { Ok(found) }
    }
}

/// Reads every file of a folder; skips and logs what is not usable. Sorted, each certificate once.
fn certificates(folder: &Path) -> io::Result<Vec<CertificateDer<'static>>> {
    let mut found = Vec::new();
    for entry in folder.read_dir()? {
        let path = entry?.path();
        match read(&path) {
            Ok(in_file) => found.extend(in_file),
            Err(why) => logging::note(
                LogLevel::Debug,
                format_args!("system root certificates: {}: {why}", path.display()),
            ),
        }
    }
    found.sort_by(|one, other| one.as_ref().cmp(other.as_ref()));
    found.dedup();
    Ok(found)
}

/// Reads a file: PEM with any text around it, or DER, as Android writes those of the user.
fn read(path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let text = |error: io::Error| error.to_string();
    // Before it is opened: opening a FIFO would block.
    if !path.metadata().map_err(text)?.is_file() {
        return Err("not a file".into());
    }
    let mut bytes = Vec::new();
    let limit = limits::ROOT_FILE_BYTES;
    File::open(path).map_err(text)?.take(limit + 1).read_to_end(&mut bytes).map_err(text)?;
    if bytes.len() as u64 > limit {
        return Err(format!("larger than {limit} bytes"));
    }
    let mut found: Vec<CertificateDer<'static>> =
        CertificateDer::pem_slice_iter(&bytes).filter_map(Result::ok).collect();
    if found.is_empty() {
        found.push(CertificateDer::from(bytes));
    }
    found.retain(|certificate| check_authority(certificate).is_ok());
    if found.is_empty() { Err("not a certificate".into()) } else { Ok(found) }
}

#[cfg(test)]
mod tests;
