//! Containment of compromised Microsoft 365 accounts, from a reviewed playbook, with evidence, proof and undo.
//!
//! Layers; a module uses lower ones only (`tests/tidy.rs` enforces it):
//!
//! ```text
//! L0  model                        plain data, no IO
//! L1  playbook  client  journal    text -> playbook | HTTP | the record
//! L2  action    store              the trait, its erased form, the registry | claims and copies of records
//! L3  actions   plan    cacao      one file per action | playbook + reader -> plan | playbook -> CACAO
//! L4  engine    report  reconcile  approved plan -> run | run folder -> report | record against the tenant's
//! L5  cli                          arguments, prompts, exit codes
//! ```

pub mod action;
pub mod actions;
pub mod cacao;
pub mod cli;
pub mod client;
pub mod engine;
pub mod journal;
pub mod model;
pub mod plan;
pub mod playbook;
pub mod reconcile;
pub mod report;
pub mod store;
