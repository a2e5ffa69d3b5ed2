//! From a profile's name to a session: a real tenant, one on a port, or the embedded one.

use std::sync::Arc;

use crate::{
    cli::{
        Context,
        config::Config,
        exit::{Exit, Failure, OrFail as _},
    },
    client::{Session, SessionOptions},
    model::Cloud,
    plan::Protected,
};

/// A tenant that is spoken to.
pub(crate) struct Connected {
    pub(crate) session: Session,
    pub(crate) cloud: Cloud,
    pub(crate) protected: Protected,
    pub(crate) recipients: Vec<String>,
    /// Whether the credential is a client secret.
    pub(crate) by_secret: bool,
    /// The store of its records, and how it is reached.
    pub(crate) keeping: crate::cli::keep::Keeping,
    #[cfg(feature = "demo")]
    pub(crate) embedded: Option<Embedded>,
}

/// The embedded tenant, as long as this lives.
#[cfg(feature = "demo")]
pub(crate) struct Embedded {
    pub(crate) tenant: mock_server::Tenant,
    _server: mock_server::Server,
}

/// Signs in; from then on long waits are told.
async fn open(context: &Context, mut options: SessionOptions) -> Result<Session, Failure> {
    options.run_deadline = context.global.deadline();
    let session = Session::open(options, context.clock.clone()).await.or_fail(Exit::CouldNotRun)?;
    let out = context.out;
    session.on_wait(Arc::new(move |wait| out.say(&wait.to_string())));
    Ok(session)
}

/// Signs in to the tenant of a profile. `tenant_id` chooses among profiles when none was named.
pub(crate) async fn connect(context: &Context, tenant_id: Option<&str>) -> Result<Connected, Failure> {
    let name = context.global.tenant.as_deref();
    #[cfg(feature = "demo")]
    if name == Some("demo") {
        return embedded(context, "aitm").await;
    }
    let config = Config::load(context.global.config.as_deref())?;
    let profile = config.profile(name, tenant_id)?;
    let options = profile.options(context.out)?;
    let session = open(context, options).await?;
    Ok(Connected {
        session,
        cloud: profile.cloud,
        protected: Protected {
            break_glass: profile.break_glass.clone(),
            max_percent: profile.max_percent,
            strict: profile.strict_guards,
        },
        recipients: profile.recipients.iter().map(|key| key.get_ref().clone()).collect(),
        by_secret: profile.signs_in_with_a_secret(),
        keeping: profile.keeping(),
        #[cfg(feature = "demo")]
        embedded: None,
    })
}

/// Starts the embedded tenant in this process and signs in to it.
#[cfg(feature = "demo")]
pub(crate) async fn embedded(context: &Context, scenario: &str) -> Result<Connected, Failure> {
    use crate::client::{Credential, Endpoints};

    let tenant = mock_server::Tenant::new(&super::commands::tenant::scenario(scenario)?);
    let server = mock_server::Server::start(tenant.clone()).await;
    let us = tenant.credentials();
    let url =
        server.uri().parse().map_err(|error| Failure::new(Exit::CouldNotRun, format!("failed to start: {error}")))?;
    let endpoints = Endpoints::all_at(url);
    let secret = Credential::Secret(us.client_secret.into());
    let options = SessionOptions::new(Cloud::Global, us.tenant_id, us.client_id, secret).at(endpoints);
    let session = open(context, options).await?;
    let embedded = Some(Embedded { tenant, _server: server });
    let protected = Protected::default();
    Ok(Connected {
        session,
        cloud: Cloud::Global,
        protected,
        recipients: Vec::new(),
        by_secret: true,
        keeping: crate::cli::keep::Keeping::default(),
        embedded,
    })
}
