//! Permissions that several actions need, least privileged first, as application permissions.
//!
//! Source: permissions.json of microsoftgraph/microsoft-graph-devx-content (2026-08), the data behind the tables of
//! the Graph reference.

use crate::model::Permission;

/// `GET /users/{id}` with `accountEnabled` and dates, the user's devices and the objects that the user owns.
pub(crate) const USER_READ: Permission =
    Permission::graph(&["User.Read.All", "User.ReadWrite.All", "Directory.Read.All", "Directory.ReadWrite.All"]);

/// `InvokeCommand` in Exchange Online, which wants a role besides.
pub(crate) const EXCHANGE_MANAGE: Permission = Permission::exchange(&["Exchange.ManageAsApp"]);
