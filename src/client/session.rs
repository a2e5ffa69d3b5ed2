//! One identity in one tenant: options, and what all its readers and senders share.

use std::{sync::Arc, time::Duration};

use url::Url;

use crate::{
    client::{
        Credential, Endpoints, Listener, Reader, Sender, SignInError, batch::Batcher, shared::Shared, wire::Wire,
    },
    model::{Clock, Cloud, Identity, Service},
};

/// Which certificate authorities are trusted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Roots {
    /// Mozilla's, from the binary.
    #[default]
    Bundled,
    /// The platform's: where a proxy of the organisation breaks TLS open.
    Platform,
}

/// What a session is made of.
#[derive(Clone, Debug)]
pub struct SessionOptions {
    /// The pin: a token of another tenant is refused.
    pub tenant_id: String,
    /// Our application.
    pub client_id: String,
    /// Cloud.
    pub cloud: Cloud,
    /// Where to talk to.
    pub endpoints: Endpoints,
    /// How to sign in.
    pub credential: Credential,
    /// Whether Graph reads that are asked for together travel in one `$batch`.
    pub batch: bool,
    /// Which certificate authorities are trusted.
    pub roots: Roots,
    /// An HTTP proxy. What the environment says about proxies is not read, and loopback is never proxied.
    pub proxy: Option<Url>,
    /// Whether tokens may be evaluated continuously: the tenant then ends them at once when we are disabled.
    pub cae: bool,
    /// Longest time that one attempt may take.
    pub attempt_timeout: Duration,
    /// Longest time that one request may take with all its attempts and waits.
    pub deadline: Duration,
    /// The same for a request on which a change depends, and how long a service may give no answer before that is
    /// taken for granted: what is not sent by then is left for `resume`. Longer than any `Retry-After` that is heeded.
    pub patience: Duration,
    /// When the session ends, from its beginning: nothing is sent after. `None` is never.
    pub run_deadline: Option<Duration>,
    /// Largest answer, in bytes.
    pub body_limit: usize,
    /// Seed of request ids and jitter, for tests; `None` draws from the machine.
    pub seed: Option<u64>,
}

impl SessionOptions {
    /// The options for a tenant of this cloud at its published endpoints; every field can be changed after.
    pub fn new(
        cloud: Cloud,
        tenant_id: impl Into<String>,
        client_id: impl Into<String>,
        credential: Credential,
    ) -> Self {
        Self {
            tenant_id: tenant_id.into(),
            client_id: client_id.into(),
            cloud,
            endpoints: Endpoints::of(cloud),
            credential,
            batch: true,
            roots: Roots::default(),
            proxy: None,
            cae: true,
            attempt_timeout: Duration::from_mins(1),
            deadline: Duration::from_mins(5),
            patience: Duration::from_mins(15),
            run_deadline: None,
            body_limit: 32 << 20,
            seed: None,
        }
    }

    /// The same at other endpoints.
    #[must_use]
    pub fn at(mut self, endpoints: Endpoints) -> Self {
        self.endpoints = endpoints;
        self
    }
}

/// A signed-in identity. Clones share tokens, connections and pacing.
#[derive(Clone)]
pub struct Session {
    core: Arc<Core>,
}

/// What all readers and senders of a session share.
pub(super) struct Core {
    /// Requests.
    pub(super) wire: Arc<Wire>,
    /// Reads that wait for company.
    pub(super) batcher: Arc<Batcher>,
    /// Collections that many ask for.
    pub(super) shared: Shared,
    /// Who we are.
    pub(super) identity: Identity,
    /// The tenant, as it stands in Exchange's addresses.
    pub(super) tenant_id: String,
    /// Its cloud.
    pub(super) cloud: Cloud,
    /// Longest time for a request with its retries.
    pub(super) deadline: Duration,
}

impl Session {
    /// Signs in for Graph, and checks the tenant pin. Exchange's token is fetched when first needed.
    pub async fn open(options: SessionOptions, clock: Arc<dyn Clock>) -> Result<Self, SignInError> {
        options.endpoints.check()?;
        let (tenant_id, deadline, batch) = (options.tenant_id.clone(), options.deadline, options.batch);
        let cloud = options.cloud;
        let wire = Arc::new(Wire::new(options, clock)?);
        let identity = wire.identity(Service::Graph).await?;
        let core = Core {
            batcher: Arc::new(Batcher::new(Arc::clone(&wire), batch)),
            wire,
            shared: Shared::default(),
            identity,
            tenant_id,
            cloud,
            deadline,
        };
        Ok(Self { core: Arc::new(core) })
    }

    /// Who we are, from the Graph token.
    pub fn identity(&self) -> &Identity {
        &self.core.identity
    }

    /// Who we are to one of the services: each has a token of its own, fetched when first needed.
    pub async fn identity_of(&self, service: Service) -> Result<Identity, SignInError> {
        self.core.wire.identity(service).await
    }

    /// From now on this one hears of each long wait, whoever waits.
    pub fn on_wait(&self, listener: Listener) {
        self.core.wire.listen(listener);
    }

    /// A client that can only read.
    pub fn reader(&self) -> Reader {
        Reader::new(Arc::clone(&self.core))
    }

    /// The client that can write. Named in `engine` and nowhere else.
    pub fn sender(&self) -> Sender {
        Sender::new(Arc::clone(&self.core))
    }
}
