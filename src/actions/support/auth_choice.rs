//! Which of a user's authentication methods an incident concerns, with the evidence and in the order of deletion.

use jiff::Timestamp;
use serde::Deserialize;

use crate::{
    actions::support::{
        account::UserTarget,
        audit::{self, Audit},
        auth_method::{Kind, Method, PASSWORD},
        dating::{Dating, undated},
    },
    client::Reader,
    model::{Caveat, CaveatKind, GraphPath, Untrusted},
};

/// `microsoft.graph.userRegistrationDetails`: the only hint at the default method in v1.0, up to a day old.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Registration {
    user_preferred_method_for_secondary_authentication: Option<String>,
}

/// What other places tell about the methods of one user.
#[derive(Default)]
pub(crate) struct Hints {
    /// The default method, by the registration report.
    preferred: Option<String>,
    /// Registrations in the audit log, or why it is silent. Asked only where something has no date.
    audits: Option<Result<Vec<Audit>, Caveat>>,
}

impl Hints {
    /// Asks, where an answer would matter. A hint that is denied is missing, never an error.
    pub(crate) async fn gather(
        tenant: &Reader,
        user: &UserTarget,
        methods: &[Method],
        after: Option<Timestamp>,
    ) -> Self {
        let report = async {
            if methods.len() <= 2 {
                return None; // the password and one other: any order is right
            }
            let path = GraphPath::v1().fixed("reports/authenticationMethods/userRegistrationDetails").id(&user.id);
            let report = tenant.hint().get::<Registration>(&path).await.ok()?;
            report.user_preferred_method_for_secondary_authentication
        };
        let audits = async {
            let undated =
                |method: &Method| method.odata_type != PASSWORD && Dating::of(method.created, after) == Dating::Unknown;
            if !methods.iter().any(undated) {
                return None;
            }
            Some(audit::done_to(tenant, &user.id, "User registered security info", after).await)
        };
        let (preferred, audits) = futures_util::join!(report, audits);
        Self { preferred, audits }
    }
}

/// A method that meets the criterion, or may.
pub(crate) struct Choice {
    /// The method.
    pub(crate) method: Method,
    /// Whether it certainly does.
    pub(crate) certain: bool,
    /// Evidence.
    pub(crate) note: Untrusted,
    /// What to know.
    pub(crate) caveats: Vec<Caveat>,
}

/// The methods that meet the criterion, in the order of deletion. The password is never among them.
pub(crate) fn choose(mut methods: Vec<Method>, after: Option<Timestamp>, hints: &Hints) -> Vec<Choice> {
    let had_alternate = methods.iter().any(|it| it.is_phone("alternateMobile"));
    methods.retain(|method| method.odata_type != PASSWORD && Dating::of(method.created, after) != Dating::Before);
    let preferred = hints.preferred.as_deref();
    methods.sort_by_key(|method| method.turn(preferred));
    let phones = Phones {
        mobile: methods.iter().any(|it| it.is_phone("mobile")),
        alternate_stays: had_alternate && !methods.iter().any(|it| it.is_phone("alternateMobile")),
    };
    methods
        .into_iter()
        .map(|method| {
            let dated = Dating::of(method.created, after) == Dating::After;
            Choice {
                certain: dated && Kind::of(&method.odata_type).is_some(),
                note: note(&method, hints, dated),
                caveats: caveats(&method, hints, dated, phones),
                method,
            }
        })
        .collect()
}

/// How the phone numbers of a user bind each other.
#[derive(Clone, Copy)]
struct Phones {
    /// The mobile number is to go.
    mobile: bool,
    /// An alternate one is not.
    alternate_stays: bool,
}

fn note(method: &Method, hints: &Hints, dated: bool) -> Untrusted {
    let mut parts = vec![match method.created {
        Some(at) => format!("registered {at}"),
        None => "no registration date".to_owned(),
    }];
    let shown = Kind::of(&method.odata_type).map_or(&[][..], |kind| kind.properties);
    let shown = shown.iter();
    parts.extend(shown.filter_map(|name| Some(format!("{name} {}", method.text(name)?))));
    if method.is_default(hints.preferred.as_deref()) {
        parts.push("the default by the registration report".into());
    }
    if let (false, Some(Ok(audits))) = (dated, &hints.audits) {
        parts.push(audited(audits));
    }
    parts.join(", ").into()
}

/// All registrations that the audit log shows: it names the kind of method, never the method.
fn audited(audits: &[Audit]) -> String {
    let told: Vec<String> = audits
        .iter()
        .map(|entry| {
            let reason = entry.result_reason.as_ref().map_or("", Untrusted::raw);
            let what = reason.strip_prefix("User ").unwrap_or(reason);
            format!("audit: {what} at {}", entry.activity_date_time)
        })
        .collect();
    if told.is_empty() { "audit: no registration since".to_owned() } else { told.join(", ") }
}

