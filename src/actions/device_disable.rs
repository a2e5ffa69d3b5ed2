//! `device.disable`: a registered device that no longer authenticates.

use std::time::Duration;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    action::{Action, Example},
    actions::support::{
        account::{Account, UserTarget, restricted_unit},
        dating::{Dating, undated},
        permissions::USER_READ,
        switch::{Switch, gone_is_none},
    },
    client::{ReadError, Reader},
    model::{
        Call, Capability, Caveat, CaveatKind, Effect, Found, GraphPath, Irreversible, Meta, Permission, Seen, Source,
        Target, Untrusted, UserRef, Verdict,
    },
};

/// Disables the devices that a user registered or owns: sets `accountEnabled` of the device object to false.
///
/// # Why
///
/// An intruder registers a device to get a primary refresh token, which survives the change of a password and satisfies
/// rules that ask for a known device. Disabling the device voids that token.
///
/// # Undo
///
/// Exact: the value before is set again.
///
/// # Needs
///
/// Nothing beyond the permissions.
///
/// # Limits
///
/// The registration stays on the device, so the owner is locked out too; on a hybrid device Active Directory sign-in
/// still works, and synchronisation may enable the object again. `approximateLastSignInDateTime` lags by up to 19 days
/// and proves no activity. Nothing is wiped and nothing is deleted: that would take BitLocker keys and evidence along.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Input {
    /// The user whose devices are looked at, by principal name or object id.
    user: UserRef,
    /// Only devices registered at or after this moment. A device without a date is shown, never taken by itself.
    #[serde(default)]
    registered_after: Option<Timestamp>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct DeviceTarget {
    /// Object id, which is not `deviceId`.
    id: String,
    device_id: Option<String>,
    name: Untrusted,
    /// Object id of the user whose devices were looked at.
    #[serde(default)]
    user_id: Option<String>,
    user_principal_name: Untrusted,
}

/// `microsoft.graph.device`, as far as it is shown.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Device {
    id: String,
    #[serde(rename = "@odata.type", default)]
    odata_type: Option<String>,
    device_id: Option<String>,
    display_name: Option<Untrusted>,
    account_enabled: Option<bool>,
    /// `Workplace`: registered. `AzureAd`: joined. `ServerAd`: hybrid.
    trust_type: Option<String>,
    operating_system: Option<Untrusted>,
    registration_date_time: Option<Timestamp>,
    approximate_last_sign_in_date_time: Option<Timestamp>,
    on_premises_sync_enabled: Option<bool>,
    is_management_restricted: Option<bool>,
}

const PROPERTIES: &str = "id,deviceId,displayName,accountEnabled,trustType,profileType,operatingSystem,\
    operatingSystemVersion,registrationDateTime,approximateLastSignInDateTime,isCompliant,isManaged,managementType,\
    mdmAppId,onPremisesSyncEnabled,isManagementRestricted,systemLabels,physicalIds";

pub(crate) struct DisableDevice;

impl Action for DisableDevice {
    const META: Meta = Meta {
        id: "device.disable",
        title: "Disable devices",
        target_kind: "device",
        effect: Effect::Disable,
        instead: None,
        destroys: false,
        sensitive: false,
        always: false,
        reads: &[
            USER_READ,
            Permission::graph(&[
                "Device.Read.All",
                "Device.ReadWrite.All",
                "Directory.Read.All",
                "Directory.ReadWrite.All",
            ]),
        ],
        writes: &[Permission::graph(&["Device.ReadWrite.All", "Directory.ReadWrite.All"])],
        roles: &[],
        licence: None,
        part: Capability::Directory,
        attack: &["T1098.005"],
        d3fend: &["D3-CE"],
        coun7er: &["CM0071"],
        itm: &[],
        sources: &[
            Source {
                title: "Microsoft Entra: revoke user access in an emergency",
                url: "https://learn.microsoft.com/en-us/entra/identity/users/users-revoke-access",
            },
            Source {
                title: "Microsoft Entra: manage stale devices (what disabling does)",
                url: "https://learn.microsoft.com/en-us/entra/identity/devices/manage-stale-devices",
            },
            Source {
                title: "Microsoft Graph: update device",
                url: "https://learn.microsoft.com/en-us/graph/api/device-update?view=graph-rest-1.0",
            },
        ],
        propagation: Duration::from_secs(120),
    };

    type Input = Input;
    type Target = DeviceTarget;
    type State = Switch;

