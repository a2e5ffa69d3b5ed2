//! `staunch.toml`: profiles of tenants. A profile names secrets, it does not hold them.

use std::{
    collections::BTreeMap,
    env, fs,
    path::{Path, PathBuf},
};

use serde::Deserialize;
use toml::Spanned;
use url::Url;

use crate::{
    cli::{auth::Auth, exit::Failure, output::Output},
    client::{Endpoints, Roots, SessionOptions},
    model::Cloud,
};

/// The file.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Config {
    #[serde(default)]
    tenants: BTreeMap<String, Profile>,
}

/// One tenant and how to sign in to it.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Profile {
    /// The pin.
    pub(crate) tenant_id: Spanned<String>,
    client_id: Spanned<String>,
    #[serde(default = "global")]
    pub(crate) cloud: Cloud,
    auth: Spanned<Auth>,
    #[serde(default)]
    endpoints: Option<Spanned<EndpointsText>>,
    /// Accounts that are never touched: object ids or principal names of users, object ids of groups.
    #[serde(default)]
    pub(crate) break_glass: Vec<String>,
    /// Most accounts that one plan may touch, in percent of all.
    #[serde(default = "five")]
    pub(crate) max_percent: u8,
    /// Whether a guard that cannot read what it needs refuses the plan.
    #[serde(default)]
    pub(crate) strict_guards: bool,
    /// age recipients for new passwords.
    #[serde(default)]
    pub(crate) recipients: Vec<Spanned<String>>,
    /// Where records are copied at the close of a run.
    #[serde(default)]
    store: Option<Spanned<String>>,
    /// Whether the tenant may end our tokens at once when we are disabled.
    #[serde(default = "yes")]
    cae: bool,
    /// An HTTP proxy; what the environment says about proxies is not read.
    proxy: Option<Spanned<Url>>,
    /// Which certificate authorities are trusted.
    #[serde(default)]
    roots: RootsText,
    /// Where the profile stands, for errors: `FILE:LINE: profile NAME`.
    #[serde(skip)]
    place: String,
    /// The folder of the configuration.
    #[serde(skip)]
    base: PathBuf,
}

/// Which certificate authorities are trusted.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum RootsText {
    /// Mozilla's, from the binary.
    #[default]
    Bundled,
    /// This machine's: where a proxy of the organisation breaks TLS open.
    Platform,
}

impl From<RootsText> for Roots {
    fn from(roots: RootsText) -> Self {
        match roots {
            RootsText::Bundled => Self::Bundled,
            RootsText::Platform => Self::Platform,
        }
    }
}

/// Other endpoints than the cloud's: a mock tenant on this machine.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct EndpointsText {
    login: Url,
    graph: Url,
    exchange: Url,
}

fn global() -> Cloud {
    Cloud::Global
}

fn yes() -> bool {
    true
}

fn five() -> u8 {
    5
}

impl Config {
    /// Reads the file that was named, or `./staunch.toml`, or the one in the user's configuration folder.
    pub(crate) fn load(named: Option<&Path>) -> Result<Self, Failure> {
        let found = match named {
            Some(path) => Some(path.to_owned()),
            None => candidates().into_iter().find(|path| path.is_file()),
        };
        let Some(path) = found else {
            return Ok(Self::default());
        };
        let shown = path.display();
        let text = fs::read_to_string(&path)
            .map_err(|error| Failure::usage(format!("failed to read the configuration {shown}: {error}")))?;
        Self::parse(&text, &path).map_err(Failure::usage)
    }

    fn parse(text: &str, path: &Path) -> Result<Self, String> {
        let shown = path.display();
        let mut config: Self = toml::from_str(text).map_err(|error| format!("{shown}: {error}"))?;
        for (name, profile) in &mut config.tenants {
            let place = |at: usize| format!("{shown}:{}: profile {name}", line_of(text, at));
            profile.check().map_err(|(at, reason)| format!("{}: {reason}", place(at)))?;
            profile.place = place(profile.auth.span().start);
            profile.base = path.parent().map(Path::to_owned).unwrap_or_default();
        }
        Ok(config)
    }

