//! From a plan file to an approved plan: what is refused without a look at the tenant, and what an approval is.

use std::time::Duration;

use jiff::Timestamp;

use crate::{
    journal::{Approval, History, Record},
    model::{Caveat, Exchange, Identity, Item, Refusal},
    plan::{Cleared, Plan, PlanFile},
};

/// What a plan is checked against before it may be approved.
#[derive(Clone, Debug)]
pub struct Accept<'a> {
    /// Who we are now, from the token.
    pub identity: &'a Identity,
    /// Now.
    pub now: Timestamp,
    /// Oldest plan that is accepted.
    pub max_age: Duration,
    /// Digests of the plans that were run in this case already.
    pub applied: &'a [String],
}

/// Why a plan is refused: nothing was sent.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PlanRefused {
    /// Made for another tenant.
    #[error("apply the plan: it was made for tenant {plan}, this is tenant {here}")]
    Foreign {
        /// The plan's.
        plan: String,
        /// Ours.
        here: String,
    },
    /// Too old.
    #[error("apply the plan: it is {minutes} minutes old, {limit} are allowed; plan again, or raise --max-age")]
    Stale {
        /// Its age.
        minutes: u64,
        /// The limit.
        limit: u64,
    },
    /// From the future.
    #[error("apply the plan: it was made at {0}, which is in the future of this machine's clock")]
    Future(Timestamp),
    /// Run before.
    #[error("apply the plan: it was applied before; plan again")]
    Applied,
    /// Nothing of what it was made for could be planned; the first reason.
    #[error("apply the plan: nothing of it could be planned: {0}")]
    Empty(String),
    /// Guards refused it: as a whole, or an object in it.
    #[error("apply the plan: {}", in_words(.0))]
    Blocked(Vec<Refusal>),
    /// The approval names another digest.
    #[error("apply the plan: the approval is for {approved}, this plan is {plan}")]
    OtherDigest {
        /// Approved.
        approved: String,
        /// This.
        plan: String,
    },
}

/// `guard self: …; guard break-glass: …`
pub(crate) fn in_words(refusals: &[Refusal]) -> String {
    let each = refusals.iter().map(|Refusal { guard, reason }| format!("guard {guard}: {reason}"));
    each.collect::<Vec<_>>().join("; ")
}

/// A person's or a script's yes.
#[derive(Clone, Debug)]
pub struct Decision {
    /// The digest that was approved.
    pub digest: String,
    /// Who says so; asserted, not proven.
    pub by: String,
    /// How.
    pub how: Approval,
}

/// A plan that may be run. There is no other way to make one.
#[derive(Debug)]
pub struct Approved {
    file: PlanFile,
    decision: Decision,
    unseen: Vec<Caveat>,
    reads: Vec<Exchange>,
}

impl PlanFile {
    /// Checks what needs no look at the tenant.
    ///
    /// # Errors
    /// When it is foreign, stale, applied already or blocked by a guard.
    pub fn check(&self, against: &Accept<'_>) -> Result<(), PlanRefused> {
        let plan = self.plan();
        if plan.tenant_id != against.identity.tenant_id {
            let (plan, here) = (plan.tenant_id.clone(), against.identity.tenant_id.clone());
            return Err(PlanRefused::Foreign { plan, here });
        }
        if against.applied.iter().any(|digest| digest == self.digest()) {
            return Err(PlanRefused::Applied);
        }
        check_age(plan, against)?;
        let blocked: Vec<Refusal> = plan.blocked.iter().cloned().chain(plan.refused_whole()).collect();
        if !blocked.is_empty() {
            return Err(PlanRefused::Blocked(blocked));
        }
        match plan.plans_nothing() {
            true => Err(PlanRefused::Empty(first_problem(plan))),
            false => Ok(()),
        }
    }
}

impl Cleared {
    /// Turns the plan into an approved one.
    ///
    /// # Errors
    /// As [`PlanFile::check`], and when the decision is about another digest.
    pub fn approve(self, decision: Decision, against: &Accept<'_>) -> Result<Approved, PlanRefused> {
        let Self { file, view } = self;
        file.check(against)?;
        if decision.digest != file.digest() {
            return Err(PlanRefused::OtherDigest { approved: decision.digest, plan: file.digest().to_owned() });
        }
        Ok(Approved { file, decision, unseen: view.unseen, reads: view.reads })
    }
}

fn first_problem(plan: &Plan) -> String {
    let mut problems = plan.items().filter_map(|(_, item)| match item {
        Item::Problem { subject, reason } => Some(format!("{}: {reason}", subject.term())),
        _ => None,
    });
    problems.next().unwrap_or_default()
}

fn check_age(plan: &Plan, against: &Accept<'_>) -> Result<(), PlanRefused> {
    let age = against.now.duration_since(plan.made_at);
    if age.as_secs() < -120 {
        return Err(PlanRefused::Future(plan.made_at));
    }
    let age = Duration::try_from(age).unwrap_or_default();
    if age > against.max_age {
        return Err(PlanRefused::Stale { minutes: age.as_secs() / 60, limit: against.max_age.as_secs() / 60 });
    }
    Ok(())
}

impl Approved {
    /// The plan file.
    pub fn file(&self) -> &PlanFile {
        &self.file
    }

    /// The plan.
    pub fn plan(&self) -> &Plan {
        self.file.plan()
    }

    /// Who approved it, and how.
    pub fn decision(&self) -> &Decision {
        &self.decision
    }

    /// What the guards could not see when it was approved.
    pub fn unseen(&self) -> &[Caveat] {
        &self.unseen
    }

    /// What the guards read when it was approved; it stands in the record once.
    pub(crate) fn take_reads(&mut self) -> Vec<Exchange> {
        std::mem::take(&mut self.reads)
    }

    /// The approval that a journal holds: after a crash the plan goes on without being asked about again. None when
    /// the run died before its approval was on record, so that nothing was changed.
    pub fn resumed(file: PlanFile, history: &History) -> Option<Self> {
        let (decision, unseen) = history.lines.iter().find_map(|line| match &line.record {
            Record::Approved { digest, by, how, unseen, .. } => {
                Some((Decision { digest: digest.clone(), by: by.clone(), how: *how }, unseen.clone()))
            }
            _ => None,
        })?;
        (decision.digest == file.digest()).then_some(Self { file, decision, unseen, reads: Vec::new() })
    }
}
