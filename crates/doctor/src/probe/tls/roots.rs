//! The root certificates of this machine, found where Go's crypto/x509 finds them.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use goenv::Environment;
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;

/// Files that hold all roots; the first that can be read counts (`crypto/x509/root_linux.go`, `root_bsd.go`).
const FILES: &[&str] = &[
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/pki/tls/cacert.pem",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/ssl/cert.pem",
    "/usr/local/etc/ssl/cert.pem",
    "/usr/local/share/certs/ca-root-nss.crt",
    "/etc/openssl/certs/ca-certificates.crt",
];

/// Directories of which every file is read.
const DIRECTORIES: &[&str] = &["/etc/ssl/certs", "/etc/pki/tls/certs"];

/// Roots, and where they were looked for.
#[derive(Clone, Debug)]
pub struct Roots {
    pub(crate) store: Arc<RootCertStore>,
    pub(crate) certificates: Arc<HashSet<Vec<u8>>>,
    /// Files that held any.
    pub found_in: Vec<PathBuf>,
}

impl Roots {
    /// Reads the roots that `SSL_CERT_FILE` and `SSL_CERT_DIR`, or else the system, name.
    pub fn load(environment: &Environment) -> Self {
        let mut roots = Gathered::default();
        match environment.non_empty("SSL_CERT_FILE") {
            Some(file) => {
                roots.read(Path::new(file));
            }
            None => {
                let _first = FILES.iter().find(|file| roots.read(Path::new(file)));
            }
        }
        let directories: Vec<&str> = match environment.non_empty("SSL_CERT_DIR") {
            Some(list) => list.split(':').collect(),
            None => DIRECTORIES.to_vec(),
        };
        for directory in directories {
            for entry in std::fs::read_dir(directory).into_iter().flatten().flatten() {
                roots.read(&entry.path());
            }
        }
        roots.finish()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.store.len()
    }

    /// True when nothing can be verified.
    pub fn is_empty(&self) -> bool {
        self.store.is_empty()
    }
}

#[derive(Default)]
struct Gathered {
    certificates: HashSet<Vec<u8>>,
    found_in: Vec<PathBuf>,
}

impl Gathered {
    /// True when the file could be read, whatever is in it.
    fn read(&mut self, path: &Path) -> bool {
        if !path.is_file() {
            return false;
        }
        let Ok(text) = std::fs::read(path) else {
            return false;
        };
        let before = self.certificates.len();
        let certificates = CertificateDer::pem_slice_iter(&text).flatten();
        self.certificates
            .extend(certificates.map(|certificate| certificate.as_ref().to_vec()));
        if self.certificates.len() > before {
            self.found_in.push(path.to_owned());
        }
        true
    }

    fn finish(self) -> Roots {
        let mut store = RootCertStore::empty();
        store.add_parsable_certificates(
            self.certificates
                .iter()
                .map(|der| CertificateDer::from_slice(der).into_owned()),
        );
        Roots {
            store: Arc::new(store),
            certificates: Arc::new(self.certificates),
            found_in: self.found_in,
        }
    }
}
