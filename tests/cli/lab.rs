//! A mock tenant in this process, and the binary beside it with a case folder of its own.

use std::{fs, path::PathBuf, process::Output, sync::Mutex};

use assert_cmd::cargo::CommandCargoExt as _;
use mock_server::{RogueObject, Scenario, Server, Tenant};
use serde_json::Value;
use tempfile::TempDir;
use tokio::runtime::Runtime;

use crate::canary;

/// The playbook of the incident, as shipped.
pub(crate) const AITM: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/playbooks/aitm-account-takeover.yaml");
/// The short one.
pub(crate) const FIVE_MINUTES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/playbooks/first-five-minutes.yaml");

pub(crate) struct Lab {
    pub(crate) tenant: Tenant,
    pub(crate) dir: TempDir,
    /// What the test itself put there.
    own: Mutex<Vec<PathBuf>>,
    _server: Server,
    _runtime: Runtime,
}

/// How the binary ended.
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// No test leaves a secret of its tenant in its folder.
impl Drop for Lab {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            canary::assert_clean(self.dir.path(), &self.tenant, &self.own.lock().unwrap());
        }
    }
}

impl Lab {
    pub(crate) fn aitm() -> Self {
        Self::of(&Scenario::builtin("aitm").unwrap())
    }

    pub(crate) fn of(scenario: &Scenario) -> Self {
        Self::on(scenario, mock_server::Clock::system())
    }

    /// With a clock of the tenant's own.
    pub(crate) fn on(scenario: &Scenario, clock: mock_server::Clock) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let tenant = Tenant::with_clock(scenario, clock);
        let server = runtime.block_on(Server::start(tenant.clone()));
        let dir = tempfile::tempdir().unwrap();
        canary::watch(&tenant);
        let lab = Self { tenant, dir, own: Mutex::default(), _server: server, _runtime: runtime };
        let (us, url) = (lab.tenant.credentials(), lab._server.uri());
        lab.write(
            "staunch.toml",
            &format!(
                "[tenants.lab]\ntenant_id = \"{}\"\nclient_id = \"{}\"\nauth = {{ kind = \"secret\", env = \"LAB_SECRET\" }}\n\
                 endpoints = {{ login = \"{url}\", graph = \"{url}\", exchange = \"{url}\" }}\n",
                us.tenant_id, us.client_id
            ),
        );
        lab
    }

    /// Where the tenant listens.
    pub(crate) fn url(&self) -> String {
        self._server.uri()
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path(name);
        fs::write(&path, text).unwrap();
        self.own.lock().unwrap().push(path.clone());
        path
    }

    /// The binary in this lab's folder, with an environment of its own and no terminal.
    pub(crate) fn command(&self, args: &[&str]) -> std::process::Command {
        let mut command = std::process::Command::cargo_bin("staunch").unwrap();
        command.env_clear().current_dir(self.dir.path()).args(args);
        command.env("LAB_SECRET", self.tenant.credentials().client_secret).env("USER", "responder");
        command.stdin(std::process::Stdio::null());
        command
    }

    pub(crate) fn staunch(&self, args: &[&str]) -> Ended {
        Ended::of(self.command(args).output().unwrap())
    }

    /// Arguments that plan the incident's playbook and pick what was planted.
    pub(crate) fn plan_args(&self) -> Vec<String> {
        let incident = self.tenant.incident();
        let mut args = vec!["plan".to_owned(), AITM.to_owned()];
        args.extend(["-i".to_owned(), format!("users={}", incident.victims.join(","))]);
        args.extend(["-i".to_owned(), format!("incident_start={}", incident.start)]);
        args.push("--allow-irreversible".to_owned());
        let steps = [
            ("methods", "authenticationMethod"),
            ("devices", "device"),
            ("rules", "inboxRule"),
            ("apps", "servicePrincipal"),
        ];
        for (step, kind) in steps {
            let ids = incident.rogue.iter().filter(|object| object.kind == kind).map(|object| object.id.clone());
            args.extend(["--pick".to_owned(), format!("{step}={}", ids.collect::<Vec<_>>().join(","))]);
        }
        args
    }

    /// What the attacker left, as it can be contained. An application and its grants are contained through its
    /// service principal.
    pub(crate) fn planted(&self) -> Vec<RogueObject> {
        let rogue = self.tenant.incident().rogue.clone();
        rogue.into_iter().filter(|object| !["application", "oauth2PermissionGrant"].contains(&object.kind)).collect()
    }

    /// Plans the incident into `plan.json`; gives its digest.
    pub(crate) fn plan(&self) -> String {
        let args = self.plan_args();
        self.plan_to_file(&args.iter().map(String::as_str).collect::<Vec<_>>())
    }

    /// Runs a `plan` into `plan.json`; gives its digest.
    pub(crate) fn plan_to_file(&self, args: &[&str]) -> String {
        let ended = self.staunch(&[args, &["--out", "plan.json", "--format", "json"]].concat());
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
        let plan: Value = serde_json::from_str(&ended.stdout).unwrap();
        plan["digest"].as_str().unwrap().to_owned()
    }

    /// The id of the newest run.
    pub(crate) fn run_id(&self) -> String {
        let runs = fs::read_dir(self.path("case/runs")).unwrap();
        runs.map(|run| run.unwrap().file_name().into_string().unwrap()).max().unwrap()
    }

    /// The tenant's state, but for the times of revocations and passwords.
    pub(crate) fn comparable(&self) -> Value {
        let mut state = self.tenant.state();
        blank(&mut state);
        state
    }

    /// Number of requests that changed the tenant.
    pub(crate) fn mutations(&self) -> usize {
        self.tenant.requests().iter().filter(|request| request.mutated).count()
    }
}

impl Ended {
    /// Fails where a secret of any tenant was printed.
    pub(crate) fn of(output: Output) -> Self {
        canary::assert_silent(&output.stdout, "stdout");
        canary::assert_silent(&output.stderr, "stderr");
        Self {
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// Both streams, for a look at the whole.
    pub(crate) fn text(&self) -> String {
        format!("{}{}", self.stdout, self.stderr)
    }
}

fn blank(value: &mut Value) {
    match value {
        Value::Object(map) => {
            for (name, value) in map {
                if name == "signInSessionsValidFromDateTime" || name == "lastPasswordChangeDateTime" {
                    *value = Value::Null;
                } else {
                    blank(value);
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(blank),
        _ => {}
    }
}
