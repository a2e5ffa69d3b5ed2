//! A catalogue shaped like the real one: inputs derived with schemars, with formats, options, documented enums and lists.
#![expect(dead_code, reason = "the structs are here for their schemas")]

use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, Schema};

use crate::playbook::{ActionFacts, Catalogue, Effect};

/// The actions that the shipped playbooks use, with `$defs` or with everything inlined.
pub(super) struct Actions {
    pub(super) inline: bool,
}

#[derive(JsonSchema)]
#[schemars(inline, extend("format" = "user"))]
struct User(String);

/// An object id or an application id.
#[derive(JsonSchema)]
#[schemars(extend("format" = "service-principal"))]
struct ServicePrincipal(String);

#[derive(JsonSchema)]
#[schemars(extend("format" = "date-time"))]
struct Time(String);

/// One account.
#[derive(JsonSchema)]
#[serde(deny_unknown_fields)]
struct Account {
    /// The account.
    user: User,
}

/// What becomes of the new password.
#[derive(JsonSchema)]
#[serde(rename_all = "kebab-case")]
enum HandOver {
    /// Sealed to the recipient of the profile.
    Sealed,
    /// Nobody learns it.
    Discard,
}

#[derive(JsonSchema)]
#[serde(deny_unknown_fields)]
struct Password {
    /// The account that gets a new password.
    user: User,
    /// What becomes of the new password.
    hand_over: Option<HandOver>,
}

#[derive(JsonSchema)]
#[serde(deny_unknown_fields)]
struct Registered {
    /// The account.
    user: User,
    /// Only what was registered at or after this time.
    registered_after: Option<Time>,
}

#[derive(JsonSchema)]
#[serde(rename_all = "kebab-case")]
enum RuleEffect {
    Forward,
    Redirect,
    Delete,
    Move,
    MarkRead,
    Copy,
}

#[derive(JsonSchema)]
#[serde(deny_unknown_fields)]
struct Rules {
    /// The mailbox.
    user: User,
    /// Only rules with one of these effects.
    #[schemars(length(min = 1))]
    effects: Option<Vec<RuleEffect>>,
}

#[derive(JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend("oneOf" = [{"required": ["app"]}, {"required": ["user"]}]))]
struct Applications {
    /// This application.
    app: Option<ServicePrincipal>,
    /// Applications that this user owns or has consented to.
    user: Option<User>,
    /// Only those created at or after this time.
    created_after: Option<Time>,
}

/// Shapes that no shipped action has, for the rules that need them.
#[derive(JsonSchema)]
#[serde(deny_unknown_fields)]
struct Odd {
    /// Several accounts at once.
    users: Vec<User>,
    /// How many.
    #[schemars(range(min = 1, max = 10))]
    count: Option<u8>,
    /// A note.
    #[schemars(length(max = 20))]
    note: Option<String>,
    /// Sure.
    sure: Option<bool>,
    /// A shape that the language does not know.
    nested: Option<std::collections::BTreeMap<String, String>>,
}

impl Actions {
    fn input<T: JsonSchema>(&self) -> serde_json::Value {
        let settings = SchemaSettings::draft2020_12().with(|settings| settings.inline_subschemas = self.inline);
        let schema: Schema = settings.into_generator().into_root_schema_for::<T>();
        schema.to_value()
    }

    fn one(&self, (id, title): (&str, &str), input: serde_json::Value, kind: &str, effect: Effect) -> ActionFacts {
        let instead = (id == "mailbox.remove-inbox-rules").then(|| "mailbox.disable-inbox-rules".to_owned());
        ActionFacts { id: id.into(), title: title.into(), input, target_kind: kind.into(), effect, instead }
    }
}

impl Catalogue for Actions {
    fn actions(&self) -> Vec<ActionFacts> {
        let one = |names, input, kind, effect| self.one(names, input, kind, effect);
        vec![
            one(("user.block-sign-in", "Block sign-in"), self.input::<Account>(), "user", Effect::Cut),
            one(("user.revoke-sessions", "Revoke sessions"), self.input::<Account>(), "user", Effect::Cut),
            one(("user.reset-password", "Reset the password"), self.input::<Password>(), "user", Effect::Rotate),
            one(
                ("user.remove-auth-methods", "Remove authentication methods"),
                self.input::<Registered>(),
                "auth-method",
                Effect::Remove,
            ),
            one(("device.disable", "Disable devices"), self.input::<Registered>(), "device", Effect::Disable),
            one(("mailbox.disable-inbox-rules", "Disable rules"), self.input::<Rules>(), "inbox-rule", Effect::Disable),
            one(("mailbox.remove-inbox-rules", "Remove rules"), self.input::<Rules>(), "inbox-rule", Effect::Remove),
            one(
                ("app.disable-service-principal", "Disable applications"),
                self.input::<Applications>(),
                "service-principal",
                Effect::Disable,
            ),
            one(("test.odd", "Odd shapes"), self.input::<Odd>(), "user", Effect::Cut),
        ]
    }
}
