//! The arguments of `audit`: what can be done with a record.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use crate::cli::{args::RunRef, keep::StoreArg};

#[derive(Debug, Subcommand)]
pub(crate) enum AuditCommand {
    /// Check that nothing in a run's folder was altered since it was written
    ///
    /// Says one word and ends with its code: `authentic` (whole, and signed by a key that was given) with 0,
    /// `consistent` (whole and signed, but no key was given, so it may be a forgery as a whole) with 50, `open` with 51,
    /// `torn-tail` with 52, `broken` with 5. With `--format json`, `verdict` holds the word and `findings` what was found,
    /// each with a `code`.
    Verify(VerifyArgs),
    /// Print who did what when
    Show(RunRef),
    /// Compare a run's record with what the tenant itself logged, both ways; reads only
    ///
    /// Ends with 0 where nothing is missing on either side, 4 where something is not shown by the tenant that may still
    /// come, may have been dropped, may not have happened or was not read, and 5 where one side lacks what it should hold.
    /// Needs `AuditLog.Read.All`; for the search of the unified audit log the Exchange role `View-Only Audit Logs`.
    Reconcile(ReconcileArgs),
    /// Prove one line of a journal, without showing the others: a file that `check-proof` checks
    Prove(ProveArgs),
    /// Check a file that `prove` wrote, with nothing but itself and a key
    CheckProof(CheckProofArgs),
    /// Sign the seal of a closed run with an SSH key: its owner stands for the record
    ///
    /// ssh-keygen makes the signature, so keys in an agent, on hardware or behind a passphrase work; for those, give
    /// the public key. Ed25519 and ECDSA P-256. Written once, to `seal.sig` in the run's folder.
    Sign(SignArgs),
    /// Let an authority stamp the seal of a closed run with the time (RFC 3161)
    ///
    /// The authority sees a digest and nothing else. Its answer is checked and written once, to `seal.tsr` in the run's
    /// folder.
    #[cfg(feature = "timestamp")]
    Stamp(StampArgs),
    /// Print what became of a run since it was written, or note that a copy was handed over
    Custody(CustodyArgs),
    /// Copy a closed run to a store, write-once, and read it back; finishes a copy that was cut off
    ///
    /// An object that is there with the same bytes is kept. One with other bytes is left as it is, and named: that ends
    /// with 5, as a record that is not closed or does not verify.
    Copy(CopyArgs),
    /// Fetch the copy of a run from a store into a new folder, and verify it
    Fetch(FetchArgs),
}

