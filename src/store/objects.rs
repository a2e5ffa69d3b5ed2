//! The objects of a store: put once, get, list. The only place that names the crate behind it.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use futures_util::TryStreamExt as _;
use object_store::{
    BackoffConfig, ClientConfigKey, ClientOptions, Error, ObjectStore, ObjectStoreExt as _, PutMode, RetryConfig,
    aws::{AmazonS3Builder, Checksum},
    azure::MicrosoftAzureBuilder,
    client::{HttpClient, HttpConnector},
    local::LocalFileSystem,
    path::Path,
};
use url::Url;

use crate::{
    client::{self, Roots},
    store::{
        Address, StoreError,
        address::Kind,
        error::{reason, shown},
    },
};

/// How often a put is tried whose answer was lost, or which came at the same moment as another.
const TRIES: usize = 2;

/// How the network is reached: as for the tenant.
#[derive(Clone, Debug, Default)]
pub struct Reach {
    /// Which certificate authorities are trusted.
    pub roots: Roots,
    /// An HTTP proxy. What the environment says about proxies is not read.
    pub proxy: Option<Url>,
}

/// An opened store. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Store {
    at: Address,
    prefix: Path,
    objects: Arc<dyn ObjectStore>,
}

/// What became of a put.
#[derive(Debug)]
pub(super) enum Put {
    /// It is there now.
    Created,
    /// The same bytes were there.
    Same,
    /// Other bytes are there.
    Other(Bytes),
}

impl Store {
    /// Opens a store. Credentials, region and endpoint are read from the environment, by the names of `object_store`:
    /// `AWS_…`, `AZURE_…`. Nothing is sent yet.
    ///
    /// # Errors
    /// When a folder is not there, or the environment lacks or spoils what the service needs.
    pub fn open(at: &Address, reach: &Reach) -> Result<Self, StoreError> {
        let unusable = |reason: String| StoreError::Unusable { store: at.to_string(), reason };
        let opened: Result<Arc<dyn ObjectStore>, Error> = match at.kind() {
            Kind::Folder => {
                let folder = at.folder().unwrap_or_default();
                if !folder.is_dir() {
                    // Making it would hide that a share is not mounted.
                    return Err(unusable("there is no such folder".to_owned()));
                }
                LocalFileSystem::new_with_prefix(folder).map(|it| Arc::new(it.with_fsync(true)) as Arc<dyn ObjectStore>)
            }
            Kind::S3 => {
                let builder = AmazonS3Builder::from_env().with_bucket_name(at.container());
                // A bucket with Object Lock refuses a put without one.
                let builder = builder.with_checksum_algorithm(Checksum::SHA256);
                let builder = builder.with_retry(retry()).with_http_connector(Connector(reach.clone()));
                builder.build().map(|it| Arc::new(it) as Arc<dyn ObjectStore>)
            }
            Kind::Azure => {
                let builder = MicrosoftAzureBuilder::from_env().with_container_name(at.container());
                let builder = builder.with_retry(retry()).with_http_connector(Connector(reach.clone()));
                builder.build().map(|it| Arc::new(it) as Arc<dyn ObjectStore>)
            }
        };
        let objects = opened.map_err(|error| unusable(reason(&error)))?;
        let prefix = Path::from_url_path(at.prefix()).map_err(|error| unusable(reason(&error)))?;
        Ok(Self { at: at.clone(), prefix, objects })
    }

    /// Its address.
    pub fn address(&self) -> &Address {
        &self.at
    }

    /// Puts an object that must not be there yet, or be there with these bytes.
    ///
    /// A put whose answer was lost may have happened, and one that meets another may be refused though nothing is
    /// there; since the content decides, both can be tried again.
    pub(super) async fn put_new(&self, object: &str, bytes: Bytes) -> Result<Put, StoreError> {
        let path = self.path(object);
        let mut failed = None;
        for _ in 0..TRIES {
            match self.objects.put_opts(&path, bytes.clone().into(), PutMode::Create.into()).await {
                Ok(_) => return Ok(Put::Created),
                Err(Error::AlreadyExists { .. }) => match self.read(&path).await {
                    Ok(there) if there == bytes => return Ok(Put::Same),
                    Ok(there) => return Ok(Put::Other(there)),
                    Err(error @ Error::NotFound { .. }) => failed = Some(error),
                    Err(error) => return Err(self.refused("read", object, &error)),
                },
                Err(error @ Error::Generic { .. }) => failed = Some(error),
                Err(error) => return Err(self.refused("put", object, &error)),
            }
        }
        Err(failed.map_or_else(
            || StoreError::Unusable { store: self.at.to_string(), reason: "it was not tried".to_owned() },
            |error| self.refused("put", object, &error),
        ))
    }

    /// The bytes of an object; none where there is none.
    pub(super) async fn get(&self, object: &str) -> Result<Option<Bytes>, StoreError> {
        match self.read(&self.path(object)).await {
            Ok(bytes) => Ok(Some(bytes)),
            Err(Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(self.refused("read", object, &error)),
        }
    }

    /// Names of the objects under a folder, without it.
    pub(super) async fn list(&self, folder: &str) -> Result<Vec<String>, StoreError> {
        let under = self.path(folder);
        let found = self.objects.list(Some(&under)).try_collect::<Vec<_>>().await;
        let found = found.map_err(|error| self.refused("list", folder, &error))?;
        let name = |path: &Path| {
            let parts = path.prefix_match(&under)?.map(|part| part.as_ref().to_owned());
            Some(parts.collect::<Vec<_>>().join("/"))
        };
        Ok(found.iter().filter_map(|meta| name(&meta.location)).collect())
    }

    async fn read(&self, path: &Path) -> Result<Bytes, Error> {
        self.objects.get(path).await?.bytes().await
    }

    fn path(&self, object: &str) -> Path {
        object.split('/').fold(self.prefix.clone(), Path::join)
    }

    fn refused(&self, doing: &'static str, object: &str, error: &Error) -> StoreError {
        let reason = match error {
            Error::PermissionDenied { .. } | Error::Unauthenticated { .. } => {
                format!("it does not let us: {}", reason(error))
            }
            _ => reason(error),
        };
        StoreError::Refused { doing, object: shown(object), store: self.at.to_string(), reason }
    }
}

/// Not for long: at the start somebody waits, and what was not copied can be copied later.
fn retry() -> RetryConfig {
    let backoff =
        BackoffConfig { init_backoff: Duration::from_millis(100), max_backoff: Duration::from_secs(2), base: 2.0 };
    RetryConfig { backoff, max_retries: 3, retry_timeout: Duration::from_secs(30) }
}

/// Our own HTTP client: bundled roots, no proxy of the environment, no redirects.
#[derive(Clone, Debug)]
struct Connector(Reach);

impl HttpConnector for Connector {
    fn connect(&self, options: &ClientOptions) -> object_store::Result<HttpClient> {
        // Plain http is for this machine, and for the metadata service of a cloud's machines: neither is behind a proxy.
        let plain = options.get_config_value(&ClientConfigKey::AllowHttp).as_deref() == Some("true");
        let proxy = self.0.proxy.clone().filter(|_| !plain);
        let client = client::for_other_service(self.0.roots, proxy, !plain);
        let client = client.map_err(|error| Error::Generic { store: "HTTP", source: Box::new(error) })?;
        Ok(HttpClient::new(client))
    }
}
