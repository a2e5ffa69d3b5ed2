//! What several actions read in the same way: an account, an inbox, the audit log. No action lives here.

pub(crate) mod account;
pub(crate) mod app_origin;
pub(crate) mod audit;
pub(crate) mod auth_choice;
pub(crate) mod auth_method;
pub(crate) mod dating;
pub(crate) mod inbox;
pub(crate) mod moved;
pub(crate) mod permissions;
pub(crate) mod rule_content;
pub(crate) mod rule_snapshot;
pub(crate) mod service_principal;
pub(crate) mod switch;
