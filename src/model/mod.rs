//! Plain data shared by every layer: no IO, no policy.

mod call;
mod capability;
mod change;
mod clock;
mod diff;
mod exchange;
mod identity;
mod licence;
mod meta;
mod outcome;
mod path;
mod role;
mod secret;
mod stop;
mod taxonomy;
mod untrusted;

pub use call::{Call, OnRejection, Replay, Request, SecretSlot, Verb, Write, WriteCmdlet};
pub use capability::Capability;
pub use change::{
    Caveat, CaveatKind, Change, Found, Goal, Irreversible, Item, Override, Preflight, Refusal, Seen, Target, Undo,
    Workload,
};
pub use clock::{Clock, ManualClock, SystemClock};
pub use diff::{Difference, diff, shown};
pub use exchange::{Exchange, ExchangeOutcome};
pub use identity::{Identity, IdentityKind};
pub use licence::Licence;
pub use meta::{AppRef, Cloud, Effect, Meta, Permission, Service, Source, UserRef};
pub use outcome::{Outcome, Verdict};
pub(crate) use path::odata_literal;
pub use path::{GraphPath, ReadCmdlet};
pub use role::{role_id, role_name};
pub use secret::{HandOver, Password};
pub use stop::Stop;
pub use taxonomy::{ATTACK_VERSION, Catalog, D3FEND_VERSION, Defence, defence};
pub use untrusted::{Untrusted, json_for_terminal};
