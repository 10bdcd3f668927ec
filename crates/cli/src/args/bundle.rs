use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::{Format, Settings};

/// What is done with bundles.
#[derive(Debug, Subcommand)]
pub(crate) enum BundleCommand {
    /// Write module versions, and what proves them, to a file
    #[command(after_help = "Examples:
  modkeep bundle create app.bundle --from go.mod
  modkeep bundle create app.bundle --from a/go.sum --from b/go.sum --from golang.org/x/text@v0.14.0
  modkeep bundle create may.bundle --from go.work --since april.bundle

Takes what is stored, and fetches the rest from the configured upstreams; everything is verified. The same
versions make the same bytes as long as the checksum database has the same head. docs/bundle.md tells more.")]
    Create(CreateArguments),
    /// Verify a bundle, and put what is in it into the store
    #[command(
        after_help = "Example:\n  modkeep bundle apply app.bundle --data /srv/modkeep

Needs no network. Nothing is stored before everything is verified: files against their records, records
against the signed head, the head against the database's key and against the head known before. Works
beside a running server; done again it changes nothing."
    )]
    Apply {
        /// The bundle
        file: PathBuf,
        /// Refuse a bundle whose manifest has another SHA-256 digest than this, which create and show print
        #[arg(long, value_name = "SHA256")]
        digest: Option<String>,
        #[command(flatten)]
        settings: Settings,
        /// How to print
        #[arg(long, value_enum, default_value_t = Format::Human)]
        format: Format,
    },
    /// Show what is in a bundle
    #[command(after_help = "Example:\n  modkeep bundle show app.bundle

Compares every byte with the manifest. Whether what the bundle says is true is for apply to find out.")]
    Show {
        /// The bundle
        file: PathBuf,
        /// How to print
        #[arg(long, value_enum, default_value_t = Format::Human)]
        format: Format,
    },
}

/// What to put into a bundle.
#[derive(Debug, Args)]
pub(crate) struct CreateArguments {
    /// The file to write
    pub(crate) out: PathBuf,
    /// A go.sum, go.mod or go.work file, a list of versions, or a version; may be repeated [default: go.work or go.mod here]
    #[arg(long, value_name = "FILE|MODULE@VERSION", num_args = 1..)]
    pub(crate) from: Vec<String>,
    /// Leave out what this earlier bundle has, or those before it
    #[arg(long, value_name = "BUNDLE")]
    pub(crate) since: Option<PathBuf>,
    /// A signed head that a client or the other server knows, so that it can follow from there; may be repeated
    #[arg(long, value_name = "FILE")]
    pub(crate) known_head: Vec<PathBuf>,
    /// Refuse versions that no checksum database proves
    #[arg(long)]
    pub(crate) require_proof: bool,
    /// With versions that are named, all that they need to be built
    #[arg(long)]
    pub(crate) with_dependencies: bool,
    #[command(flatten)]
    pub(crate) settings: Settings,
    /// How to print
    #[arg(long, value_enum, default_value_t = Format::Human)]
    pub(crate) format: Format,
}
