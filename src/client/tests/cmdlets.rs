//! Reading Exchange.

use std::time::Duration;

use serde_json::{Map, Value, json};
use wiremock::ResponseTemplate;

use super::servers::{TENANT, Tenant, header, json_answer};
use crate::{
    client::{ReadError, ReadErrorKind, Reader},
    model::{Clock as _, GraphPath, ReadCmdlet},
};

fn invoke() -> String {
    format!("/adminapi/beta/{TENANT}/InvokeCommand")
}

fn of_mailbox() -> Map<String, Value> {
    json!({"Mailbox": "johanna@sunnyside08.example", "IncludeHidden": true}).as_object().unwrap().clone()
}

async fn rules(reader: &Reader) -> Result<Vec<Value>, ReadError> {
    reader.cmdlet(ReadCmdlet::GetInboxRule, "johanna@sunnyside08.example", of_mailbox()).await
}

/// An error as Exchange gives it, with the exception in its details.
fn exception(status: u16, detail: &str) -> ResponseTemplate {
    json_answer(
        status,
        &json!({"error": {
            "code": "BadRequest", "message": "Error executing cmdlet",
            "details": [{"code": "Client", "target": "", "message": detail}],
            "innererror": {"message": "Error executing cmdlet", "type": "Microsoft.Exchange.Admin.OData.Core.ODataServiceException"},
        }}),
    )
}

const NOT_FOUND: &str = "Ex6F9304|Microsoft.Exchange.Configuration.Tasks.ManagementObjectNotFoundException|The operation couldn't be performed because object 'x' couldn't be found on 'y'.";

#[tokio::test]
async fn a_cmdlet_is_one_post_and_large_ids_keep_every_digit() {
    let tenant = Tenant::start().await;
    tenant
        .mount(&invoke(), |_| {
            let text = r#"{"@adminapi.warnings":["The inbox rule '..' contains errors."],"value":[{"Name":"..","RuleIdentity":15394007230974001153,"RuleIdentity@data.type":"System.UInt64"}]}"#;
            ResponseTemplate::new(200).set_body_raw(text, "application/json;odata.metadata=minimal")
        })
        .await;
    let (reader, trace) = tenant.plain_reader().await.traced();
    let found = rules(&reader).await.unwrap();
    assert_eq!(found[0]["RuleIdentity"].as_u64(), Some(15_394_007_230_974_001_153));

    let asked = &tenant.requests().await[0];
    let body: Value = serde_json::from_slice(&asked.body).unwrap();
    assert_eq!(body, json!({"CmdletInput": {"CmdletName": "Get-InboxRule", "Parameters": of_mailbox()}}));
    for (name, value) in [
        ("x-anchormailbox", "johanna@sunnyside08.example"),
        ("x-responseformat", "json"),
        ("x-cmdletname", "Get-InboxRule"),
        ("content-type", "application/json; charset=utf-8"),
        ("prefer", "odata.maxpagesize=1000"),
    ] {
        assert_eq!(header(asked, name), value);
    }
    assert_eq!(trace.take()[0].request_body, Some(body));
}

#[tokio::test]
async fn pages_are_posted_for_with_the_same_body() {
    let tenant = Tenant::start().await;
    let base = format!("{}{}", tenant.server.uri(), invoke());
    tenant
        .mount(&invoke(), move |request| {
            if request.url.query().is_some() {
                return json_answer(200, &json!({"value": [2]}));
            }
            let next = format!("{base}?$skiptoken=BE1");
            json_answer(200, &json!({"value": [1], "@odata.nextLink": next}))
        })
        .await;
    let reader = tenant.plain_reader().await;
    let all: Vec<u8> = reader.cmdlet(ReadCmdlet::GetInboxRule, "a", of_mailbox()).await.unwrap();
    assert_eq!(all, [1, 2]);
    let asked = tenant.requests().await;
    assert_eq!(asked.len(), 2);
    assert_eq!(asked[0].body, asked[1].body);
    assert!(asked.iter().all(|request| request.method == "POST"));
    assert_eq!(header(&asked[1], "x-anchormailbox"), "a");
}

#[tokio::test]
async fn half_a_collection_is_no_collection() {
    let tenant = Tenant::start().await;
    let base = format!("{}{}", tenant.server.uri(), invoke());
    for second in [
        exception(400, "|System.Exception|Expired or Invalid pagination request. Default Expiry time is 00:30:00"),
        exception(404, NOT_FOUND),
        json_answer(200, &json!({"no": "value"})),
    ] {
        tenant.server.reset().await;
        tenant.mount_login(|_| super::servers::token_answer(TENANT, "x")).await;
        let base = base.clone();
        tenant
            .mount(&invoke(), move |request| {
                if request.url.query().is_some() {
                    return second.clone();
                }
                json_answer(200, &json!({"value": [1], "@odata.nextLink": format!("{base}?2")}))
            })
            .await;
        let error = rules(&tenant.plain_reader().await).await.unwrap_err();
        assert_eq!(error.kind, ReadErrorKind::Malformed);
    }
}

