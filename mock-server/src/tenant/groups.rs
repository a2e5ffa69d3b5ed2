//! Groups and administrative units: who is in them, and what follows from that.

use serde::Serialize;
use serde_json::{Map, Value};

use super::stamp::Stamp;

/// A group. The serialised names are Graph's.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[expect(missing_docs, reason = "the fields are Graph's properties of the same name")]
pub struct Group {
    pub id: String,
    pub deleted_date_time: Option<Stamp>,
    pub created_date_time: Stamp,
    pub description: Option<String>,
    pub display_name: String,
    pub group_types: Vec<String>,
    pub is_assignable_to_role: Option<bool>,
    pub is_management_restricted: Option<bool>,
    pub mail: Option<String>,
    pub mail_enabled: bool,
    pub mail_nickname: String,
    pub membership_rule: Option<String>,
    pub membership_rule_processing_state: Option<String>,
    pub on_premises_sync_enabled: Option<bool>,
    pub security_enabled: bool,
    pub visibility: Option<String>,
    #[serde(rename = "_hidden")]
    pub hidden: Members,
}

/// Who belongs to a group or unit.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Members {
    /// Ids of the members.
    pub members: Vec<String>,
    /// Ids of the owners; a unit has none.
    pub owners: Vec<String>,
}

/// An administrative unit. The serialised names are Graph's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[expect(missing_docs, reason = "the fields are Graph's properties of the same name")]
pub struct AdministrativeUnit {
    pub id: String,
    pub deleted_date_time: Option<Stamp>,
    pub description: Option<String>,
    pub display_name: String,
    pub is_member_management_restricted: Option<bool>,
    pub visibility: Option<String>,
    #[serde(rename = "_hidden")]
    pub hidden: Members,
}

impl Group {
    /// The object with every property.
    pub(crate) fn wire(&self) -> Map<String, Value> {
        let mut row = super::object(self);
        row.shift_remove("_hidden");
        row
    }

    /// Whether the service lets nobody edit the members: it computes them, or another directory is the master.
    pub(crate) fn is_computed(&self) -> bool {
        self.group_types.iter().any(|kind| kind == "DynamicMembership") || self.on_premises_sync_enabled == Some(true)
    }
}

impl AdministrativeUnit {
    /// Whether an object is in it, and it keeps out who holds no role over it.
    pub(crate) fn restricts(&self, id: &str) -> bool {
        self.is_member_management_restricted == Some(true) && self.hidden.members.iter().any(|member| member == id)
    }

    /// The object with every property.
    pub(crate) fn wire(&self) -> Map<String, Value> {
        let mut row = super::object(self);
        row.shift_remove("_hidden");
        row
    }
}
