//! The unified audit log.

use serde_json::{Map, Value, json};

use super::stamp::Stamp;

/// One record.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Record {
    pub(crate) id: String,
    pub(crate) time: Stamp,
    /// The record type's number and name.
    pub(crate) record_type: (u16, &'static str),
    pub(crate) operation: String,
    pub(crate) workload: &'static str,
    pub(crate) user_id: String,
    pub(crate) user_key: String,
    pub(crate) user_type: (u8, &'static str),
    pub(crate) object_id: String,
    pub(crate) result: &'static str,
    pub(crate) client_ip: Option<String>,
    /// The caller's id of the request; not part of the record that the service shows.
    pub(crate) client_request_id: Option<String>,
    /// What the workload adds.
    pub(crate) data: Value,
}

impl Record {
    /// `AuditData`: the common schema and what the workload adds. The time has no zone mark.
    pub(crate) fn data(&self, organization: &str) -> Map<String, Value> {
        let common = json!({
            "CreationTime": self.time.seconds().trim_end_matches('Z'),
            "Id": self.id,
            "Operation": self.operation,
            "OrganizationId": organization,
            "RecordType": self.record_type.0,
            "ResultStatus": self.result,
            "UserKey": self.user_key,
            "UserType": self.user_type.0,
            "Version": 1,
            "Workload": self.workload,
            "ObjectId": self.object_id,
            "UserId": self.user_id,
        });
        let mut out = common.as_object().cloned().unwrap_or_default();
        if let Some(ip) = &self.client_ip {
            out.insert("ClientIP".to_owned(), ip.clone().into());
        }
        if let Value::Object(more) = &self.data {
            out.extend(more.clone());
        }
        out
    }
}