    /// The profile that was named; else the one of this tenant; else the only one.
    pub(crate) fn profile(&self, name: Option<&str>, tenant_id: Option<&str>) -> Result<&Profile, Failure> {
        let known = || self.tenants.keys().cloned().collect::<Vec<_>>().join(", ");
        if let Some(name) = name {
            let missing = || Failure::usage(format!("there is no profile {name}; known: {}", known()));
            return self.tenants.get(name).ok_or_else(missing);
        }
        let fits = |profile: &&Profile| tenant_id.is_none_or(|tenant| profile.tenant_id.get_ref() == tenant);
        let mut fitting = self.tenants.values().filter(fits);
        match (fitting.next(), fitting.next()) {
            (Some(profile), None) => Ok(profile),
            (None, _) if self.tenants.is_empty() => {
                Err(Failure::usage("no tenant: there is no configuration").hint(
                    "write a staunch.toml with a [tenants.NAME] profile (see README), or say --tenant demo for the embedded tenant",
                ))
            }
            (None, _) => Err(Failure::usage(format!("no profile is for this tenant; known: {}", known()))),
            _ => Err(Failure::usage(format!("say which tenant with --tenant NAME; known: {}", known()))),
        }
    }
}

fn candidates() -> Vec<PathBuf> {
    let mut found = vec![PathBuf::from("staunch.toml")];
    let home = env::var_os("XDG_CONFIG_HOME").map(PathBuf::from);
    let home = home.or_else(|| env::var_os("HOME").map(|home| Path::new(&home).join(".config")));
    found.extend(home.map(|home| home.join("staunch").join("staunch.toml")));
    found.extend(env::var_os("APPDATA").map(|home| Path::new(&home).join("staunch").join("staunch.toml")));
    found
}

/// The line of a byte, from 1.
fn line_of(text: &str, at: usize) -> usize {
    1 + text.bytes().take(at).filter(|byte| *byte == b'\n').count()
}

impl Profile {
    /// Whether the credential is a secret, which a certificate would better.
    pub(crate) fn signs_in_with_a_secret(&self) -> bool {
        matches!(self.auth.get_ref(), Auth::Secret { .. })
    }

    /// What is wrong, and where it stands.
    fn check(&self) -> Result<(), (usize, String)> {
        for (name, value) in [("tenant_id", &self.tenant_id), ("client_id", &self.client_id)] {
            // Braces, `urn:` and no hyphens are a GUID too, and are not what a token or an address says.
            let parsed = uuid::Uuid::try_parse(value.get_ref());
            if !parsed.is_ok_and(|id| id.hyphenated().to_string().eq_ignore_ascii_case(value.get_ref())) {
                return Err((value.span().start, format!("{name} is not a GUID: {}", value.get_ref())));
            }
        }
        for key in &self.recipients {
            crate::engine::check_recipient(key.get_ref()).map_err(|error| (key.span().start, error.to_string()))?;
        }
        if let Some(store) = &self.store {
            check_store(store.get_ref()).map_err(|reason| (store.span().start, reason))?;
        }
        self.auth.get_ref().check().map_err(|reason| (self.auth.span().start, reason))?;
        if let Some(proxy) = &self.proxy {
            let plain = proxy.get_ref().username().is_empty() && proxy.get_ref().password().is_none();
            if !plain || !matches!(proxy.get_ref().scheme(), "http" | "https") {
                let reason = "proxy must be http://HOST:PORT or https://HOST:PORT, without a user name or password";
                return Err((proxy.span().start, reason.to_owned()));
            }
        }
        let Some(endpoints) = &self.endpoints else {
            return Ok(());
        };
        let EndpointsText { login, graph, exchange } = endpoints.get_ref();
        match [login, graph, exchange].into_iter().find(|url| !is_loopback(url)) {
            Some(url) => Err((
                endpoints.span().start,
                format!("endpoints may only be on this machine (127.0.0.1, [::1] or localhost), not {url}"),
            )),
            None => Ok(()),
        }
    }

    /// The store of its records, and how it is reached.
    pub(crate) fn keeping(&self) -> crate::cli::keep::Keeping {
        let at = self.store.as_ref().and_then(|store| store.get_ref().parse().ok());
        let proxy = self.proxy.as_ref().map(|proxy| proxy.get_ref().clone());
        crate::cli::keep::Keeping { at, reach: crate::store::Reach { roots: self.roots.into(), proxy } }
    }

