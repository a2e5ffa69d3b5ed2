//! The store: a place outside of this machine, where a plan is claimed before it runs and the record of a run is kept
//! once it is closed. What is put there is never overwritten. Knows nothing of what a run does.
//!
//! The layout, under the prefix of the address:
//!
//! ```text
//! claims/<plan's digest>.json   who runs this plan; made by a conditional create, so there is one
//! runs/<run>/…                  the files of a closed run, byte for byte; seal.note last
//! ```

mod address;
mod claim;
mod copy;
mod error;
mod fetch;
mod objects;

pub use address::{Address, AddressError};
pub use claim::{CLAIM_FORMAT, Claim};
pub use copy::Copied;
pub use error::StoreError;
pub use fetch::Fetched;
pub use objects::{Reach, Store};
