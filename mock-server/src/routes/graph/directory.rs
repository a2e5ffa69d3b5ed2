//! The tenant itself.

use serde_json::{Map, Value, json};

use super::DIRECTORY;
use super::access::ORGANIZATION_READ;
use crate::odata::select::Shape;
use crate::reply::Outcome;
use crate::routes::call::Call;
use crate::routes::table::{Route, get};
use crate::tenant::state::Organization;
use crate::tenant::world::World;

pub(super) const ROUTES: &[Route] = &[get("/organization", ORGANIZATION_READ, list)];

const SHAPE: Shape = Shape { type_name: "organization", defaults: None, unmodelled: &[] };

fn list(call: &Call<'_>, world: &World) -> Outcome {
    let organization = &world.state.organization;
    let rows = vec![(organization.id.clone(), wire(organization))];
    call.collection("organization", &SHAPE, rows, DIRECTORY)
}

fn wire(organization: &Organization) -> Map<String, Value> {
    let row = json!({
        "id": organization.id,
        "deletedDateTime": null,
        "businessPhones": [],
        "city": null,
        "country": null,
        "countryLetterCode": null,
        "createdDateTime": organization.created_date_time,
        "defaultUsageLocation": null,
        "displayName": organization.display_name,
        "marketingNotificationEmails": [],
        "mobileDeviceManagementAuthority": null,
        "onPremisesLastSyncDateTime": null,
        "onPremisesSyncEnabled": null,
        "partnerTenantType": null,
        "postalCode": null,
        "preferredLanguage": "en",
        "securityComplianceNotificationMails": [],
        "securityComplianceNotificationPhones": [],
        "state": null,
        "street": null,
        "technicalNotificationMails": [],
        "tenantType": "AAD",
        "assignedPlans": [],
        "provisionedPlans": [],
        "privacyProfile": null,
        "verifiedDomains": [{
            "capabilities": "Email, OfficeCommunicationsOnline", "isDefault": true, "isInitial": true,
            "name": organization.domain, "type": "Managed",
        }],
    });
    match row {
        Value::Object(row) => row,
        _ => Map::new(),
    }
}