    /// What a session is opened with; reads the secret.
    pub(crate) fn options(&self, out: Output) -> Result<SessionOptions, Failure> {
        let endpoints = match &self.endpoints {
            Some(given) => {
                let EndpointsText { login, graph, exchange } = given.get_ref().clone();
                Endpoints { login, graph, exchange }
            }
            None => Endpoints::of(self.cloud),
        };
        let credential = self
            .auth
            .get_ref()
            .credential(&self.base, out)
            .map_err(|failure| Failure { message: format!("{}: {}", self.place, failure.message), ..failure })?;
        let (tenant_id, client_id) = (self.tenant_id.get_ref(), self.client_id.get_ref());
        let mut options = SessionOptions::new(self.cloud, tenant_id, client_id, credential).at(endpoints);
        options.cae = self.cae;
        options.proxy = self.proxy.as_ref().map(|proxy| proxy.get_ref().clone());
        options.roots = self.roots.into();
        Ok(options)
    }
}

fn check_store(text: &str) -> Result<(), String> {
    text.parse::<crate::store::Address>().map(drop).map_err(|error| error.to_string())
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(url::Host::Ipv4(ip)) => ip.is_loopback(),
        Some(url::Host::Ipv6(ip)) => ip.is_loopback(),
        Some(url::Host::Domain(name)) => name == "localhost",
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, path::Path};

    use super::{Config, Profile};
    use crate::{
        cli::{args::Format, output::Output},
        client::{Credential, FederatedFrom, Roots, UserAssigned},
    };

    const GUID: &str = "00000000-0000-0000-0000-000000000001";

    fn profile(extra: &str) -> String {
        format!("[tenants.a]\ntenant_id = \"{GUID}\"\nclient_id = \"{GUID}\"\n{extra}")
    }

    fn parsed(extra: &str) -> Config {
        Config::parse(&profile(extra), Path::new("staunch.toml")).unwrap()
    }

    fn only(config: &Config) -> &Profile {
        config.profile(None, None).unwrap()
    }

    fn out() -> Output {
        Output::new(Format::Human)
    }

    fn refusal(text: &str) -> String {
        Config::parse(text, Path::new("staunch.toml")).err().unwrap()
    }

    #[test]
    fn a_profile_is_found_by_name_by_tenant_or_because_it_is_the_only_one() {
        let config = parsed("auth = { kind = \"secret\", env = \"X\" }");
        assert!(config.profile(Some("a"), None).is_ok());
        assert!(config.profile(None, Some(GUID)).is_ok());
        assert!(config.profile(None, None).is_ok());
        assert!(config.profile(Some("b"), None).unwrap_err().message.contains("known: a"));
        assert!(config.profile(None, Some("other")).is_err());
    }

    #[test]
    fn a_secret_never_stands_in_the_file() {
        let error = refusal(&profile("auth = { kind = \"secret\", value = \"hunter2\" }"));
        assert!(error.contains("value"), "{error}");
    }

    #[test]
    fn foreign_endpoints_are_refused() {
        let endpoints = "endpoints = { login = \"http://127.0.0.1:1\", graph = \"http://127.0.0.1.evil.example\", exchange = \"http://[::1]:1\" }";
        let error = refusal(&profile(&format!("auth = {{ kind = \"secret\", env = \"X\" }}\n{endpoints}")));
        assert!(error.contains("127.0.0.1.evil.example"), "{error}");
    }

    #[test]
    fn a_tenant_must_be_pinned_by_its_id() {
        let error = refusal(
            "[tenants.a]\ntenant_id = \"contoso.example\"\nclient_id = \"x\"\nauth = { kind = \"secret\", env = \"X\" }",
        );
        assert!(error.contains("not a GUID"), "{error}");
    }

    #[test]
    fn every_kind_of_credential_has_its_words() {
        let kind = |auth: &str| only(&parsed(&format!("auth = {auth}"))).options(out()).unwrap().credential;
        assert!(matches!(
            kind("{ kind = \"federated\", file = \"/var/run/token\" }"),
            Credential::Federated(federated) if matches!(&federated.from, FederatedFrom::File(path) if path.ends_with("token"))
        ));
        assert!(matches!(
            kind("{ kind = \"federated\", github = true, audience = \"api://x\" }"),
            Credential::Federated(federated) if federated.audience.as_deref() == Some("api://x")
        ));
        assert!(
            matches!(kind("{ kind = \"managed-identity\" }"), Credential::ManagedIdentity(of) if of.assigned.is_none())
        );
        assert!(matches!(
            kind("{ kind = \"managed-identity\", object_id = \"o\" }"),
            Credential::ManagedIdentity(of) if of.assigned == Some(UserAssigned::ObjectId("o".to_owned()))
        ));
    }

    #[test]
    fn a_kind_with_the_wrong_words_is_refused_at_its_line() {
        for (auth, says) in [
            ("{ kind = \"secret\" }", "either env or file"),
            ("{ kind = \"secret\", env = \"X\", file = \"y\" }", "either env or file"),
            ("{ kind = \"federated\" }", "either file or github = true"),
            ("{ kind = \"federated\", file = \"x\", audience = \"y\" }", "only with github"),
            ("{ kind = \"managed-identity\", client_id = \"a\", object_id = \"b\" }", "at most one of"),
            ("{ kind = \"certificate\" }", "file"),
            ("{ kind = \"certificate\", file = \"x\", passphrase = \"hunter2\" }", "passphrase_env"),
            ("{ kind = \"certificate\", file = \"x\", algorithm = \"none\" }", "ps256"),
            ("{ kind = \"browser\", port = 1 }", "port"),
            ("{ kind = \"password\" }", "managed-identity"),
        ] {
            let error = refusal(&profile(&format!("auth = {auth}")));
            assert!(error.contains(says), "{error}");
            assert!(error.contains("staunch.toml:4: profile a:") || error.contains("line 4, column"), "{error}");
        }
    }

    #[test]
    fn a_proxy_has_no_password_and_roots_and_cae_can_be_changed() {
        let secret = "auth = { kind = \"managed-identity\" }";
        let options = only(&parsed(secret)).options(out()).unwrap();
        assert_eq!((options.cae, options.roots, options.proxy), (true, Roots::Bundled, None));
        let changed = format!("{secret}\ncae = false\nroots = \"platform\"\nproxy = \"http://proxy.example:3128\"");
        let options = only(&parsed(&changed)).options(out()).unwrap();
        assert_eq!((options.cae, options.roots), (false, Roots::Platform));
        assert_eq!(options.proxy.unwrap().as_str(), "http://proxy.example:3128/");
        for proxy in ["http://user:hunter2@proxy.example", "socks5://proxy.example", "ftp://proxy.example"] {
            let error = refusal(&profile(&format!("{secret}\nproxy = \"{proxy}\"")));
            assert!(error.starts_with("staunch.toml:5: profile a: proxy"), "{error}");
            assert!(!error.contains("hunter2"), "{error}");
        }
    }

    #[test]
    fn a_person_is_needed_for_browser_and_device_code() {
        for kind in ["browser", "device-code"] {
            let config = parsed(&format!("auth = {{ kind = \"{kind}\" }}"));
            if !out().can_ask() {
                let failure = only(&config).options(out()).unwrap_err();
                assert!(failure.message.contains("needs a person at a terminal"), "{}", failure.message);
            }
        }
    }

    #[test]
    fn files_are_found_beside_the_configuration_and_errors_name_the_place() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("staunch.toml");
        let config = Config::parse(&profile("auth = { kind = \"certificate\", file = \"ir.pem\" }"), &path).unwrap();
        let failure = only(&config).options(out()).unwrap_err();
        assert!(failure.message.contains("staunch.toml:4: profile a: failed to read"), "{}", failure.message);
        write_private(&folder.path().join("ir.pem"), "-----BEGIN NOTHING-----");
        let failure = only(&config).options(out()).unwrap_err();
        assert!(failure.message.contains("the file holds none"), "{}", failure.message);
        let config = Config::parse(&profile("auth = { kind = \"secret\", file = \"s\" }"), &path).unwrap();
        write_private(&folder.path().join("s"), "hunter2\n");
        assert!(matches!(only(&config).options(out()).unwrap().credential, Credential::Secret(_)));
    }

    #[cfg(unix)]
    #[test]
    fn a_key_that_others_can_read_is_refused() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("ir.pem");
        fs::write(&file, "x").unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).unwrap();
        let path = folder.path().join("staunch.toml");
        let config = Config::parse(&profile("auth = { kind = \"certificate\", file = \"ir.pem\" }"), &path).unwrap();
        let failure = only(&config).options(out()).unwrap_err();
        assert!(failure.message.contains("can be read by others"), "{}", failure.message);
    }

    fn write_private(path: &Path, text: &str) {
        fs::write(path, text).unwrap();
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
        }
    }
}
