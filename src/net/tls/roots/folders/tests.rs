//! A folder tree as on a device, with files that are not certificates.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use rustls::pki_types::{ServerName, UnixTime};

use super::*;
use crate::error::Code;
use crate::net::tls::roots::android_verifier;
use crate::net::tls::tests::harness::{Authority, authority, authority_params, good};

/// Removed at the end of the test.
struct Tree(PathBuf);

impl Tree {
    fn new(test: &str) -> Self {
        let root = std::env::temp_dir().join(format!("framewire-roots-{}-{test}", std::process::id()));
        let _ = fs::remove_dir_all(&root);
        fs::create_dir_all(root.join("apex")).unwrap();
        fs::create_dir_all(root.join("system")).unwrap();
        Self(root)
    }

    fn folders(&self) -> Folders {
        Folders {
            system: vec![self.0.join("apex"), self.0.join("system")],
            removed: self.0.join("cacerts-removed"),
        }
    }

    fn put(&self, name: &str, content: impl AsRef<[u8]>) -> &Self {
        let path = self.0.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
        self
    }

    fn read(&self) -> Vec<CertificateDer<'static>> {
        self.folders().read().unwrap()
    }
}

impl Drop for Tree {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn der(authority: &Authority) -> CertificateDer<'static> {
    authority.der().clone()
}

/// As in the system's folder: the certificate, then its description.
fn system_file(authority: &Authority) -> String {
    format!("{}Certificate:\n    Data:\n        Version: 3 (0x2)\n", authority.pem())
}

#[test]
fn servers_of_system_authorities_are_trusted_and_others_are_not() {
    let (system, added, unknown) = (authority("System CA"), authority("Added CA"), authority("Unknown CA"));
    let tree = Tree::new("trust");
    tree.put("apex/00673b5b.0", system_file(&system));
    let verifier = android_verifier(&tree.folders(), &[der(&added)]).unwrap();
    let verify = |authority: &Authority| {
        let host = ServerName::try_from("localhost").unwrap();
        verifier.verify_server_cert(&good(authority).chain[0], &[], &host, &[], UnixTime::now())
    };
    assert!(verify(&system).is_ok());
    assert!(verify(&added).is_ok(), "added by the program");
    assert!(verify(&unknown).is_err());
}

#[test]
fn updatable_folder_replaces_the_system_folder_if_it_has_certificates() {
    let (updated, old) = (authority("Updated CA"), authority("Old CA"));
    let tree = Tree::new("updated");
    tree.put("system/1.0", system_file(&old));
    assert_eq!(tree.read(), [der(&old)], "the folder is empty");
    tree.put("apex/1.0", "not a certificate");
    assert_eq!(tree.read(), [der(&old)], "the folder has no usable file");
    tree.put("apex/2.0", system_file(&updated));
    assert_eq!(tree.read(), [der(&updated)]);
    fs::remove_dir_all(tree.0.join("apex")).unwrap();
    assert_eq!(tree.read(), [der(&old)], "before Android 14");
}

#[test]
fn authorities_that_the_user_has_turned_off_are_not_trusted() {
    let (kept, removed) = (authority("Kept CA"), authority("Removed CA"));
    let tree = Tree::new("removed");
    tree.put("system/1.0", system_file(&kept)).put("system/2.0", system_file(&removed));
    // Android writes DER there.
    tree.put("cacerts-removed/2.0", der(&removed));
    assert_eq!(tree.read(), [der(&kept)]);
    tree.put("cacerts-removed/1.0", kept.pem());
    assert_eq!(tree.folders().read().unwrap_err(), "the user has turned all authorities off");
    fs::remove_dir_all(tree.0.join("cacerts-removed")).unwrap();
    tree.put("cacerts-removed", "a file in place of the folder");
    assert!(tree.folders().read().unwrap_err().contains("cacerts-removed: "), "not ignored");
}

#[test]
fn unusable_files_are_skipped() {
    let one = authority("One CA");
    let two = authority("Two CA");
    let mut expired = authority_params("Expired CA");
    expired.not_before = rcgen::date_time_ymd(2001, 1, 1);
    expired.not_after = rcgen::date_time_ymd(2002, 1, 1);
    let expired =
        Authority::self_signed(expired, rcgen::KeyPair::generate().unwrap()).expect("an expired root");
    let tree = Tree::new("hostile");
    let limit = limits::ROOT_FILE_BYTES as usize;
    let folder = tree.0.join("system");
    tree.put("system/empty", "")
        .put("system/text", "not PEM")
        .put("system/zeros", [0; 5000])
        .put("system/half", &one.pem()[..one.pem().len() / 2])
        .put("system/key", rcgen::KeyPair::generate().unwrap().serialize_pem())
        .put("system/truncated.der", &der(&one)[..100])
        .put("system/huge", format!("{}{}", two.pem(), " ".repeat(limit)))
        .put("system/1.0", system_file(&one))
        .put("system/same.0", one.pem())
        .put("system/same.der", der(&one))
        .put("system/expired.0", system_file(&expired))
        .put("system/folder/2.0", two.pem());
    make_fifo(&folder.join("fifo"));
    std::os::unix::fs::symlink("/dev/zero", folder.join("device")).unwrap();
    std::os::unix::fs::symlink("loop", folder.join("loop")).unwrap();
    std::os::unix::fs::symlink("nowhere", folder.join("nowhere")).unwrap();
    let found = tree.read();
    assert_eq!(found.len(), 2, "each once");
    assert!(found.contains(&der(&one)));
    assert!(found.contains(&der(&expired)), "the dates of a root are not checked");
}

#[test]
fn missing_folders_are_named() {
    let tree = Tree::new("missing");
    let error = android_verifier(&tree.folders(), &[]).unwrap_err();
    assert_eq!(error.code, Code::NotSupported);
    assert!(error.message.contains("apex contains no certificate"), "{}", error.message);
    fs::remove_dir_all(tree.0.join("system")).unwrap();
    let error = android_verifier(&tree.folders(), &[]).unwrap_err();
    assert!(error.message.contains("system: No such file or directory"), "{}", error.message);
}

#[test]
fn folders_are_those_of_the_user() {
    let folders = Folders::of_user(10);
    assert_eq!(folders.removed, Path::new("/data/misc/user/10/cacerts-removed"));
    assert_eq!(folders.system[0], Path::new("/apex/com.android.conscrypt/cacerts"));
}

fn make_fifo(path: &Path) {
    assert!(Command::new("mkfifo").arg(path).status().unwrap().success());
}
