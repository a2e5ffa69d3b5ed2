//! Managed identity: the five endpoints.

use mock_server::{Request, Response, Tenant};

use crate::support::{VICTIM, aitm};

const SECRET: &str = "rehearsal-only-not-a-secret";

fn ask(tenant: &Tenant, path: &str, version: &str, headers: &[(&str, &str)]) -> Response {
    let target = format!("{path}?api-version={version}&resource=https://graph.microsoft.com/");
    let request = Request::new("GET", &target);
    tenant.handle(&headers.iter().fold(request, |request, (name, value)| request.header(name, value)))
}

/// The answer is a token that reads users.
fn works(tenant: &Tenant, response: &Response) {
    assert_eq!(response.status, 200, "{}", response.body_json());
    let body = response.body_json();
    assert!(body["expires_on"].as_str().unwrap().parse::<i64>().is_ok(), "numbers are text");
    let read = Request::new("GET", &format!("/v1.0{VICTIM}")).bearer(body["access_token"].as_str().unwrap());
    assert_eq!(tenant.handle(&read).status, 200);
}

#[test]
fn app_service_and_the_like_ask_for_their_secret_and_version() {
    let tenant = aitm();
    for (path, version, header) in [
        ("/MSI/token", "2019-08-01", "X-IDENTITY-HEADER"),
        ("/aml/token", "2017-09-01", "secret"),
        ("/fabric/token", "2019-07-01-preview", "Secret"),
    ] {
        assert_eq!(ask(&tenant, path, version, &[]).status, 401, "{path}");
        assert_eq!(ask(&tenant, path, version, &[(header, "wrong")]).status, 401, "{path}");
        assert_eq!(ask(&tenant, path, "2018-02-01", &[(header, SECRET)]).status, 400, "{path}");
        works(&tenant, &ask(&tenant, path, version, &[(header, SECRET)]));
    }
}

#[test]
fn an_identity_is_chosen_by_its_client_id_where_there_is_a_choice() {
    let tenant = aitm();
    let status = |path: &str, version: &str, parameter: &str, header: &str| {
        let more = format!("{version}&{parameter}=00000000-0000-0000-0000-00000000abcd");
        ask(&tenant, path, &more, &[(header, SECRET)]).status
    };
    assert_eq!(status("/MSI/token", "2019-08-01", "client_id", "x-identity-header"), 400);
    assert_eq!(status("/aml/token", "2017-09-01", "clientid", "secret"), 400);
    assert_eq!(status("/aml/token", "2017-09-01", "client_id", "secret"), 200, "by another name it is not seen");
    assert_eq!(status("/fabric/token", "2019-07-01-preview", "client_id", "secret"), 200);
}

#[test]
fn a_machine_asks_for_its_header_and_for_no_proxy() {
    let tenant = aitm();
    let machine = |headers: &[(&str, &str)]| ask(&tenant, "/metadata/identity/oauth2/token", "2018-02-01", headers);
    assert_eq!(machine(&[]).status, 400);
    assert_eq!(machine(&[("Metadata", "true"), ("X-Forwarded-For", "192.0.2.7")]).status, 400);
    works(&tenant, &machine(&[("Metadata", "true")]));
}

#[test]
fn arc_names_a_file_and_wants_what_is_in_it() {
    let tenant = aitm();
    let arc = |headers: &[(&str, &str)]| ask(&tenant, "/metadata/identity/oauth2/token", "2020-06-01", headers);
    assert_eq!(arc(&[]).status, 400);
    let asked = arc(&[("Metadata", "true")]);
    assert_eq!(
        (asked.status, asked.get_header("www-authenticate")),
        (401, Some("Basic realm=/var/opt/azcmagent/tokens/rehearsal.key"))
    );
    assert_eq!(arc(&[("Metadata", "true"), ("Authorization", "Basic wrong")]).status, 401);
    works(&tenant, &arc(&[("Metadata", "true"), ("Authorization", &format!("Basic {SECRET}"))]));
}

#[test]
fn arc_may_be_told_to_name_a_file_outside_its_folder() {
    let tenant = aitm();
    let climbing = "/var/opt/azcmagent/tokens/../../../../etc/shadow.key";
    tenant.set(|settings| settings.managed_identity.arc_key_file = climbing.to_owned());
    let asked = ask(&tenant, "/metadata/identity/oauth2/token", "2020-06-01", &[("Metadata", "true")]);
    assert_eq!(asked.get_header("www-authenticate").unwrap(), format!("Basic realm={climbing}"));
}
