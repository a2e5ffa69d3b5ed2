//! The claim: one object a plan, which the first responder makes and every other finds.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{
    journal::RunHeader,
    store::{Store, StoreError, objects::Put},
};

/// Version of the claim.
pub const CLAIM_FORMAT: &str = "staunch.claim/v1";

/// Who runs a plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Claim {
    /// `staunch.claim/v1`
    pub format: String,
    /// The plan's digest, as it is approved.
    pub plan: String,
    /// The run.
    pub run: String,
    /// The case, as the user calls it.
    pub case: String,
    /// The machine's name.
    pub host: String,
    /// The user of the machine.
    pub os_user: String,
    /// When the run began, by the machine's clock.
    pub at: Timestamp,
}

impl Claim {
    /// The claim of a run on the plan of this digest.
    pub fn of(header: &RunHeader, plan: &str) -> Self {
        Self {
            format: CLAIM_FORMAT.to_owned(),
            plan: plan.to_owned(),
            run: header.run_id.clone(),
            case: header.case.clone(),
            host: header.host.clone(),
            os_user: header.os_user.clone(),
            at: header.started,
        }
    }

    /// `sha256:…` without its colon, which not every file system takes in a name.
    fn object(&self) -> String {
        format!("claims/{}.json", self.plan.replace(':', "-"))
    }
}

impl Store {
    /// Claims a plan for a run. A run that has claimed it before, and is now taken up again, still has it.
    ///
    /// # Errors
    /// `Held` when another run has it; when the store cannot be reached or does not let us.
    pub async fn claim(&self, claim: &Claim) -> Result<(), StoreError> {
        let object = claim.object();
        let bytes = serde_json::to_vec_pretty(claim).unwrap_or_default();
        let there = match self.put_new(&object, bytes.into()).await? {
            Put::Created | Put::Same => return Ok(()),
            Put::Other(there) => there,
        };
        let store = self.address().to_string();
        match serde_json::from_slice::<Claim>(&there) {
            Ok(held) if held.run == claim.run && held.plan == claim.plan => Ok(()),
            Ok(held) => Err(StoreError::Held { claim: Box::new(held), object, store }),
            Err(_) => Err(StoreError::NotAClaim { object, store }),
        }
    }
}
