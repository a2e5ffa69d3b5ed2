//! The tenant as its clients see it, one module for each area.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "helpers of tests; a wrong answer must fail the test"
)]

mod apps;
mod awkward;
mod cmdlets;
mod csdl;
mod delegated;
mod directory;
mod exchange;
mod front;
mod identity;
mod login;
mod mail;
mod metadata;
mod methods;
mod policies;
mod quirks;
mod support;
mod users;
mod whole;
