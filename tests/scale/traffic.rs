//! What the tenant's request log says of a run: writes, 429s, windows; and the tenant's end.

use std::collections::BTreeMap;

use jiff::Timestamp;
use mock_server::{LoggedRequest, Tenant};

/// Requests to the directory that change something, besides batches.
fn is_write(request: &LoggedRequest) -> bool {
    request.method != "GET" && request.path.starts_with("/v1.0/") && !request.path.ends_with("/$batch")
}

/// The requests of a run, as the tenant saw them.
pub struct Traffic {
    pub all: Vec<LoggedRequest>,
}

/// A burst of 429s: the first one, and how many more came before a request passed again.
#[derive(Debug)]
pub struct Burst {
    pub first: Timestamp,
    /// When the last one arrived.
    pub last: Timestamp,
    pub count: usize,
    /// Requests that arrived while the first answer was on its way: all that can be in flight.
    pub in_flight: usize,
}

impl Traffic {
    pub fn of(tenant: &Tenant) -> Self {
        Self { all: tenant.requests() }
    }

    pub fn tokens(&self) -> BTreeMap<String, usize> {
        let mut by_endpoint = BTreeMap::new();
        for request in self.all.iter().filter(|request| request.path.contains("/oauth2/")) {
            *by_endpoint.entry(request.path.clone()).or_default() += 1;
        }
        by_endpoint
    }

    pub fn refused(&self) -> usize {
        self.all.iter().filter(|request| request.status == 429).count()
    }

    pub fn writes(&self) -> Vec<&LoggedRequest> {
        self.all.iter().filter(|request| is_write(request) && request.status < 400).collect()
    }

    /// Writes in each full window of so many seconds, from the first write to the last.
    pub fn windows(&self, seconds: i64) -> Vec<usize> {
        let writes = self.writes();
        let (Some(first), Some(last)) = (writes.first(), writes.last()) else {
            return Vec::new();
        };
        let number = |at: Timestamp| (at.duration_since(first.time).as_millis() / i128::from(seconds * 1_000)) as usize;
        let mut windows = vec![0; number(last.time)];
        for write in &writes {
            if let Some(count) = windows.get_mut(number(write.time)) {
                *count += 1;
            }
        }
        windows
    }

    /// The bursts of 429s; the answer to a request takes `latency` milliseconds.
    pub fn bursts(&self, latency: i64) -> Vec<Burst> {
        let after = |at: Timestamp| at + jiff::SignedDuration::from_millis(latency);
        let graph = |request: &&LoggedRequest| request.path.starts_with("/v1.0/");
        let mut bursts: Vec<Burst> = Vec::new();
        // A second of calm ends a burst: no fence is shorter.
        for request in self.all.iter().filter(graph).filter(|request| request.status == 429) {
            match bursts.last_mut().filter(|burst| request.time.duration_since(burst.last).as_millis() < 1_000) {
                Some(burst) => (burst.last, burst.count) = (request.time, burst.count + 1),
                None => {
                    let until = after(request.time);
                    let meanwhile = |other: &&LoggedRequest| (request.time..=until).contains(&other.time);
                    let in_flight = self.all.iter().filter(graph).filter(meanwhile).count();
                    bursts.push(Burst { first: request.time, last: request.time, count: 1, in_flight });
                }
            }
        }
        bursts
    }

    /// Most requests that were on their way at once, of which each needs a connection over HTTP/1.1; the answer to one takes
    /// `latency` milliseconds. What travels in a `$batch` has none of its own.
    pub fn most_at_once(&self, latency: i64) -> usize {
        let alone: Vec<Timestamp> =
            self.all.iter().filter(|request| request.batch_item.is_none()).map(|request| request.time).collect();
        let until = |at: &Timestamp| *at + jiff::SignedDuration::from_millis(latency);
        alone.iter().map(|from| alone.iter().filter(|at| (*from..until(from)).contains(at)).count()).max().unwrap_or(0)
    }

    /// How often each request took effect.
    pub fn effects(&self) -> BTreeMap<String, usize> {
        let mut effects = BTreeMap::new();
        for request in self.all.iter().filter(|request| request.mutated) {
            *effects.entry(format!("{} {}", request.method, request.path)).or_default() += 1;
        }
        effects
    }
}

/// What of the attacker's is still there or still works, and who can still sign in.
pub fn left_over(tenant: &Tenant) -> Vec<String> {
    let incident = tenant.incident();
    tenant.inspect(|state| {
        let rogue = |kind: &str, id: &str| incident.rogue.iter().any(|object| object.kind == kind && object.id == id);
        let methods = state.methods.values().flatten().filter(|method| rogue("authenticationMethod", &method.id));
        let devices = state.devices.values().filter(|device| device.account_enabled && rogue("device", &device.id));
        let rules = state.mailboxes.values().flat_map(|mailbox| &mailbox.rules);
        let rules = rules.filter(|rule| rule.enabled && rogue("inboxRule", &rule.rule_identity.to_string()));
        let victims = state.users.values().filter(|user| incident.victims.contains(&user.user_principal_name));
        let open = victims.filter(|user| user.account_enabled);
        methods
            .map(|method| format!("method {}", method.id))
            .chain(devices.map(|device| format!("device {}", device.display_name)))
            .chain(rules.map(|rule| format!("rule {}", rule.rule_identity)))
            .chain(open.map(|user| format!("user {}", user.user_principal_name)))
            .collect()
    })
}
