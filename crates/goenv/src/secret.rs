//! Where a secret is, as settings name it; never the secret itself.

use std::fmt;
use std::fs::{self, File};
use std::io::{self, Read as _};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::PathBuf;
use std::str::FromStr;

use zeroize::Zeroizing;

use crate::Environment;

/// The longest secret that is read, in bytes: a file that is longer is another file.
const LONGEST: u64 = 64 * 1024;

/// A place a secret is read from: `env:NAME` or `file:PATH`. Text without a prefix is a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SecretRef {
    /// An environment variable.
    Variable(String),
    /// A file that nobody else may read.
    File(PathBuf),
}

/// Why a secret could not be had. No text of the secret is in it.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// The reference is of no known form.
    #[error("{0:?} is no place of a secret; write env:NAME or file:PATH")]
    Malformed(String),
    /// The variable is not set, or empty.
    #[error("the environment variable {0} is not set")]
    NotSet(String),
    /// The file cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// Others can read the file.
    #[error("{} can be read by others (mode {mode:04o}); allow its owner only: chmod 600 {}", path.display(), path.display())]
    Exposed {
        /// The file.
        path: PathBuf,
        /// Its permissions.
        mode: u32,
    },
    /// The file is no regular file, too long, or no text.
    #[error("{} holds no secret: {reason}", path.display())]
    NoSecret {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: &'static str,
    },
}

impl SecretRef {
    /// Reads the secret; it is wiped from memory when dropped. The owner of a file may be the only one who can read it;
    /// of one that belongs to root, and is read by somebody else, the group may, too, as orchestrators hand out
    /// secrets.
    pub fn read(&self, environment: &Environment) -> Result<Zeroizing<String>, SecretError> {
        match self {
            Self::Variable(name) => environment
                .non_empty(name)
                .map(|value| Zeroizing::new(value.to_owned()))
                .ok_or_else(|| SecretError::NotSet(name.clone())),
            Self::File(path) => read_file(path),
        }
    }
}

fn read_file(path: &PathBuf) -> Result<Zeroizing<String>, SecretError> {
    let failed = |source| SecretError::Io {
        path: path.clone(),
        source,
    };
    let no_secret = |reason| SecretError::NoSecret {
        path: path.clone(),
        reason,
    };
    // Before it is opened, because opening a pipe would wait.
    if !fs::metadata(path).map_err(failed)?.is_file() {
        return Err(no_secret("it is no regular file"));
    }
    let file = File::open(path).map_err(failed)?;
    let metadata = file.metadata().map_err(failed)?;
    let mode = metadata.permissions().mode() & 0o7777;
    let is_handed_out = metadata.uid() == 0 && !rustix::process::geteuid().is_root();
    let forbidden = if is_handed_out { 0o037 } else { 0o077 };
    if mode & forbidden != 0 {
        let path = path.clone();
        return Err(SecretError::Exposed { path, mode });
    }
    let mut bytes = Zeroizing::new(Vec::with_capacity(
        usize::try_from(metadata.len().min(LONGEST) + 1).unwrap_or_default(),
    ));
    file.take(LONGEST + 1)
        .read_to_end(&mut bytes)
        .map_err(failed)?;
    if bytes.len() as u64 > LONGEST {
        return Err(no_secret("it is longer than 64 KiB"));
    }
    let text = std::str::from_utf8(&bytes).map_err(|_| no_secret("it is no text"))?;
    Ok(Zeroizing::new(text.to_owned()))
}

impl FromStr for SecretRef {
    type Err = SecretError;

    fn from_str(text: &str) -> Result<Self, SecretError> {
        let malformed = || SecretError::Malformed(text.to_owned());
        // The text of a key in place of its file must not get into a message.
        if text.contains("PRIVATE+KEY") {
            return Err(SecretError::Malformed("a private key".to_owned()));
        }
        if let Some(name) = text.strip_prefix("env:") {
            // What follows `=` would be the secret itself.
            let (name, rest) = name.split_at(name.find(['=', '\0']).unwrap_or(name.len()));
            return if name.is_empty() || !rest.is_empty() {
                Err(SecretError::Malformed(format!("env:{name}")))
            } else {
                Ok(Self::Variable(name.to_owned()))
            };
        }
        let path = text.strip_prefix("file:").unwrap_or(text);
        if path.is_empty() {
            return Err(malformed());
        }
        Ok(Self::File(path.into()))
    }
}

/// The form [`SecretRef::from_str`] reads.
impl fmt::Display for SecretRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Variable(name) => write!(f, "env:{name}"),
            Self::File(path) => write!(f, "file:{}", path.display()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nothing() -> Environment {
        Environment::from_pairs(std::iter::empty::<(&str, &str)>())
    }

    #[test]
    fn a_reference_reads_back() {
        for (text, canonical) in [
            ("env:KEY", "env:KEY"),
            ("file:/etc/key", "file:/etc/key"),
            ("keys/a", "file:keys/a"),
        ] {
            let reference: SecretRef = text.parse().unwrap();
            assert_eq!(reference.to_string(), canonical);
            assert_eq!(canonical.parse::<SecretRef>().unwrap(), reference);
        }
        for bad in ["", "env:", "env:A=B", "file:"] {
            assert!(bad.parse::<SecretRef>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_key_given_in_place_of_its_file_is_not_repeated() {
        let error = "PRIVATE+KEY+a+1234+secret"
            .parse::<SecretRef>()
            .unwrap_err();
        assert!(!error.to_string().contains("secret+") && !error.to_string().contains("1234"));
    }

    #[test]
    fn a_file_that_others_can_read_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        fs::write(&path, "secret\n").unwrap();
        let reference = SecretRef::File(path.clone());
        for (mode, allowed) in [
            (0o600, true),
            (0o400, true),
            (0o640, false),
            (0o604, false),
            (0o644, false),
            (0o660, false),
        ] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            let read = reference.read(&nothing());
            assert_eq!(read.is_ok(), allowed, "{mode:o}");
            if let Err(error) = read {
                assert!(error.to_string().contains("chmod 600"), "{error}");
                assert!(!error.to_string().contains("secret"), "{error}");
            }
        }
    }

    #[test]
    fn what_holds_no_secret_says_so() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        let read = || SecretRef::File(path.clone()).read(&nothing()).unwrap_err();
        assert!(matches!(read(), SecretError::Io { .. }));
        fs::write(&path, [0xff; 8]).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        assert!(matches!(read(), SecretError::NoSecret { .. }));
        fs::write(&path, vec![b'a'; 70_000]).unwrap();
        assert!(matches!(read(), SecretError::NoSecret { .. }));
        let directory = SecretRef::File(folder.path().to_path_buf()).read(&nothing());
        assert!(matches!(directory, Err(SecretError::NoSecret { .. })));
    }

    #[test]
    fn a_variable_is_read_when_it_is_set() {
        let environment = Environment::from_pairs([("KEY", "secret"), ("EMPTY", "")]);
        let read = |name: &str| SecretRef::Variable(name.to_owned()).read(&environment);
        assert_eq!(*read("KEY").unwrap(), "secret");
        assert!(read("EMPTY").is_err() && read("OTHER").is_err());
    }
}
