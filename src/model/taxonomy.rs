//! Names of the ids that actions bear, from the public catalogues, each under the version that it was taken from.
//!
//! What an action counters stands in its `META`; only what an id is called stands here.

use crate::model::Meta;

/// Version of MITRE ATT&CK.
pub const ATTACK_VERSION: &str = "18.1";
/// Version of MITRE D3FEND.
pub const D3FEND_VERSION: &str = "1.2.0";

/// Catalogues of techniques and of countermeasures.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Catalog {
    /// MITRE ATT&CK: what intruders do.
    Attack,
    /// MITRE D3FEND: what defenders do.
    D3fend,
    /// CISA COUN7ER: what responders do.
    Coun7er,
    /// Insider Threat Matrix: what insiders, and intruders with their accounts, do.
    Itm,
}

impl Catalog {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Attack, Self::D3fend, Self::Coun7er, Self::Itm];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Attack => "MITRE ATT&CK",
            Self::D3fend => "MITRE D3FEND",
            Self::Coun7er => "CISA COUN7ER",
            Self::Itm => "Insider Threat Matrix",
        }
    }

    /// The key under which a playbook names ids of it.
    pub fn key(self) -> &'static str {
        match self {
            Self::Attack => "attack",
            Self::D3fend => "d3fend",
            Self::Coun7er => "coun7er",
            Self::Itm => "itm",
        }
    }

    /// The version that its names were taken from, where it has one.
    pub fn version(self) -> Option<&'static str> {
        match self {
            Self::Attack => Some(ATTACK_VERSION),
            Self::D3fend => Some(D3FEND_VERSION),
            Self::Coun7er | Self::Itm => None,
        }
    }

    /// The ids that an action bears.
    pub fn ids(self, meta: &Meta) -> &'static [&'static str] {
        match self {
            Self::Attack => meta.attack,
            Self::D3fend => meta.d3fend,
            Self::Coun7er => meta.coun7er,
            Self::Itm => meta.itm,
        }
    }

    /// What the id is called; none where this build does not know it.
    pub fn name_of(self, id: &str) -> Option<&'static str> {
        let find = |list: &[(&str, &'static str)]| list.iter().find(|(it, _)| *it == id).map(|(_, name)| *name);
        match self {
            Self::Attack => find(ATTACK),
            Self::D3fend => D3FEND.iter().find(|it| it.id == id).map(|it| it.name),
            Self::Coun7er => find(COUN7ER),
            Self::Itm => find(ITM),
        }
    }

    /// Its page, for the catalogues that have one under the id.
    pub fn url(self, id: &str) -> Option<String> {
        match self {
            Self::Attack => Some(format!("https://attack.mitre.org/techniques/{}/", id.replace('.', "/"))),
            Self::D3fend => {
                let name = self.name_of(id)?.replace(' ', "");
                Some(format!("https://d3fend.mitre.org/technique/d3f:{name}/"))
            }
            Self::Coun7er => None,
            Self::Itm => Some(format!("https://insiderthreatmatrix.org/articles/{id}")),
        }
    }
}

/// A D3FEND technique with the tactic that it serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Defence {
    /// `D3-AL`
    pub id: &'static str,
    /// `Account Locking`
    pub name: &'static str,
    /// `Evict`
    pub tactic: &'static str,
}

/// The D3FEND technique of this id.
pub fn defence(id: &str) -> Option<Defence> {
    D3FEND.iter().find(|it| it.id == id).copied()
}

/// Source: MITRE ATT&CK v18.1, Enterprise.
const ATTACK: &[(&str, &str)] = &[
    ("T1070.008", "Indicator Removal: Clear Mailbox Data"),
    ("T1078.004", "Valid Accounts: Cloud Accounts"),
    ("T1098.001", "Account Manipulation: Additional Cloud Credentials"),
    ("T1098.002", "Account Manipulation: Additional Email Delegate Permissions"),
    ("T1098.003", "Account Manipulation: Additional Cloud Roles"),
    ("T1098.005", "Account Manipulation: Device Registration"),
    ("T1110.003", "Brute Force: Password Spraying"),
    ("T1114.002", "Email Collection: Remote Email Collection"),
    ("T1114.003", "Email Collection: Email Forwarding Rule"),
    ("T1136.003", "Create Account: Cloud Account"),
    ("T1137.005", "Office Application Startup: Outlook Rules"),
    ("T1528", "Steal Application Access Token"),
    ("T1534", "Internal Spearphishing"),
    ("T1539", "Steal Web Session Cookie"),
    ("T1550.001", "Use Alternate Authentication Material: Application Access Token"),
    ("T1550.004", "Use Alternate Authentication Material: Web Session Cookie"),
    ("T1556.006", "Modify Authentication Process: Multi-Factor Authentication"),
    ("T1556.009", "Modify Authentication Process: Conditional Access Policies"),
    ("T1557", "Adversary-in-the-Middle"),
    ("T1564.008", "Hide Artifacts: Email Hiding Rules"),
    ("T1566.002", "Phishing: Spearphishing Link"),
    ("T1621", "Multi-Factor Authentication Request Generation"),
    ("T1657", "Financial Theft"),
    ("T1671", "Cloud Application Integration"),
];