fn caveats(method: &Method, hints: &Hints, dated: bool, phones: Phones) -> Vec<Caveat> {
    let mut caveats = Vec::new();
    if Kind::of(&method.odata_type).is_none() {
        caveats.push(Caveat::new(
            CaveatKind::BlindSpot,
            "a type that Graph v1.0 cannot delete: remove it in the Entra admin centre",
        ));
    }
    if !dated {
        caveats.push(undated("method", "registration"));
        if let Some(Err(blind)) = &hints.audits {
            caveats.push(blind.clone());
        }
    }
    let default = method.is_default(hints.preferred.as_deref());
    let residual = if default && phones.mobile && method.is_phone("alternateMobile") {
        "the alternate number is the default, and the mobile number cannot go before it: if the tenant refuses both, \
         require re-registration in the Entra admin centre"
    } else if phones.alternate_stays && method.is_phone("mobile") {
        "the tenant keeps the mobile number as long as the user has an alternate one, which is older than the window"
    } else if default {
        "the user's default is a method of this kind: the tenant refuses to remove the default while others are left"
    } else {
        return caveats;
    };
    caveats.push(Caveat::new(CaveatKind::Residual, residual));
    caveats
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{Choice, Hints, choose};
    use crate::{
        actions::support::auth_method::tests::list,
        model::{Caveat, CaveatKind},
    };

    fn after(text: &str, hints: &Hints) -> Vec<Choice> {
        choose(list(), text.parse().ok(), hints)
    }

    fn shown(choices: &[Choice]) -> Vec<(&str, bool)> {
        let shown = choices.iter();
        shown.map(|it| (it.method.id.as_str(), it.certain)).collect()
    }

    #[test]
    fn the_window_decides_and_the_password_never_shows() {
        let found = after("2023-12-12T13:50:17Z", &Hints::default());
        assert_eq!(
            shown(&found),
            [
                ("t1", true),
                ("a1", false),
                ("h1", false),
                ("b6332ec1-7057-4abe-9331-3d72feddfe41", true),
                ("3179e48a-750b-4051-897c-87b9720928f7", false),
            ]
        );
        let kinds = |at: usize| found[at].caveats.iter().map(|c| c.kind).collect::<Vec<_>>();
        assert_eq!(kinds(1), [CaveatKind::Undated]);
        assert_eq!(kinds(2), [CaveatKind::BlindSpot]);
    }

    #[test]
    fn without_a_window_all_are_meant() {
        let found = choose(list(), None, &Hints::default());
        assert_eq!(found.len(), 6);
        assert!(found.iter().all(|it| it.certain == (it.method.id != "h1")));
    }

    #[test]
    fn the_audit_log_helps_to_date() {
        let entry = serde_json::from_value(json!({
            "activityDisplayName": "User registered security info",
            "activityDateTime": "2023-12-12T13:57:00Z",
            "resultReason": "User registered Authenticator App with Notification and Code",
            "targetResources": []
        }));
        let hints = Hints { preferred: None, audits: Some(Ok(vec![entry.unwrap()])) };
        let found = after("2023-12-12T13:50:17Z", &hints);
        assert!(
            found[1]
                .note
                .raw()
                .ends_with("audit: registered Authenticator App with Notification and Code at 2023-12-12T13:57:00Z")
        );
        assert!(!found[0].note.raw().contains("audit"));
        assert!(!found[1].certain, "the log names no single method");
    }

    #[test]
    fn a_silent_log_is_a_blind_spot() {
        let hints = Hints { preferred: None, audits: Some(Err(Caveat::new(CaveatKind::BlindSpot, "denied"))) };
        let found = after("2023-12-12T13:50:17Z", &hints);
        assert_eq!(found[1].caveats[1].text, "denied");
        assert!(found[0].caveats.is_empty());
    }

    #[test]
    fn dead_ends_are_told() {
        let hints = Hints { preferred: Some("voiceAlternateMobile".into()), audits: None };
        let found = after("2023-12-12T13:50:17Z", &hints);
        let last = &found[4];
        assert!(last.method.is_phone("alternateMobile"));
        assert!(last.caveats[0].text.contains("re-registration"));
        let found = after("2023-12-12T14:00:30Z", &Hints::default());
        let mobile = found.iter().find(|it| it.method.is_phone("mobile")).unwrap();
        assert!(mobile.caveats.iter().any(|c| c.text.contains("alternate one")));
    }
}
