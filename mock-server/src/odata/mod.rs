//! The part of OData that Graph's collections speak: query options, `$filter`, `$select`, paging.
//!
//! Works on JSON only; which collection allows which property is said by the routes.

pub(crate) mod filter;
mod filter_parse;
pub(crate) mod page;
pub(crate) mod query;
pub(crate) mod select;
