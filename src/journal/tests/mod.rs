//! The record as a whole: written, crashed, taken up again, tampered with.

mod both;
#[cfg(target_os = "linux")]
mod by_hand;
mod matrix;
mod properties;
mod recovery;
mod rules;
mod writing;