const fn defence_of(id: &'static str, name: &'static str, tactic: &'static str) -> Defence {
    Defence { id, name, tactic }
}

/// Source: the D3FEND ontology 1.2.0.
const D3FEND: &[Defence] = &[
    defence_of("D3-ACH", "Application Configuration Hardening", "Harden"),
    defence_of("D3-AL", "Account Locking", "Evict"),
    defence_of("D3-ANCI", "Authentication Cache Invalidation", "Evict"),
    defence_of("D3-APA", "Access Policy Administration", "Isolate"),
    defence_of("D3-CE", "Credential Eviction", "Evict"),
    defence_of("D3-CR", "Credential Revocation", "Evict"),
    defence_of("D3-CRO", "Credential Rotation", "Harden"),
    defence_of("D3-ER", "Email Removal", "Evict"),
    defence_of("D3-OE", "Object Eviction", "Evict"),
    defence_of("D3-RC", "Restore Configuration", "Restore"),
    defence_of("D3-RE", "Restore Email", "Restore"),
    defence_of("D3-RIC", "Reissue Credential", "Restore"),
    defence_of("D3-RUAA", "Restore User Account Access", "Restore"),
    defence_of("D3-ST", "Session Termination", "Evict"),
    defence_of("D3-UAP", "User Account Permissions", "Isolate"),
    defence_of("D3-ULA", "Unlock Account", "Restore"),
];

/// Source: the COUN7ER data set of github.com/cisagov/playbook-ng.
const COUN7ER: &[(&str, &str)] = &[
    ("CM0033", "Reset User Account Passwords"),
    ("CM0061", "Rotate Mailbox Passwords"),
    ("CM0068", "Audit and Restrict Exchange ApplicationImpersonation Role"),
    ("CM0071", "Unenroll Suspicious Multifactor Authentication (MFA) Device from Microsoft User Account"),
    ("CM0074", "Audit and Restrict Mailbox Permissions"),
    ("CM0076", "Remove Adversary Certificates and Rotate Secrets for Applications and Service Principals"),
    ("CM0077", "Revoke Microsoft 365 Refresh Tokens"),
    ("CM0080", "Block and Reissue Tokens"),
    ("CM0082", "Identify and Remove Suspicious Email Forwarding Rules"),
    ("CM0105", "Remove Malicious Enterprise Applications and Service Account Principals"),
    ("CM0114", "Enable Microsoft Conditional Access Policy Templates"),
    ("CM0118", "Revoke Existing Administrator Permissions and Deploy New Administrator Accounts"),
    ("CM0123", "Remove Malicious Domain Trust from Tenant"),
];

/// Source: insiderthreatmatrix.org.
const ITM: &[(&str, &str)] = &[
    ("AF018.002", "Environment Tripwires"),
    ("AF027.001", "Email Deletion"),
    ("DT063", "Microsoft Entra ID Sign-in Logs"),
    ("IF011.003", "Providing Unauthorized Access to a Collaboration Platform"),
    ("PR004.002", "Collaboration Platform Exploration"),
    ("PR015.002", "Remote Email Collection"),
    ("PR030", "Authorization Token Staging"),
];

#[cfg(test)]
mod tests {
    use super::{ATTACK, COUN7ER, Catalog, D3FEND, ITM, defence};

    #[test]
    fn ids_stand_once_and_in_order() {
        let defences: Vec<(&str, &str)> = D3FEND.iter().map(|it| (it.id, it.name)).collect();
        for list in [ATTACK, COUN7ER, ITM, &defences] {
            assert!(list.windows(2).all(|two| two[0].0 < two[1].0), "{list:?}");
        }
        let tactics = ["Model", "Harden", "Detect", "Isolate", "Deceive", "Evict", "Restore"];
        assert!(D3FEND.iter().all(|it| tactics.contains(&it.tactic)));
    }

    #[test]
    fn an_id_has_its_page_and_its_tactic() {
        let attack = Catalog::Attack.url("T1550.004").unwrap();
        assert_eq!(attack, "https://attack.mitre.org/techniques/T1550/004/");
        let d3fend = Catalog::D3fend.url("D3-ANCI").unwrap();
        assert_eq!(d3fend, "https://d3fend.mitre.org/technique/d3f:AuthenticationCacheInvalidation/");
        assert_eq!(Catalog::D3fend.url("D3-NONE"), None);
        assert_eq!(defence("D3-CRO").unwrap().tactic, "Harden");
        assert_eq!(Catalog::Itm.name_of("PR030"), Some("Authorization Token Staging"));
    }
}
