//! The tenant itself.

use serde_json::{Map, Value, json};

use super::DIRECTORY;
use super::access::ORGANIZATION_READ;
use crate::access::Access;
use crate::odata::select::Shape;
use crate::reply::Outcome;
use crate::routes::call::Call;
use crate::routes::table::{Route, get};
use crate::tenant::state::Organization;
use crate::tenant::world::World;

/// Source: Graph, "List subscribedSkus", permissions.
const LICENCE_READ: Access = Access::any(&[
    "LicenseAssignment.Read.All",
    "LicenseAssignment.ReadWrite.All",
    "Organization.Read.All",
    "Organization.ReadWrite.All",
    "Directory.Read.All",
    "Directory.ReadWrite.All",
]);

pub(super) const ROUTES: &[Route] =
    &[get("/organization", ORGANIZATION_READ, list), get("/subscribedSkus", LICENCE_READ, subscriptions)];

const SUBSCRIPTION: Shape = Shape { type_name: "subscribedSku", defaults: None, unmodelled: &[] };

/// What the tenant has bought: Exchange Online, and Enterprise Mobility + Security E5 where it is a premium one.
///
/// Source: Microsoft Entra, "Product names and service plan identifiers for licensing".
fn subscriptions(call: &Call<'_>, world: &World) -> Outcome {
    const EXCHANGE: &[(&str, &str)] = &[("9aaf7827-d63c-4b61-89c3-182f06f82e5c", "EXCHANGE_S_STANDARD")];
    const SECURITY: &[(&str, &str)] = &[
        ("41781fb2-bc02-4b7c-bd55-b576c07bb09d", "AAD_PREMIUM"),
        ("eec0eb4f-6444-4f95-aba0-50c24d67f998", "AAD_PREMIUM_P2"),
        ("c1ec4a95-1f05-45b3-a911-aa3fa01094f5", "INTUNE_A"),
    ];
    let mut rows = vec![sku(world, ("4b9405b0-7788-4568-add1-99614e613b69", "EXCHANGESTANDARD"), EXCHANGE)];
    if call.settings.premium {
        rows.push(sku(world, ("b05e124f-c7cc-45a0-a6aa-8cf78c946968", "EMSPREMIUM"), SECURITY));
    }
    call.collection("subscribedSkus", &SUBSCRIPTION, rows, DIRECTORY)
}

fn sku(world: &World, (sku_id, name): (&str, &str), plans: &[(&str, &str)]) -> (String, Map<String, Value>) {
    let tenant = &world.state.organization.id;
    let (id, units) = (format!("{tenant}_{sku_id}"), world.state.users.len());
    let plan = |(id, name): &(&str, &str)| {
        json!({
            "servicePlanId": id, "servicePlanName": name, "provisioningStatus": "Success", "appliesTo": "User",
        })
    };
    let row = json!({
        "id": id, "accountId": tenant, "accountName": world.state.organization.display_name, "appliesTo": "User",
        "capabilityStatus": "Enabled", "consumedUnits": units, "skuId": sku_id, "skuPartNumber": name,
        "subscriptionIds": [], "prepaidUnits": {"enabled": units, "suspended": 0, "warning": 0, "lockedOut": 0},
        "servicePlans": plans.iter().map(plan).collect::<Vec<_>>(),
    });
    (id, row.as_object().cloned().unwrap_or_default())
}

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
