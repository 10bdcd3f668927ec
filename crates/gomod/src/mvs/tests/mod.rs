//! The classic cases, in a notation of letters, and what is beyond letters as files.

mod files;
pub(crate) mod letters;
