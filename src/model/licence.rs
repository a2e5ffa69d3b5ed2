//! Licences on which parts of the services depend, as `subscribedSkus` shows them: by the service plan, whatever product it
//! came with.
//!
//! Source: Microsoft Entra, "Product names and service plan identifiers for licensing".

use serde::Serialize;

/// A licence.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Licence {
    /// Conditional Access, the sign-in log by Graph, thirty days of audit logs.
    EntraIdP1,
    /// Identity Protection, Privileged Identity Management.
    EntraIdP2,
    /// Actions on managed devices.
    Intune,
}

impl Licence {
    /// Every one.
    pub const ALL: &[Self] = &[Self::EntraIdP1, Self::EntraIdP2, Self::Intune];

    /// What it is called.
    pub fn name(self) -> &'static str {
        match self {
            Self::EntraIdP1 => "Microsoft Entra ID P1",
            Self::EntraIdP2 => "Microsoft Entra ID P2",
            Self::Intune => "Microsoft Intune",
        }
    }

    /// The service plan that it is.
    pub fn service_plan(self) -> &'static str {
        match self {
            Self::EntraIdP1 => "41781fb2-bc02-4b7c-bd55-b576c07bb09d",
            Self::EntraIdP2 => "eec0eb4f-6444-4f95-aba0-50c24d67f998",
            Self::Intune => "c1ec4a95-1f05-45b3-a911-aa3fa01094f5",
        }
    }
}
