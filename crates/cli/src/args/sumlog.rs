use std::num::NonZeroUsize;
use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::Format;

/// What is done with the keys of a log.
#[expect(
    clippy::doc_markdown,
    reason = "people read these on a terminal, where backticks are noise"
)]
#[derive(Debug, Subcommand)]
pub(crate) enum KeyCommand {
    /// Make a new private key in a file that only its owner can read
    #[command(after_help = "Examples:
  modkeep key generate sum.example.com
  modkeep key generate sum.example.com/team --out /etc/modkeep/team.key

Prints the public verifier key and the GOSUMDB value for clients; the private key is only written to the
file. A file that is there is never replaced: a log whose key is lost has to begin anew under another name.")]
    Generate {
        /// The name of the log: a host, with or without a path
        name: String,
        /// The file of the private key [default: $XDG_CONFIG_HOME/modkeep/NAME.key]
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
        /// How to print
        #[arg(long, value_enum, default_value_t = Format::Human)]
        format: Format,
    },
    /// Put a new key in front of the one in a file; both sign until --finish
    #[command(after_help = "Examples:
  modkeep key rotate sum.example.com             the new key is added; restart the server
  modkeep key rotate --finish sum.example.com    the old key signs no more; restart the server

Between the two, every head carries both signatures, so clients can change their GOSUMDB one by one.")]
    Rotate {
        /// The file of the private key, or the name of a log whose key is in the default place
        #[arg(value_name = "FILE|NAME")]
        key: String,
        /// End the transition: remove the keys that were replaced
        #[arg(long)]
        finish: bool,
        /// How to print
        #[arg(long, value_enum, default_value_t = Format::Human)]
        format: Format,
    },
    /// Print the public verifier key and the GOSUMDB value for clients
    #[command(after_help = "Examples:
  modkeep key show sum.example.com
  modkeep key show env:MODKEEP_LOG_KEY")]
    Show {
        /// env:VARIABLE, a file, or the name of a log whose key is in the default place
        #[arg(value_name = "KEY|NAME")]
        key: String,
        /// How to print
        #[arg(long, value_enum, default_value_t = Format::Human)]
        format: Format,
    },
}

/// What is done with logs.
#[derive(Debug, Subcommand)]
pub(crate) enum LogCommand {
    /// Read a whole log from outside and prove that it is what was signed
    #[command(after_help = "Examples:
  modkeep log audit http://modkeep.example.com/sumdb/sum.example.com --key sum.example.com+1a2b3c4d+Ab...
  modkeep log audit https://sum.golang.org --from sum.golang.org.head

Reads every record and every tile of any Go checksum database: all records must hash to the signed head, and
no module version may have two records. With --from, the head must also extend the one in the file, which is
then replaced by it. Memory grows by some 40 bytes for each record. Exits with 1 if something is wrong.")]
    Audit(AuditArguments),
}

/// What to audit, and how.
#[derive(Debug, Args)]
pub(crate) struct AuditArguments {
    /// The address of the database: what follows it is latest, tile/8/0/000 and so on
    pub(crate) url: String,
    /// The verifier key of the database [default: the built-in key, for sum.golang.org]
    #[arg(long, value_name = "VKEY")]
    pub(crate) key: Option<String>,
    /// The file of the head that an earlier audit has seen; made if there is none
    #[arg(long, value_name = "STATEFILE")]
    pub(crate) from: Option<PathBuf>,
    /// Requests at a time
    #[arg(long, value_name = "N", default_value = "16")]
    pub(crate) parallel: NonZeroUsize,
    /// How to print
    #[arg(long, value_enum, default_value_t = Format::Human)]
    pub(crate) format: Format,
}
