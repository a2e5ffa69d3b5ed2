//! The directory's audit feed: what was seeded, and an entry for every change made through the API.

use serde::Serialize;
use serde_json::{Value, json};

use super::stamp::Stamp;

/// One `directoryAudit`. The serialised names are Graph's.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[expect(missing_docs, reason = "the fields are Graph's properties of the same name")]
pub struct AuditEntry {
    pub id: String,
    pub category: String,
    pub correlation_id: String,
    pub result: String,
    pub result_reason: String,
    pub activity_display_name: String,
    #[serde(serialize_with = "ticks")]
    pub activity_date_time: Stamp,
    pub logged_by_service: String,
    pub operation_type: String,
    pub initiated_by: InitiatedBy,
    pub target_resources: Vec<Target>,
    pub additional_details: Vec<KeyValue>,
}

fn ticks<S: serde::Serializer>(stamp: &Stamp, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&stamp.ticks())
}

/// Who did it: both members are always there, one of them null.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct InitiatedBy {
    /// The application, for an app-only change.
    pub app: Option<AppActor>,
    /// The user, for a delegated one.
    pub user: Option<UserActor>,
}

/// An application as an actor. `appId` is null in what the service really logs.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[expect(missing_docs, reason = "the fields are Graph's properties of the same name")]
pub struct AppActor {
    pub app_id: Option<String>,
    pub display_name: Option<String>,
    pub service_principal_id: Option<String>,
    pub service_principal_name: Option<String>,
}

/// A user as an actor.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[expect(missing_docs, reason = "the fields are Graph's properties of the same name")]
pub struct UserActor {
    pub id: String,
    pub display_name: Option<String>,
    pub user_principal_name: Option<String>,
    pub ip_address: Option<String>,
    pub user_type: Option<String>,
    pub home_tenant_id: Option<String>,
    pub home_tenant_name: Option<String>,
}

/// What was changed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[expect(missing_docs, reason = "the fields are Graph's properties of the same name")]
pub struct Target {
    pub id: String,
    pub display_name: Option<String>,
    #[serde(rename = "type")]
    pub kind: String,
    pub user_principal_name: Option<String>,
    pub group_type: Option<String>,
    pub modified_properties: Vec<ModifiedProperty>,
}

/// One changed property; the values are JSON inside a string.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[expect(missing_docs, reason = "the fields are Graph's properties of the same name")]
pub struct ModifiedProperty {
    pub display_name: String,
    pub old_value: Option<String>,
    pub new_value: Option<String>,
}

/// A detail without a name of its own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[expect(missing_docs, reason = "the fields are Graph's properties of the same name")]
pub struct KeyValue {
    pub key: String,
    pub value: String,
}

impl ModifiedProperty {
    /// A property whose values are encoded twice, as the service does.
    #[must_use]
    pub fn new(name: &str, old: Option<&Value>, new: Option<&Value>) -> Self {
        Self {
            display_name: name.to_owned(),
            old_value: old.map(Value::to_string),
            new_value: new.map(Value::to_string),
        }
    }

    /// The list of names that the service adds after the properties themselves.
    #[must_use]
    pub fn included(names: &[&str]) -> Self {
        Self::new("Included Updated Properties", None, Some(&json!(names.join(", "))))
    }
}

/// An activity's fixed words.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Activity {
    pub(crate) name: &'static str,
    pub(crate) category: &'static str,
    pub(crate) operation: &'static str,
    pub(crate) service: &'static str,
}

/// An activity of the core directory.
pub(crate) const fn core(name: &'static str, category: &'static str, operation: &'static str) -> Activity {
    Activity { name, category, operation, service: "Core Directory" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_encoded_twice() {
        let property = ModifiedProperty::new("AccountEnabled", Some(&json!([true])), Some(&json!([false])));
        assert_eq!(property.new_value.as_deref(), Some("[false]"));
        let names = ModifiedProperty::included(&["AccountEnabled", "DisplayName"]);
        assert_eq!(names.new_value.as_deref(), Some("\"AccountEnabled, DisplayName\""));
    }

    #[test]
    fn an_absent_actor_is_null_and_not_missing() {
        let text = serde_json::to_string(&InitiatedBy::default()).unwrap();
        assert_eq!(text, r#"{"app":null,"user":null}"#);
    }
}
