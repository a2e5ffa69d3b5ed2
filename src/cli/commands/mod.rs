//! One file per verb: what it reads, what it asks, what it prints.

pub(crate) mod actions;
pub(crate) mod apply;
pub(crate) mod audit;
pub(crate) mod audit_custody;
pub(crate) mod audit_prove;
pub(crate) mod audit_reconcile;
pub(crate) mod audit_sign;
#[cfg(feature = "timestamp")]
pub(crate) mod audit_stamp;
pub(crate) mod audit_store;
pub(crate) mod check;
#[cfg(feature = "demo")]
pub(crate) mod demo;
pub(crate) mod doctor;
pub(crate) mod permissions;
pub(crate) mod plan;
pub(crate) mod report;
pub(crate) mod resume;
pub(crate) mod run;
pub(crate) mod schema;
#[cfg(feature = "demo")]
pub(crate) mod tenant;
pub(crate) mod undo;
