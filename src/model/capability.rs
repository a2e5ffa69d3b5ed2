//! Which cloud has which part of Graph. A table: what an action needs is looked up here, not found out by failing.
//!
//! Source: the CSDL of Graph in each national cloud, compared; both US government clouds share one.

use crate::model::Cloud;

/// A part of Graph that is not the same in every cloud.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Capability {
    /// Users, devices, service principals, `revokeSignInSessions`, `removePassword`, `removeKey`.
    Directory,
    /// `authentication/methods` with its FIDO 2, email, software OATH, pass, Hello and password methods.
    AuthenticationMethods,
    /// Microsoft Authenticator, phone and platform credential methods.
    PhoneMethods,
    /// External authentication methods.
    ExternalMethods,
    /// `authenticationMethod: resetPassword`.
    ResetPassword,
    /// Risky users and detections.
    IdentityProtection,
    /// `mailFolder/messageRules`.
    MessageRules,
    /// Sign-in and directory audit logs.
    AuditLogs,
    /// `security/auditLog/queries`.
    AuditLogQueries,
    /// Bringing back a deleted Conditional Access policy.
    PolicyRestore,
    /// `security/identities/identityAccounts: invokeAction`.
    IdentityAccounts,
    /// Intune's `managedDevice` actions.
    ManagedDevices,
    /// `isDisabled` of applications and service principals.
    IsDisabled,
    /// Cmdlets of Exchange Online (`InvokeCommand`).
    Cmdlets,
}

const NOT_CHINA: &[Cloud] = &[Cloud::Global, Cloud::GccHigh, Cloud::Dod];
const GLOBAL: &[Cloud] = &[Cloud::Global];

impl Capability {
    /// Every one.
    pub const ALL: &[Self] = &[
        Self::Directory,
        Self::AuthenticationMethods,
        Self::PhoneMethods,
        Self::ExternalMethods,
        Self::ResetPassword,
        Self::IdentityProtection,
        Self::MessageRules,
        Self::AuditLogs,
        Self::AuditLogQueries,
        Self::PolicyRestore,
        Self::IdentityAccounts,
        Self::ManagedDevices,
        Self::IsDisabled,
        Self::Cmdlets,
    ];

    /// The clouds that have it.
    pub const fn clouds(self) -> &'static [Cloud] {
        match self {
            Self::Directory
            | Self::PhoneMethods
            | Self::AuditLogs
            | Self::ManagedDevices
            | Self::IsDisabled
            | Self::Cmdlets => Cloud::ALL,
            Self::AuthenticationMethods | Self::ResetPassword | Self::IdentityProtection | Self::MessageRules => {
                NOT_CHINA
            }
            Self::ExternalMethods | Self::AuditLogQueries | Self::PolicyRestore | Self::IdentityAccounts => GLOBAL,
        }
    }

    /// Whether a cloud has it.
    pub fn is_in(self, cloud: Cloud) -> bool {
        self.clouds().contains(&cloud)
    }
}

#[cfg(test)]
mod tests {
    use super::Capability;
    use crate::model::Cloud;

    #[test]
    fn the_global_cloud_has_everything_and_the_two_of_the_us_government_are_alike() {
        for capability in Capability::ALL {
            assert!(capability.is_in(Cloud::Global), "{capability:?}");
            assert_eq!(capability.is_in(Cloud::GccHigh), capability.is_in(Cloud::Dod), "{capability:?}");
        }
    }

    #[test]
    fn china_lacks_methods_risk_and_rules() {
        let lacks = |cloud| -> Vec<_> { Capability::ALL.iter().copied().filter(|it| !it.is_in(cloud)).collect() };
        use Capability::{
            AuditLogQueries, AuthenticationMethods, ExternalMethods, IdentityAccounts, IdentityProtection,
            MessageRules, PolicyRestore, ResetPassword,
        };
        assert_eq!(lacks(Cloud::Dod), [ExternalMethods, AuditLogQueries, PolicyRestore, IdentityAccounts]);
        assert_eq!(
            lacks(Cloud::China),
            [
                AuthenticationMethods,
                ExternalMethods,
                ResetPassword,
                IdentityProtection,
                MessageRules,
                AuditLogQueries,
                PolicyRestore,
                IdentityAccounts
            ]
        );
    }
}
