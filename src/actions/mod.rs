//! The actions: one file each, `user.block-sign-in` in `user_block_sign_in.rs`, and the list that registers them.
//!
//! An action describes a change and never makes one. What several of them read in the same way is in `support`.

mod support;

use crate::action::{Erased, Registry};

/// Declares the modules of the actions and registers them: one line adds one action.
macro_rules! actions {
    ($($file:ident :: $action:ident),+ $(,)?) => {
        $(mod $file;)+

        /// Every action that exists, in the order in which a playbook usually uses them.
        pub const REGISTRY: Registry = Registry::new(&[$(&Erased::<$file::$action>::new()),+]);
    };
}

actions! {
    user_block_sign_in::BlockSignIn,
    user_revoke_sessions::RevokeSessions,
    user_reset_password::ResetPassword,
    user_remove_auth_methods::RemoveAuthMethods,
    device_disable::DisableDevice,
    mailbox_disable_inbox_rules::DisableInboxRules,
    mailbox_remove_inbox_rules::RemoveInboxRules,
    app_disable_service_principal::DisableServicePrincipal,
}