    async fn resolve(tenant: &Reader, input: &Input) -> Result<Vec<Found<DeviceTarget>>, ReadError> {
        let account = Account::find(tenant, &input.user).await?;
        let user = GraphPath::v1().fixed("users").id(&account.id);
        let (registered, owned) = (user.clone().fixed("registeredDevices"), user.fixed("ownedDevices"));
        let (registered, owned) = futures_util::try_join!(tenant.list(&registered), tenant.list(&owned))?;
        Ok(choose(union(registered, owned), input.registered_after, &UserTarget::of(&account)))
    }

    async fn read(tenant: &Reader, target: &DeviceTarget) -> Result<Seen<Switch, DeviceTarget>, ReadError> {
        let device: Option<Device> = gone_is_none(tenant.get(&path(target).select(PROPERTIES)).await)?;
        let state = device.as_ref().map_or(Switch::GONE, |device| Switch {
            // A device that never was disabled may carry no value.
            account_enabled: Some(device.account_enabled.unwrap_or(true)),
        });
        let mut seen = Seen::plain(state);
        if let Some(device) = &device {
            seen.caveats = caveats(device);
            if device.is_management_restricted == Some(true) {
                seen.caveats.push(restricted_unit(tenant, "device", path(target)).await);
            }
        }
        Ok(seen)
    }

    fn describe(target: &DeviceTarget) -> Target {
        Target {
            kind: "device".into(),
            id: target.id.clone(),
            name: target.name.clone(),
            of: Some(target.user_principal_name.clone()),
            lane: target.id.clone(),
            owner: target.user_id.clone(),
            workload: None,
            data: Value::Null,
        }
    }

    fn desired(_: &Input, now: &Switch, _: Timestamp) -> Switch {
        now.off()
    }

    fn calls(target: &DeviceTarget, from: &Switch, to: &Switch, _: Option<&Input>) -> Result<Vec<Call>, Irreversible> {
        Switch::calls(path(target), *from, *to)
    }

    fn judge(wanted: &Switch, seen: &Switch) -> Verdict {
        Switch::judge(*wanted, *seen)
    }

    fn examples() -> &'static [Example] {
        &[Example {
            title: "Disable what was registered since the incident began",
            input: "user: johanna@sunnyside08.example\nregistered_after: 2023-12-12T13:50:17Z",
        }]
    }
}

fn path(target: &DeviceTarget) -> GraphPath {
    GraphPath::v1().fixed("devices").id(&target.id)
}

