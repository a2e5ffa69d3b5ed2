//! What a run says that it is about: whose tenant, under which identity, when. As true as the verdict says.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{
    chain::Chain,
    finding::{Code, Findings, shown},
};
use crate::{
    journal::{Mode, RunHeader, folder::HEADER},
    model::Cloud,
};

/// Facts of `run.json`, and when the last line was written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Subject {
    /// The run.
    pub run_id: String,
    /// The case, as the user called it.
    pub case: String,
    /// Forward or back.
    pub mode: Mode,
    /// The tenant.
    pub tenant_id: String,
    /// Its cloud.
    pub cloud: Cloud,
    /// The application that signed in.
    pub app_id: String,
    /// Its service principal, or the person who signed in.
    pub object_id: String,
    /// The person's name.
    pub user_principal_name: Option<String>,
    /// On whose authority the work was done, as it was given.
    pub authority: Option<String>,
    /// When the run began, by the machine's clock.
    pub started: Timestamp,
    /// When its last line was written, by the machine's clock.
    pub last: Option<Timestamp>,
}

impl Subject {
    pub(super) fn of(header: &RunHeader, chain: &Chain) -> Self {
        let identity = &header.identity;
        Self {
            run_id: header.run_id.clone(),
            case: header.case.clone(),
            mode: header.mode,
            tenant_id: header.tenant_id.clone(),
            cloud: header.cloud,
            app_id: identity.app_id.clone(),
            object_id: identity.object_id.clone(),
            user_principal_name: identity.user_principal_name.clone(),
            authority: header.authority.clone(),
            started: header.started,
            last: chain.known().last().map(|(_, line)| line.t),
        }
    }

    /// Holds the run to the tenant that was asked for.
    pub(super) fn is_of(&self, tenant: &str, found: &mut Findings) {
        if !self.tenant_id.eq_ignore_ascii_case(tenant) {
            let (is, asked) = (shown(&self.tenant_id), shown(tenant));
            found.file(Code::WrongTenant, HEADER, format!("it is of tenant {is}, and {asked} was asked for"));
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::journal::{
        Trust, Verdict, Vkey,
        testing::{header, noon, plan, small},
        verify::{Code, verify, verify_with},
    };

    #[tokio::test]
    async fn a_record_says_whose_it_is_and_is_held_to_the_tenant_that_was_asked_for() {
        let case = tempfile::tempdir().unwrap();
        let bench = small(case.path(), "r1").await;
        let key: Vkey = bench.journal.anchor().vkey.parse().unwrap();
        let run = bench.close().await;
        let subject = verify(&run).subject.unwrap();
        let header = header("r1", &plan());
        assert_eq!((&subject.tenant_id, &subject.app_id), (&header.tenant_id, &header.identity.app_id));
        assert!(subject.started == noon() && subject.last > Some(noon()));

        let asked = |tenant: &str| verify_with(&run, &Trust::keys([key.clone()]).and(Trust::tenant(tenant)));
        assert_eq!(asked(&header.tenant_id.to_uppercase()).verdict, Verdict::Authentic);
        let other = asked("99999999-9999-4999-8999-999999999999");
        assert_eq!(other.verdict, Verdict::Broken);
        assert_eq!(other.problems().map(|it| it.code).collect::<Vec<_>>(), [Code::WrongTenant]);
    }
}
