//! What each service gets: the table of budgets, and what Exchange, mail and the directory make of their answers.

use std::{task::Poll, time::Duration};

use futures_util::poll;
use reqwest::{Method, Url};

use super::{
    super::{
        Gates, Lane, Passage,
        brakes::Scope,
        budgets::{Budgeted, Kind, is_directory, kind_of, limits, units},
        gate::Priority,
    },
    Frozen, LATE, SECOND, budgeted, clock, gates,
};
use crate::model::Service;

/// The lane of a read of Graph.
fn read(gates: &Gates, path: &str) -> Lane {
    let url = Url::parse(&format!("https://graph.microsoft.com/v1.0/{path}")).unwrap();
    gates.lane(&budgeted(Service::Graph, &Method::GET, &url, None))
}

/// The lane of a cmdlet.
fn cmdlet(gates: &Gates, mailbox: &str, priority: Priority) -> Lane {
    let url = Url::parse("https://outlook.office365.com/adminapi/beta/t/InvokeCommand").unwrap();
    gates.lane(&Budgeted { priority, ..budgeted(Service::Exchange, &Method::POST, &url, Some(mailbox)) })
}

/// As many as get a place, each in the lane of its number.
async fn fit(lane: impl Fn(usize) -> Lane) -> Vec<Passage> {
    let mut places = Vec::new();
    for number in 0.. {
        let lane = lane(number);
        let mut next = Box::pin(lane.enter(&Frozen, LATE));
        match poll!(&mut next) {
            Poll::Ready(place) => places.push(place.unwrap()),
            Poll::Pending => break,
        }
    }
    places
}

/// The same of cmdlets, each for a mailbox of its own.
async fn fit_cmdlets(gates: &Gates) -> Vec<Passage> {
    fit(|number| cmdlet(gates, &format!("{number}@x.example"), Priority::Evidence)).await
}

/// The gates of Exchange, where so many answers came while all its places were taken.
async fn exchange_after(answers: usize) -> Gates {
    let gates = gates();
    for _ in 0..answers {
        let _places = fit_cmdlets(&gates).await;
        cmdlet(&gates, "m@x.example", Priority::Evidence).answered();
    }
    gates
}

fn graph(path: &str) -> Kind {
    let url = Url::parse(&format!("https://graph.microsoft.com/v1.0/{path}")).unwrap();
    let kinds = kind_of(&budgeted(Service::Graph, &Method::GET, &url, None));
    assert_eq!(is_directory(&url), kinds == [Kind::Directory], "{path}");
    kinds[0].clone()
}

#[test]
fn every_path_has_its_budget() {
    for path in
        ["users/u", "users/u/authentication/methods", "devices", "servicePrincipals/s", "$batch", "organization"]
    {
        assert_eq!(graph(path), Kind::Directory, "{path}");
    }
    assert_eq!(graph("auditLogs/signIns?$top=1"), Kind::Reports);
    assert_eq!(graph("reports/authenticationMethods/userRegistrationDetails"), Kind::Reports);
    for path in ["identityProtection/riskyUsers/confirmCompromised", "identity/conditionalAccess/namedLocations/x"] {
        assert_eq!(graph(path), Kind::Risk, "{path}");
    }
    assert_eq!(graph("users/U/mailFolders/inbox/messageRules"), Kind::Outlook("u".to_owned()));
    assert_eq!(graph("users/u/mailboxSettings"), Kind::Outlook("u".to_owned()));
}

#[tokio::test]
async fn cmdlets_go_four_at_once_per_mailbox_and_eight_in_all_to_begin_with() {
    let (clock, gates) = (clock(), gates());
    let mut places = fit(|_| cmdlet(&gates, "a@x.example", Priority::Evidence)).await;
    assert_eq!(places.len(), 4);
    places.extend(fit(|_| cmdlet(&gates, "B@x.example", Priority::Evidence)).await);
    assert_eq!(places.len(), 8);
    let same = cmdlet(&gates, "A@X.EXAMPLE", Priority::Containment);
    let mut same = Box::pin(same.enter(&*clock, LATE));
    assert!(poll!(&mut same).is_pending(), "the fifth of a mailbox waits, whatever it is");
    let other = cmdlet(&gates, "c@x.example", Priority::Evidence);
    let mut other = Box::pin(other.enter(&*clock, LATE));
    assert!(poll!(&mut other).is_pending(), "the ninth of all waits");
    places.pop();
    other.await.unwrap();
}

