//! Every setting: its name, its meaning, where its value comes from, and whether the value makes sense.
//!
//! [`SETTINGS`] is the one table; the file format, the environment variables, the checks and the reference are made from
//! it. A value travels as text with its [`Origin`] until [`Effective`] turns all of them into types at once.

mod effective;
mod error;
mod file;
mod kind;
mod origin;
mod origins;
mod resolve;
mod table;
mod value;

pub use effective::{
    Effective, LogFormat, LogSettings, OtlpSettings, PrefetchSettings, SumlogSettings, WarmSettings,
};
pub use error::ConfigError;
pub use kind::ValueKind;
pub use origin::Origin;
pub use origins::{ORIGIN_KEYS, OriginKey, OriginRule};
pub use resolve::{Resolved, ResolvedSetting, resolve, resolve_and_check};
pub use table::{SETTINGS, Setting};
pub(crate) use value::rate as parse_rate;
pub(crate) use value::secret;
