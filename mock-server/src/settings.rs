//! Switches for the awkward but legal behaviours of the service, which a test turns on.

use serde::{Deserialize, Serialize};

use crate::random::Random;

/// How the tenant answers where the service leaves it open.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Rows on a page, whatever the collection's own size is.
    pub page_size: Option<usize>,
    /// Whether the first page of every collection that pages is empty and has a next link.
    pub empty_first_page: bool,
    /// The lifetime of access tokens in seconds.
    pub token_seconds: i64,
    /// The order in which a `$batch` answers: a seed for the shuffle.
    pub batch_seed: u64,
    /// Whether a next link of Exchange is always "expired", as one tenant was seen to do for applications.
    pub exchange_pages_expire: bool,
    /// Whether an Exchange read cmdlet with an unknown identity answers with every object, as its documentation warns.
    pub unknown_identity_is_all: bool,
    /// How long a change stays invisible, in milliseconds.
    pub lag: Lag,
    /// Throttling as the service does it: the published limits times this percentage; none switches it off.
    pub throttling_percent: Option<u64>,
    /// How long an answer takes on its way, in milliseconds: as if the tenant were far away. Front ends with a socket
    /// wait, each request for itself.
    pub latency_milliseconds: u64,
    /// Whether Graph challenges a token at once when its holder was disabled or revoked, as it does for callers that
    /// declare themselves capable of it; otherwise a token lives until it expires.
    pub continuous_access: bool,
    /// Whether queries of the unified audit log exist under `/beta` only.
    pub audit_queries_beta_only: bool,
    /// How long such a query runs, in milliseconds.
    pub audit_query_milliseconds: i64,
    /// Whether a large set of the unified audit log repeats its records, as it was seen to do.
    pub audit_duplicates: bool,
    /// Whether the tenant has the premium licences that the sign-in log and Identity Protection need.
    pub premium: bool,
    /// The endpoints of managed identity.
    pub managed_identity: ManagedIdentity,
}

/// What the endpoints of managed identity ask for. Nothing of it is a secret: the tenant is made up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ManagedIdentity {
    /// The secret that App Service (`X-IDENTITY-HEADER`), Azure Machine Learning and Service Fabric (`secret`) expect.
    pub secret: String,
    /// The file that Arc's challenge names. A path that climbs out of the agent's folder is the attack that a client
    /// must refuse.
    pub arc_key_file: String,
    /// The text of that file, which Arc expects. Whoever starts the client puts it there.
    pub arc_key: String,
}

impl Default for ManagedIdentity {
    fn default() -> Self {
        Self {
            secret: "rehearsal-only-not-a-secret".to_owned(),
            arc_key_file: "/var/opt/azcmagent/tokens/rehearsal.key".to_owned(),
            arc_key: "rehearsal-only-not-a-secret".to_owned(),
        }
    }
}

/// How long a change stays invisible, in milliseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Lag {
    /// To a read of one object by its id.
    pub object: i64,
    /// To lists and filters; the service's index is later than its objects.
    pub list: i64,
    /// To Exchange's read cmdlets.
    pub exchange: i64,
    /// To the audit feed.
    pub audit: i64,
    /// To the registration report, which the service says is up to a day old.
    pub report: i64,
    /// Whether only some of the replicas are late: a read meets one or the other, so that what was seen may be gone again.
    pub flapping: bool,
}

impl Lag {
    /// The lag that read number `read` meets.
    pub(crate) fn of_read(self, read: u64) -> Self {
        let on_time = self.flapping && Random::new(read).below(2) == 0;
        if on_time { Self { audit: self.audit, ..Self::default() } } else { self }
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            page_size: None,
            empty_first_page: false,
            token_seconds: 3599,
            batch_seed: 2023,
            exchange_pages_expire: false,
            unknown_identity_is_all: false,
            lag: Lag::default(),
            throttling_percent: None,
            latency_milliseconds: 0,
            continuous_access: false,
            audit_queries_beta_only: false,
            audit_query_milliseconds: 0,
            audit_duplicates: false,
            premium: true,
            managed_identity: ManagedIdentity::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Lag;

    #[test]
    fn a_flapping_replica_is_late_for_some_reads_and_not_for_others() {
        let lag = Lag { object: 5, flapping: true, ..Lag::default() };
        let met: Vec<i64> = (0..40).map(|read| lag.of_read(read).object).collect();
        let turns = met.windows(2).filter(|pair| pair[0] != pair[1]).count();
        assert!(turns > 10 && met.contains(&0) && met.contains(&5), "{met:?}");
        assert_eq!(Lag { object: 5, ..Lag::default() }.of_read(1).object, 5);
    }
}
