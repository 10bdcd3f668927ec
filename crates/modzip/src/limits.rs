//! The sizes a module zip must keep to, in bytes (Go's `x/mod/zip`, package documentation).

/// Most bytes of a module zip file, and most bytes of all its files together when unpacked.
pub const MAX_ZIP: u64 = 500 << 20;

/// Most bytes of the `go.mod` file in the module root.
pub const MAX_GO_MOD: u64 = 16 << 20;

/// Most bytes of the `LICENSE` file in the module root.
pub const MAX_LICENSE: u64 = 16 << 20;

/// Most bytes of a zip's central directory, the one part that is held in memory whole.
///
/// Go sets no such limit. This one is ours, so that a zip of 500 MiB that is nothing but directory
/// cannot fill the memory; it still admits about 500 000 files with names of 100 bytes.
pub const MAX_DIRECTORY: u64 = 64 << 20;
