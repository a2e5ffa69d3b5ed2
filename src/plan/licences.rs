//! Which licences the tenant has.

use std::collections::BTreeSet;

use serde::Deserialize;

use crate::{
    client::{ReadError, Reader},
    model::{GraphPath, Licence},
};

/// The tenant's licences.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Licences(BTreeSet<Licence>);

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Subscription {
    capability_status: Option<String>,
    #[serde(default)]
    service_plans: Vec<ServicePlan>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ServicePlan {
    service_plan_id: String,
    provisioning_status: Option<String>,
}

impl Licences {
    /// Reads them; needs `LicenseAssignment.Read.All`, or `Directory.Read.All`.
    ///
    /// Source: Graph, "List subscribedSkus": a subscription in its days of grace (`Warning`) still serves.
    ///
    /// # Errors
    /// When the tenant does not let us read its subscriptions.
    pub async fn read(tenant: &Reader) -> Result<Self, ReadError> {
        let path = GraphPath::v1().fixed("subscribedSkus").select("capabilityStatus,servicePlans");
        let subscriptions: Vec<Subscription> = tenant.list(&path).await?;
        let serves = |it: &Subscription| matches!(it.capability_status.as_deref(), Some("Enabled" | "Warning"));
        let plans = subscriptions.iter().filter(|it| serves(it)).flat_map(|it| &it.service_plans);
        let ready = plans.filter(|plan| plan.provisioning_status.as_deref() != Some("Disabled"));
        let ids: BTreeSet<String> = ready.map(|plan| plan.service_plan_id.to_lowercase()).collect();
        Ok(Self(Licence::ALL.iter().copied().filter(|licence| ids.contains(licence.service_plan())).collect()))
    }

    /// Whether the tenant has it.
    pub fn has(&self, licence: Licence) -> bool {
        self.0.contains(&licence)
    }
}
