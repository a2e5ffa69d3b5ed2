//! Each kind of identity signs in, and what goes wrong gives one clear line. The sign-in service is a small one
//! of these tests, which says what it was asked.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test that cannot go on fails")]

mod assertions;
mod challenges;
mod machine;
mod person;
mod refusals;
mod support;
mod tenant;
