use std::fmt;

/// The name of a key: not empty, without Unicode space, without `+`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct KeyName(String);

impl KeyName {
    /// Checks the rule of C2SP signed-note for key names.
    pub fn parse(name: &str) -> Option<Self> {
        let refused = |letter: char| letter.is_whitespace() || letter == '+';
        (!name.is_empty() && !name.contains(refused)).then(|| Self(name.to_owned()))
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for KeyName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What a signature line says about the key that made it. Names and hashes only tell keys apart: the hash is far too
/// short to authenticate anything.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct KeyId {
    /// The name of the key.
    pub name: KeyName,
    /// The first four bytes, big-endian, of SHA-256 over name, newline, algorithm and public key.
    pub hash: u32,
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}+{:08x}", self.name, self.hash)
    }
}
