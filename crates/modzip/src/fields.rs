//! The zip format's numbers: little-endian fields, signatures, record sizes (PKWARE APPNOTE 4.3).

/// Starts the header in front of an entry's data.
pub(crate) const LOCAL: [u8; 4] = *b"PK\x03\x04";
/// Starts an entry's record in the central directory.
pub(crate) const CENTRAL: [u8; 4] = *b"PK\x01\x02";
/// Starts the data descriptor behind an entry's data (optional there).
pub(crate) const DESCRIPTOR: [u8; 4] = *b"PK\x07\x08";
/// Starts the end of central directory record.
pub(crate) const END: [u8; 4] = *b"PK\x05\x06";
/// Starts the zip64 end of central directory record.
pub(crate) const END64: [u8; 4] = *b"PK\x06\x06";
/// Starts the zip64 end of central directory locator.
pub(crate) const LOCATOR64: [u8; 4] = *b"PK\x06\x07";

/// Bytes of the fixed part of each record.
pub(crate) const LOCAL_LEN: usize = 30;
pub(crate) const CENTRAL_LEN: usize = 46;
pub(crate) const END_LEN: usize = 22;
pub(crate) const END64_LEN: usize = 56;
pub(crate) const LOCATOR64_LEN: usize = 20;

/// Says that the real value is in a zip64 record.
pub(crate) const IN_ZIP64_16: u16 = u16::MAX;
pub(crate) const IN_ZIP64_32: u32 = u32::MAX;

/// Bits of the general purpose flag.
pub(crate) mod flag {
    pub(crate) const ENCRYPTED: u16 = 1;
    pub(crate) const DESCRIPTOR: u16 = 1 << 3;
    pub(crate) const STRONG_ENCRYPTION: u16 = 1 << 6;
    pub(crate) const UTF8: u16 = 1 << 11;
    pub(crate) const MASKED_HEADERS: u16 = 1 << 13;
}

/// Takes fields from the front of a record.
pub(crate) struct Fields<'a>(pub(crate) &'a [u8]);

impl<'a> Fields<'a> {
    pub(crate) fn bytes(&mut self, count: usize) -> Option<&'a [u8]> {
        let (head, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(head)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (head, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*head)
    }

    pub(crate) fn u16(&mut self) -> Option<u16> {
        self.array().map(u16::from_le_bytes)
    }

    pub(crate) fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_le_bytes)
    }

    pub(crate) fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_le_bytes)
    }

    /// Takes `signature` and says whether it was there.
    pub(crate) fn signature(&mut self, signature: [u8; 4]) -> Option<()> {
        (self.array()? == signature).then_some(())
    }
}