#[tokio::test]
async fn a_cut_answer_is_no_answer() {
    let tenant = Tenant::start().await;
    let cut = json!({"value": [1], "@adminapi.warnings": ["There are more results available than are currently displayed. To view them, increase the value for the ResultSize parameter."]});
    tenant.mount(&invoke(), move |_| json_answer(200, &cut)).await;
    let error = rules(&tenant.plain_reader().await).await.unwrap_err();
    assert_eq!(error.kind, ReadErrorKind::Malformed);
}

#[tokio::test]
async fn a_link_to_another_service_is_not_followed() {
    let tenant = Tenant::start().await;
    let next = format!("{}/v1.0/users", tenant.server.uri());
    tenant.mount(&invoke(), move |_| json_answer(200, &json!({"value": [], "@odata.nextLink": next}))).await;
    let error = rules(&tenant.plain_reader().await).await.unwrap_err();
    assert_eq!(error.kind, ReadErrorKind::Malformed);
    assert_eq!(tenant.requests().await.len(), 1);
}

#[tokio::test]
async fn an_empty_identity_never_leaves() {
    let tenant = Tenant::start().await;
    let reader = tenant.plain_reader().await;
    for bad in [json!({"Identity": ""}), json!({"Mailbox": null})] {
        let parameters = bad.as_object().unwrap().clone();
        let read = reader.cmdlet::<Value>(ReadCmdlet::GetInboxRule, "a", parameters);
        assert_eq!(read.await.unwrap_err().kind, ReadErrorKind::Rejected);
    }
    assert_eq!(tenant.requests().await.len(), 0);
    assert_eq!(tenant.token_requests().await, 1, "not even Exchange's token was fetched");
}

#[tokio::test]
async fn what_is_missing_is_told_apart() {
    let by_identity = json!({"Identity": "guid\\1"}).as_object().unwrap().clone();
    let no_mailbox = NOT_FOUND.replace("Ex6F9304", "Ex41BAF5");
    for (detail, parameters, kind) in [
        (NOT_FOUND, of_mailbox(), ReadErrorKind::NoMailbox),
        (NOT_FOUND, by_identity.clone(), ReadErrorKind::NotFound),
        (no_mailbox.as_str(), by_identity, ReadErrorKind::NoMailbox),
        (
            "|System.ArgumentException|You can't use both the Identity and Mailbox parameters to specify a mailbox.",
            of_mailbox(),
            ReadErrorKind::Rejected,
        ),
    ] {
        let tenant = Tenant::start().await;
        let answer = exception(400, detail);
        tenant.mount(&invoke(), move |_| answer.clone()).await;
        let reader = tenant.plain_reader().await;
        let read = reader.cmdlet::<Value>(ReadCmdlet::GetInboxRule, "a", parameters);
        let error = read.await.unwrap_err();
        assert_eq!(error.kind, kind, "{error}");
        assert!(error.code.ends_with("Exception") && !error.code.contains('.'), "{error}");
        assert_eq!(tenant.requests().await.len(), 1);
    }
}

#[tokio::test]
async fn a_403_of_nul_bytes_names_its_causes() {
    let tenant = Tenant::start().await;
    tenant
        .mount(&invoke(), |_| {
            ResponseTemplate::new(403)
                .insert_header("x-ms-diagnostics", "2000008;reason=\"no role\"")
                .set_body_bytes([0_u8; 128])
        })
        .await;
    let error = rules(&tenant.plain_reader().await).await.unwrap_err();
    assert_eq!(error.kind, ReadErrorKind::Denied);
    let words = error.message.raw();
    assert!(words.contains("no Exchange role") && words.contains("2000008"), "{words}");
}

#[tokio::test]
async fn a_busy_exchange_is_asked_again() {
    let tenant = Tenant::start().await;
    tenant
        .mount_in_turn(
            &invoke(),
            vec![
                exception(400, "|Microsoft.Exchange.Configuration.CmdletProxyException.CmdletProxyException|Error on proxy command"),
                ResponseTemplate::new(500).set_body_string("<html>"),
                ResponseTemplate::new(429).insert_header("Retry-After", "30"),
                json_answer(200, &json!({"value": []})),
            ],
        )
        .await;
    let reader = tenant.plain_reader().await;
    assert!(rules(&reader).await.unwrap().is_empty());
    assert_eq!(tenant.requests().await.len(), 4);
    assert!(tenant.clock.monotonic().as_secs() >= 30);
}

#[tokio::test]
async fn an_exchange_that_throttles_does_not_hold_graph_back() {
    let tenant = Tenant::start().await;
    tenant.mount(&invoke(), |_| ResponseTemplate::new(429).insert_header("Retry-After", "60")).await;
    tenant.mount("/v1.0/users", |_| json_answer(200, &json!({}))).await;
    let mut options = tenant.options();
    options.deadline = Duration::from_secs(10);
    let reader = tenant.open(options).await.reader();
    let error = rules(&reader).await.unwrap_err();
    assert_eq!(error.kind, ReadErrorKind::Throttled);
    let users = GraphPath::v1().fixed("users");
    reader.get::<Value>(&users).await.unwrap();
    assert!(tenant.clock.monotonic() < Duration::from_secs(1));
}
