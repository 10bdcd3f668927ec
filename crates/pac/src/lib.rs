//! Proxy auto-configuration files: what browsers do with them.
//!
//! The files are programs in JavaScript, from whoever runs the network, and nobody knows what they do before they are run.
//! So an engine of its own runs them, with nothing but the functions such files may call and with limits for memory, stack
//! and time. Its built-in functions do not look at the clock, though: what lives longer than one diagnosis has the engine
//! in a process of its own, which may neither open files nor connections, and which is killed when its time is over.
//!
//! - [`find_proxy`]: asks a file once, in a thread that nobody waits for when it does not end
//! - [`PacFile`]: a file that says how a server reaches others: its answers, kept for a while, from a confined process
//! - [`confined()`]: what that process does
//! - [`Directive`]: one element of an answer

mod confined;
mod directive;
mod engine;
mod evaluate;
mod file;
mod filter;
mod find;

pub use confined::{ARGUMENT, confined};
pub use directive::{Directive, directives};
pub use evaluate::Program;
pub use file::{LARGEST, PacFile};
pub use find::{find_proxy, own_address};