#[tokio::test]
async fn cmdlets_never_go_more_than_sixteen_at_once_and_two_of_these_contain() {
    let gates = exchange_after(100).await;
    let evidence = fit_cmdlets(&gates).await;
    assert_eq!(evidence.len(), 14);
    let containment = fit(|number| cmdlet(&gates, &format!("x{number}@x.example"), Priority::Containment)).await;
    assert_eq!(containment.len(), 2);
}

#[tokio::test]
async fn an_exchange_that_fails_under_what_it_gets_gets_less_and_one_out_of_reach_does_not() {
    let gates = exchange_after(100).await;
    let lane = cmdlet(&gates, "m@x.example", Priority::Evidence);
    lane.unreached(Duration::from_millis(1));
    lane.reached();
    assert_eq!(fit_cmdlets(&gates).await.len(), 14);
    (0..3).for_each(|_| lane.failed(Duration::from_millis(1), None));
    lane.reached();
    assert_eq!(fit_cmdlets(&gates).await.len(), 4, "half of what it began with, once for what failed together");
}

#[tokio::test]
async fn a_directory_that_failed_gets_as_much_when_it_is_back_and_keeps_a_place_for_containment() {
    let gates = gates();
    let lane = read(&gates, "users");
    lane.failed(Duration::from_millis(1), None);
    lane.reached();
    assert_eq!(fit(|_| read(&gates, "users")).await.len(), 64);
    assert!(limits(&Kind::Directory).kept > 0);
}

#[test]
fn whoever_fails_and_says_when_to_come_back_is_left_alone_until_then() {
    let gates = gates();
    let lane = read(&gates, "users");
    lane.failed(Duration::ZERO, Some(30 * SECOND));
    assert!(lane.is_fenced(30 * SECOND - Duration::from_nanos(1)));
    assert!(!lane.is_fenced(31 * SECOND), "a second is the most that is added");
}

#[tokio::test]
async fn mail_goes_four_at_once_in_all() {
    let gates = gates();
    assert_eq!(fit(|user| read(&gates, &format!("users/{user}/messages"))).await.len(), 4);
}

#[test]
fn a_fence_opens_a_little_later_than_asked_and_the_same_with_the_same_seed() {
    let opens = |seed, wait| {
        let gates = Gates::new(Some(seed));
        let lane = read(&gates, "users");
        let opens = lane.throttled(Duration::ZERO, Some(wait), Scope::All);
        let again = read(&gates, "users").throttled(Duration::ZERO, Some(wait), Scope::All);
        assert_eq!(again, opens, "once for a burst");
        opens - wait
    };
    assert!((1..100).all(|seed| opens(seed, 4 * SECOND) < Duration::from_millis(400)));
    assert!((1..100).all(|seed| opens(seed, 300 * SECOND) < SECOND));
    assert_eq!(opens(1, 4 * SECOND), opens(1, 4 * SECOND));
    assert_ne!(opens(1, 4 * SECOND), opens(2, 4 * SECOND));
}

#[test]
fn a_fence_concerns_its_budget_only() {
    let gates = gates();
    let (reports, users) = (read(&gates, "auditLogs/signIns"), read(&gates, "users"));
    reports.throttled(Duration::ZERO, Some(9 * SECOND), Scope::All);
    assert!(reports.is_fenced(8 * SECOND) && !reports.is_fenced(10 * SECOND));
    assert!(!users.is_fenced(Duration::ZERO));
}

#[test]
fn requests_cost_what_graph_says() {
    let cost =
        |path: &str| units(&Method::GET, &Url::parse(&format!("https://graph.microsoft.com/v1.0/{path}")).unwrap());
    assert_eq!(cost("users/u"), 2);
    assert_eq!(cost("users/u?$select=id"), 1);
    assert_eq!(cost("users?$top=5&$select=id"), 1, "never nothing");
    assert_eq!(cost("users/u?$expand=manager"), 3);
    assert_eq!(cost("groups/g/transitiveMembers"), 5);
    assert_eq!(cost("groups/g/members"), 3);
    assert_eq!(cost("servicePrincipals/s"), 1);
    assert_eq!(cost("servicePrincipals/s/appRoleAssignments"), 2);
    let url = Url::parse("https://graph.microsoft.com/v1.0/users/u").unwrap();
    assert_eq!(units(&Method::PATCH, &url), 1);
    assert_eq!(budgeted(Service::Graph, &Method::PATCH, &url, None).pass().cost, [1, 1]);
    assert_eq!(budgeted(Service::Graph, &Method::GET, &url, None).pass().cost, [1, 0]);
}
