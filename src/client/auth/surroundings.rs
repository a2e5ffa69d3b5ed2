//! What the machine offers to sign in with: a closed list of environment variables, and well-known places.

use std::{collections::BTreeMap, env, fmt, path::PathBuf};

use secrecy::{ExposeSecret as _, SecretString};

/// The variables that are read, and no others. Some hold secrets.
const VARIABLES: [&str; 9] = [
    "ACTIONS_ID_TOKEN_REQUEST_TOKEN",
    "ACTIONS_ID_TOKEN_REQUEST_URL",
    "AZURE_POD_IDENTITY_AUTHORITY_HOST",
    "IDENTITY_ENDPOINT",
    "IDENTITY_HEADER",
    "IDENTITY_SERVER_THUMBPRINT",
    "IMDS_ENDPOINT",
    "MSI_ENDPOINT",
    "MSI_SECRET",
];

/// What the machine offers to sign in with.
#[derive(Clone)]
pub struct Surroundings {
    variables: BTreeMap<String, SecretString>,
    /// Where Azure Arc's agent writes the files that its challenges name.
    pub(super) arc_tokens: PathBuf,
    /// Where Azure Arc's agent is installed.
    pub(super) arc_agent: PathBuf,
}

impl Surroundings {
    /// Those of this process.
    pub fn of_process() -> Self {
        Self::new(VARIABLES.into_iter().filter_map(|name| Some((name, env::var(name).ok()?))))
    }

    /// These variables, and the platform's well-known places.
    pub fn new<'a>(variables: impl IntoIterator<Item = (&'a str, String)>) -> Self {
        let (arc_tokens, arc_agent) = arc_places();
        let variables = variables.into_iter().filter(|(_, value)| !value.is_empty());
        Self {
            variables: variables.map(|(name, value)| (name.to_owned(), value.into())).collect(),
            arc_tokens,
            arc_agent,
        }
    }

    /// Places Azure Arc's agent elsewhere, for rehearsal.
    #[must_use]
    pub fn with_arc_tokens(mut self, folder: PathBuf) -> Self {
        self.arc_tokens = folder;
        self
    }

    /// A variable that is set and not empty.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.variables.get(name).map(|value| value.expose_secret())
    }
}

impl fmt::Debug for Surroundings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.variables.keys()).finish()
    }
}

/// Source: "managed identity with Azure Arc-enabled servers"; the same as in Microsoft's libraries.
fn arc_places() -> (PathBuf, PathBuf) {
    if cfg!(windows) {
        let under = |variable: &str, rest: &str| {
            let root = env::var_os(variable).map(PathBuf::from).unwrap_or_default();
            root.join("AzureConnectedMachineAgent").join(rest)
        };
        return (under("ProgramData", "Tokens"), under("ProgramFiles", "himds.exe"));
    }
    (PathBuf::from("/var/opt/azcmagent/tokens"), PathBuf::from("/opt/azcmagent/bin/himds"))
}

#[cfg(test)]
mod tests {
    use super::Surroundings;

    #[test]
    fn names_are_shown_and_values_are_not() {
        let here = Surroundings::new([("MSI_SECRET", "canary-msi".to_owned()), ("MSI_ENDPOINT", String::new())]);
        assert_eq!(format!("{here:?}"), r#"{"MSI_SECRET"}"#);
        assert_eq!(here.get("MSI_SECRET"), Some("canary-msi"));
        assert_eq!(here.get("MSI_ENDPOINT"), None, "empty is not set");
    }
}
