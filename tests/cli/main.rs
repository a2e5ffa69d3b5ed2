//! The binary, verb by verb: what it prints, what it refuses, how it ends.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on fails"
)]

#[path = "../common/canary.rs"]
mod canary;
#[path = "../common/skip.rs"]
mod skip;

mod azurite;
mod bad_input;
mod crash;
mod decide;
mod demo;
mod doctor;
mod ends;
mod full_disk;
mod guards;
mod interrupt;
mod kill;
mod lab;
mod profiles;
mod record;
mod s3;
mod seal;
mod secrets;
mod sign_in;
mod store;
mod verbs;