#[derive(Debug, Args)]
pub(crate) struct VerifyArgs {
    #[command(flatten)]
    pub(crate) run: RunRef,
    /// Key that was noted when the run began, or was taken up again
    #[arg(long = "key", value_name = "VKEY")]
    pub(crate) keys: Vec<String>,
    /// Root that was noted: at the end of the run it covers all lines, at its beginning the first one
    #[arg(long = "root", value_name = "ROOT")]
    pub(crate) roots: Vec<String>,
    /// Tenant that the run must be of
    #[arg(long, value_name = "ID")]
    pub(crate) tenant_id: Option<String>,
    /// File of trusted keys, as c2sp.org/tlog-policy has it: lines `log VKEY`
    #[arg(long, value_name = "FILE")]
    pub(crate) policy: Option<PathBuf>,
    /// People whose signature counts, as ssh-keygen takes it: one of them must have signed the seal
    #[arg(long, value_name = "FILE")]
    pub(crate) allowed_signers: Option<PathBuf>,
    /// Certificates (PEM) of authorities that are believed about time: one of them must have stamped the seal
    #[arg(long, value_name = "FILE")]
    pub(crate) tsa_roots: Option<PathBuf>,
    /// Note the verdict in the custody log of the case, under this name; nothing is written otherwise
    #[arg(long, value_name = "NAME")]
    pub(crate) note_as: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct SignArgs {
    #[command(flatten)]
    pub(crate) run: RunRef,
    /// Private key, or the public key of one that an agent or a token holds
    #[arg(long, value_name = "FILE")]
    pub(crate) ssh_key: PathBuf,
    /// Name for the custody log (not proven)
    #[arg(long, env = "STAUNCH_OPERATOR", value_name = "NAME")]
    pub(crate) by: Option<String>,
}

#[cfg(feature = "timestamp")]
#[derive(Debug, Args)]
pub(crate) struct StampArgs {
    #[command(flatten)]
    pub(crate) run: RunRef,
    /// Address of the authority: https, or this machine
    #[arg(long, value_name = "URL")]
    pub(crate) tsa: String,
    /// Certificates (PEM) of authorities that are believed about time; without, anybody could have answered
    #[arg(long, value_name = "FILE")]
    pub(crate) tsa_roots: Option<PathBuf>,
    /// Name for the custody log (not proven)
    #[arg(long, env = "STAUNCH_OPERATOR", value_name = "NAME")]
    pub(crate) by: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct CustodyArgs {
    #[command(flatten)]
    pub(crate) run: RunRef,
    /// Note that a copy of the run was handed over to this person
    #[arg(long, value_name = "NAME", requires = "channel")]
    pub(crate) handed_to: Option<String>,
    /// Organisation of that person
    #[arg(long, value_name = "NAME", requires = "handed_to")]
    pub(crate) organisation: Option<String>,
    /// How it was handed over: in person, by which service, on which medium
    #[arg(long, value_name = "TEXT", requires = "handed_to")]
    pub(crate) channel: Option<String>,
    /// Name of who handed it over (not proven)
    #[arg(long, env = "STAUNCH_OPERATOR", value_name = "NAME")]
    pub(crate) by: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct ReconcileArgs {
    #[command(flatten)]
    pub(crate) run: RunRef,
    /// Export of MicrosoftGraphActivityLogs: one JSON object a line
    #[arg(long, value_name = "FILE")]
    pub(crate) activity_log: Option<PathBuf>,
    /// Export of the unified audit log, instead of a search: CSV with a column AuditData, or JSON
    #[arg(long, value_name = "FILE")]
    pub(crate) unified_log: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct ProveArgs {
    #[command(flatten)]
    pub(crate) run: RunRef,
    /// Number of the line, as `audit show` and the report print it
    #[arg(long, value_name = "N")]
    pub(crate) seq: u64,
    /// New file for the proof, instead of stdout
    #[arg(long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct CheckProofArgs {
    /// The proof
    #[arg(value_name = "FILE")]
    pub(crate) proof: PathBuf,
    /// Key that was noted when the run began, or was taken up again
    #[arg(long = "key", value_name = "VKEY", required_unless_present = "policy")]
    pub(crate) keys: Vec<String>,
    /// File of trusted keys, as c2sp.org/tlog-policy has it: lines `log VKEY`
    #[arg(long, value_name = "FILE")]
    pub(crate) policy: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct CopyArgs {
    #[command(flatten)]
    pub(crate) run: RunRef,
    /// Store, instead of the one that the run began with or the profile's: file:///FOLDER, s3://BUCKET/PREFIX,
    /// az://CONTAINER/PREFIX
    #[arg(long, env = "STAUNCH_STORE", value_name = "URL")]
    pub(crate) store: Option<StoreArg>,
}

#[derive(Debug, Args)]
pub(crate) struct FetchArgs {
    /// Id of the run
    #[arg(value_name = "RUN")]
    pub(crate) run: String,
    /// Store, instead of the profile's: file:///FOLDER, s3://BUCKET/PREFIX, az://CONTAINER/PREFIX
    #[arg(long, env = "STAUNCH_STORE", value_name = "URL")]
    pub(crate) store: Option<StoreArg>,
    /// Folder in which the run's folder is made
    #[arg(long, value_name = "DIR", default_value = ".")]
    pub(crate) out: PathBuf,
    /// Key that was noted when the run began, or was taken up again
    #[arg(long = "key", value_name = "VKEY")]
    pub(crate) keys: Vec<String>,
    /// File of trusted keys, as c2sp.org/tlog-policy has it: lines `log VKEY`
    #[arg(long, value_name = "FILE")]
    pub(crate) policy: Option<PathBuf>,
}