/// Registered and owned devices differ: the union, each once, with how it is related to the user.
fn union(registered: Vec<Device>, owned: Vec<Device>) -> Vec<(Device, &'static str)> {
    let mut all: Vec<(Device, &'static str)> = Vec::new();
    let owned = owned.into_iter().map(|device| (device, "owned"));
    let registered = registered.into_iter().map(|device| (device, "registered"));
    for (device, relation) in registered.chain(owned) {
        let of_other_type = device.odata_type.as_deref().is_some_and(|kind| kind != "#microsoft.graph.device");
        match all.iter_mut().find(|(known, _)| known.id == device.id) {
            Some((_, known)) => *known = "registered and owned",
            None if of_other_type => {}
            None => all.push((device, relation)),
        }
    }
    all.sort_by(|(a, _), (b, _)| (a.registration_date_time, &a.id).cmp(&(b.registration_date_time, &b.id)));
    all
}

fn choose(
    devices: Vec<(Device, &'static str)>,
    after: Option<Timestamp>,
    user: &UserTarget,
) -> Vec<Found<DeviceTarget>> {
    let mut found = Vec::new();
    for (device, relation) in devices {
        let dating = Dating::of(device.registration_date_time, after);
        if dating == Dating::Before {
            continue;
        }
        let mut caveats = Vec::new();
        if dating == Dating::Unknown {
            caveats.push(undated("device", "registration"));
        }
        if device.device_id.is_none() && device.display_name.is_none() {
            caveats.push(Caveat::new(
                CaveatKind::BlindSpot,
                "the tenant showed nothing but the object id: a permission to read devices is missing",
            ));
        }
        let note = note(&device, relation);
        let name = device.display_name.unwrap_or_else(|| device.id.clone().into());
        found.push(Found {
            target: DeviceTarget {
                id: device.id,
                device_id: device.device_id,
                name,
                user_id: Some(user.id.clone()),
                user_principal_name: user.user_principal_name.as_str().into(),
            },
            certain: dating == Dating::After,
            note,
            caveats,
        });
    }
    found
}

fn note(device: &Device, relation: &str) -> Untrusted {
    let date = |at: Option<Timestamp>| at.map_or_else(|| "no date".to_owned(), |at| at.to_string());
    let os = device.operating_system.as_ref().map_or("unknown system", Untrusted::raw);
    format!(
        "{relation}, registered {}, last seen about {}, {}, {os}, deviceId {}",
        date(device.registration_date_time),
        date(device.approximate_last_sign_in_date_time),
        device.trust_type.as_deref().unwrap_or("unknown trust"),
        device.device_id.as_deref().unwrap_or("unknown"),
    )
    .into()
}

fn caveats(device: &Device) -> Vec<Caveat> {
    let mut caveats = Vec::new();
    let hybrid = device.trust_type.as_deref() == Some("ServerAd");
    if hybrid || device.on_premises_sync_enabled == Some(true) {
        caveats.push(Caveat::new(
            CaveatKind::Synced,
            "a hybrid device: disable the computer in Active Directory too, or the next synchronisation may enable it again",
        ));
    }
    caveats
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{Device, DisableDevice, caveats, choose, union};
    use crate::{
        action::Action as _,
        actions::support::{account::UserTarget, switch::Switch},
        model::CaveatKind,
    };

    fn user() -> UserTarget {
        UserTarget { id: "u-1".into(), user_principal_name: "johanna@sunnyside08.example".into() }
    }

    fn device(id: &str, registered: Option<&str>) -> Device {
        serde_json::from_value(json!({
            "@odata.type": "#microsoft.graph.device",
            "id": id,
            "deviceId": format!("{id}-device"),
            "displayName": "DESKTOP-X",
            "accountEnabled": true,
            "trustType": "AzureAd",
            "operatingSystem": "Windows",
            "registrationDateTime": registered,
        }))
        .unwrap()
    }

    #[test]
    fn both_lists_are_united_and_each_device_stands_once() {
        let group = serde_json::from_value(json!({"@odata.type": "#microsoft.graph.group", "id": "g"}));
        let all = union(
            vec![device("b", Some("2023-12-12T13:58:00Z"))],
            vec![device("b", Some("2023-12-12T13:58:00Z")), device("a", Some("2022-01-01T00:00:00Z")), group.unwrap()],
        );
        let seen: Vec<_> = all.iter().map(|(d, how)| (d.id.as_str(), *how)).collect();
        assert_eq!(seen, [("a", "owned"), ("b", "registered and owned")]);
    }

    #[test]
    fn the_window_decides_and_no_date_is_no_decision() {
        let all = union(
            vec![
                device("old", Some("2022-01-01T00:00:00Z")),
                device("new", Some("2023-12-12T13:50:17Z")),
                device("undated", None),
            ],
            Vec::new(),
        );
        let after = "2023-12-12T13:50:17Z".parse().ok();
        let found = choose(all.clone(), after, &user());
        let seen: Vec<_> = found.iter().map(|found| (found.target.id.as_str(), found.certain)).collect();
        assert_eq!(seen, [("undated", false), ("new", true)]);
        assert_eq!(found[0].caveats[0].kind, CaveatKind::Undated);
        assert!(choose(all, None, &user()).iter().all(|found| found.certain));
    }

    #[test]
    fn a_row_without_content_is_a_blind_spot() {
        let bare = serde_json::from_value(json!({"id": "x"})).unwrap();
        let found = choose(union(vec![bare], Vec::new()), None, &user());
        assert_eq!(found[0].target.name.raw(), "x");
        assert_eq!(found[0].caveats[0].kind, CaveatKind::BlindSpot);
    }

    #[test]
    fn the_object_id_is_addressed_not_the_device_id() {
        let found = choose(union(vec![device("o", None)], Vec::new()), None, &user());
        let calls = DisableDevice::calls(&found[0].target, &Switch::at(true), &Switch::at(false), None).unwrap();
        assert_eq!(calls[0].summary(), r#"PATCH /v1.0/devices/o {"accountEnabled":false}"#);
    }

    #[test]
    fn a_device_is_changed_by_itself_and_belongs_to_the_user_that_was_looked_at() {
        let found = choose(union(vec![device("o", None)], Vec::new()), None, &user());
        let target = DisableDevice::describe(&found[0].target);
        assert_eq!((target.lane.as_str(), target.principal()), ("o", "u-1"));
    }

    #[test]
    fn a_hybrid_device_will_come_back() {
        let mut hybrid = device("h", None);
        assert!(caveats(&hybrid).is_empty());
        hybrid.trust_type = Some("ServerAd".into());
        let kinds: Vec<_> = caveats(&hybrid).iter().map(|c| c.kind).collect();
        assert_eq!(kinds, [CaveatKind::Synced]);
    }
}
