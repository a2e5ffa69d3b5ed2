//! The permissions that open each family of routes: the least privileged that Microsoft documents, and the higher ones.
//!
//! Source: `permissions.json` of `microsoft-graph-devx-content`, with the per-property rules of the user resource.

use crate::access::Access;

/// Reading users.
pub(super) const USER_READ: Access =
    Access::any(&["User.Read.All", "User.ReadWrite.All", "Directory.Read.All", "Directory.ReadWrite.All"]);

/// Blocking and unblocking sign-in: the granular permission works together with reading users.
pub(super) const ENABLE: &[&str] = &["User.ReadWrite.All", "Directory.ReadWrite.All"];
pub(super) const ENABLE_GRANULAR: [&str; 2] = ["User.EnableDisableAccount.All", "User.Read.All"];

/// Setting a password.
pub(super) const PASSWORD: &[&str] = &["User-PasswordProfile.ReadWrite.All"];
/// Setting a password with the older permission asks for a directory role too.
pub(super) const PASSWORD_WITH_ROLE: &[&str] = &["User.ReadWrite.All", "Directory.ReadWrite.All"];

/// Changing a user: which property needs which permission is said by the handler.
pub(super) const USER_WRITE: Access = Access::any(&[
    "User.EnableDisableAccount.All",
    "User-PasswordProfile.ReadWrite.All",
    "User.ReadWrite.All",
    "Directory.ReadWrite.All",
]);

/// Revoking sessions.
pub(super) const REVOKE: Access =
    Access::any(&["User.RevokeSessions.All", "User.ReadWrite.All", "Directory.ReadWrite.All"]);

/// Reading devices.
pub(super) const DEVICE_READ: Access =
    Access::any(&["Device.Read.All", "Device.ReadWrite.All", "Directory.Read.All", "Directory.ReadWrite.All"]);

/// Changing devices.
pub(super) const DEVICE_WRITE: Access =
    Access::any(&["Device.ReadWrite.All", "Directory.ReadWrite.All", "Directory.AccessAsUser.All"]);

/// Reading applications and service principals.
pub(super) const APPLICATION_READ: Access = Access::any(&[
    "Application.Read.All",
    "Application.ReadWrite.All",
    "Directory.Read.All",
    "Directory.ReadWrite.All",
]);

/// Changing applications: the directory permission does not reach them.
pub(super) const APPLICATION_WRITE: Access = Access::any(&["Application.ReadWrite.All"]);

/// Changing service principals.
pub(super) const PRINCIPAL_WRITE: Access = Access::any(&["Application.ReadWrite.All", "Directory.ReadWrite.All"]);

/// Reading delegated grants.
pub(super) const GRANT_READ: Access = Access::any(&[
    "DelegatedPermissionGrant.Read.All",
    "DelegatedPermissionGrant.ReadWrite.All",
    "Directory.Read.All",
    "Directory.ReadWrite.All",
]);

/// Changing delegated grants.
pub(super) const GRANT_WRITE: Access =
    Access::any(&["DelegatedPermissionGrant.ReadWrite.All", "Directory.ReadWrite.All"]);

/// Reading application permissions of service principals.
pub(super) const ASSIGNMENT_READ: Access = Access::any(&[
    "Application.Read.All",
    "Application.ReadWrite.All",
    "AppRoleAssignment.ReadWrite.All",
    "Directory.Read.All",
    "Directory.ReadWrite.All",
]);

/// Reading a user's assignments to applications.
pub(super) const USER_ASSIGNMENT_READ: Access =
    Access::any(&["Directory.Read.All", "AppRoleAssignment.ReadWrite.All", "Directory.ReadWrite.All"]);

/// Changing application permissions and assignments.
pub(super) const ASSIGNMENT_WRITE: Access = Access::any(&["AppRoleAssignment.ReadWrite.All"]);

/// Reading logs and reports.
pub(super) const AUDIT_READ: Access = Access::any(&["AuditLog.Read.All"]);

/// Reading the tenant itself.
pub(super) const ORGANIZATION_READ: Access = Access::any(&[
    "Organization.Read.All",
    "Organization.ReadWrite.All",
    "Directory.Read.All",
    "Directory.ReadWrite.All",
]);
