//! Where the services live, and which of those addresses may ever be given a token.

use url::{Host, Url};

use crate::{
    client::SignInError,
    model::{Cloud, Service},
};

/// Base URLs (`https://graph.microsoft.com`), without a trailing slash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoints {
    /// Token issuer.
    pub login: Url,
    /// Graph.
    pub graph: Url,
    /// Exchange.
    pub exchange: Url,
}

impl Endpoints {
    /// The published endpoints of a cloud.
    ///
    /// Source: "national cloud deployments" (Graph), "authentication in national clouds" (login), "Exchange
    /// Online Admin API: get started" (Exchange).
    pub fn of(cloud: Cloud) -> Self {
        let (login, graph, exchange) = hosts(cloud);
        Self { login: https(login), graph: https(graph), exchange: https(exchange) }
    }

    /// All three services at one base: a tenant on loopback.
    pub fn all_at(base: Url) -> Self {
        Self { login: base.clone(), graph: base.clone(), exchange: base }
    }

    /// The base of a service.
    pub(super) fn base(&self, service: Service) -> &Url {
        match service {
            Service::Graph => &self.graph,
            Service::Exchange => &self.exchange,
        }
    }

    /// Whether all of them are behind TLS.
    pub(super) fn all_https(&self) -> bool {
        self.all().into_iter().all(|url| url.scheme() == "https")
    }

    /// Refuses what a token must not be sent to: plain http to another machine, user names, paths, queries.
    pub(super) fn check(&self) -> Result<(), SignInError> {
        for url in self.all() {
            let reason = if !(url.scheme() == "https" || url.scheme() == "http" && is_loopback(url)) {
                "is not https"
            } else if !url.username().is_empty() || url.password().is_some() {
                "holds a user name"
            } else if url.path() != "/" || url.query().is_some() || url.fragment().is_some() {
                "is more than scheme, host and port"
            } else {
                continue;
            };
            let host = url.host_str().unwrap_or_default();
            return Err(SignInError::plain(format!("the endpoint {host} {reason}")));
        }
        Ok(())
    }

    fn all(&self) -> [&Url; 3] {
        [&self.login, &self.graph, &self.exchange]
    }
}

/// The resource that a token for a service names: its cloud's URI, also where its endpoint is overridden.
pub(super) fn resource(cloud: Cloud, service: Service) -> String {
    let (_, graph, exchange) = hosts(cloud);
    let host = match service {
        Service::Graph => graph,
        Service::Exchange => exchange,
    };
    format!("https://{host}")
}

/// Whether a secret may be sent there: https, or this machine; and no user name in the address.
pub(super) fn is_safe(url: &Url) -> bool {
    let private = url.scheme() == "https" || url.scheme() == "http" && is_loopback(url);
    private && url.username().is_empty() && url.password().is_none()
}

/// Same scheme, host and port.
pub(super) fn same_origin(a: &Url, b: &Url) -> bool {
    a.scheme() == b.scheme() && a.host() == b.host() && a.port_or_known_default() == b.port_or_known_default()
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

/// Login, Graph, Exchange.
fn hosts(cloud: Cloud) -> (&'static str, &'static str, &'static str) {
    match cloud {
        Cloud::Global => ("login.microsoftonline.com", "graph.microsoft.com", "outlook.office365.com"),
        Cloud::GccHigh => ("login.microsoftonline.us", "graph.microsoft.us", "outlook.office365.us"),
        Cloud::Dod => ("login.microsoftonline.us", "dod-graph.microsoft.us", "outlook-dod.office365.us"),
        Cloud::China => ("login.partner.microsoftonline.cn", "microsoftgraph.chinacloudapi.cn", "outlook.office365.cn"),
    }
}

#[expect(clippy::expect_used, reason = "the hosts are constants, and a test parses them all")]
fn https(host: &'static str) -> Url {
    Url::parse(&format!("https://{host}")).expect("constant host")
}

#[cfg(test)]
mod tests {
    use url::Url;

    use super::{Endpoints, resource, same_origin};
    use crate::model::{Cloud, Service};

    const CLOUDS: [Cloud; 4] = [Cloud::Global, Cloud::GccHigh, Cloud::Dod, Cloud::China];

    fn url(text: &str) -> Url {
        Url::parse(text).unwrap()
    }

    /// As published, letter by letter: a token that goes to another cloud's host is a token in the wrong hands.
    #[test]
    fn these_are_the_hosts_of_each_cloud() {
        let hosts = |cloud| {
            let Endpoints { login, graph, exchange } = Endpoints::of(cloud);
            [login, graph, exchange].map(String::from)
        };
        assert_eq!(
            CLOUDS.map(hosts),
            [
                [
                    "https://login.microsoftonline.com/",
                    "https://graph.microsoft.com/",
                    "https://outlook.office365.com/"
                ],
                ["https://login.microsoftonline.us/", "https://graph.microsoft.us/", "https://outlook.office365.us/"],
                [
                    "https://login.microsoftonline.us/",
                    "https://dod-graph.microsoft.us/",
                    "https://outlook-dod.office365.us/"
                ],
                [
                    "https://login.partner.microsoftonline.cn/",
                    "https://microsoftgraph.chinacloudapi.cn/",
                    "https://outlook.office365.cn/"
                ],
            ]
        );
    }

    #[test]
    fn every_cloud_has_its_own_https_endpoints() {
        for cloud in CLOUDS {
            let endpoints = Endpoints::of(cloud);
            endpoints.check().unwrap();
            assert!(endpoints.all_https());
            let graph = resource(cloud, Service::Graph);
            assert_eq!(format!("{graph}/"), endpoints.graph.as_str());
        }
        assert_eq!(resource(Cloud::Global, Service::Exchange), "https://outlook.office365.com");
    }

    #[test]
    fn plain_http_is_for_loopback_only() {
        for good in ["http://127.0.0.1:8080", "http://[::1]:1", "http://localhost", "https://graph.example"] {
            Endpoints::all_at(url(good)).check().unwrap();
        }
        for bad in [
            "http://graph.example",
            "http://127.0.0.1.nip.example",
            "https://a:b@graph.example",
            "https://graph.example/v1.0",
            "https://graph.example/?q",
            "ftp://127.0.0.1",
        ] {
            assert!(Endpoints::all_at(url(bad)).check().is_err(), "{bad}");
        }
    }

    #[test]
    fn an_origin_is_scheme_host_and_port() {
        let base = url("https://graph.example");
        assert!(same_origin(&url("https://graph.example:443/x"), &base));
        assert!(same_origin(&url("https://GRAPH.example/x"), &base));
        for other in ["http://graph.example/x", "https://graph.example:444/x", "https://graph.example.evil.example/"] {
            assert!(!same_origin(&url(other), &base), "{other}");
        }
    }
}
