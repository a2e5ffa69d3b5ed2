//! What a mock tenant must be able to do, and what does it here: the list of the research (`client.md`, section 6), item by item.

use std::{collections::BTreeSet, fs, path::Path};

use mock_server::faults::Effect;

use super::table::{Kind, rows};

/// What shows that an item of the list is injected, and met.
enum By {
    /// Rows of the table, on every action.
    Rows(&'static [Kind]),
    /// Rows with an answer of this status, on every action.
    Answers(u16),
    /// Tests, by their file and name.
    Tests(&'static [(&'static str, &'static str)]),
    /// No action of ours meets it, for this reason.
    Nobody(&'static str),
}

use By::{Answers, Nobody, Rows, Tests};

const FAULTS: &str = "tests/conformance/faults.rs";
const LOST: &str = "tests/conformance/lost.rs";
const HOSTILE: &str = "tests/conformance/hostile.rs";
const LIST: &[(&str, By)] = &[
    (
        "429 with integer / decimal / date / absent / absurd (3,600) Retry-After",
        Rows(&[
            Kind::ThrottleSeconds,
            Kind::ThrottleDecimal,
            Kind::ThrottleDate,
            Kind::ThrottleAbsent,
            Kind::ThrottleText,
        ]),
    ),
    // A rule that strikes a GET strikes it inside of a `$batch`, too.
    ("429 per batch item", Tests(&[(FAULTS, "a_fault_that_passes_costs_no_read_its_answer")])),
    ("throttle-scope headers", Rows(&[Kind::ThrottleScope])),
    ("percentage header", Rows(&[Kind::LimitPercentage])),
    ("503 with and without header", Rows(&[Kind::UnavailableBefore, Kind::ServerErrorBefore])),
    ("504 **after applying** the write and 504 **before**", Rows(&[Kind::ServerErrorAfter, Kind::ServerErrorBefore])),
    ("connection reset after apply", Rows(&[Kind::DropAfter, Kind::DropMidHeadAfter, Kind::DropMidBody])),
    (
        "delayed visibility (read replica lag of n reads, flapping)",
        Tests(&[
            (LOST, "what_shows_late_is_done_whatever_was_said_to_the_second_try"),
            (LOST, "what_does_not_show_is_unknown_and_undo_takes_back_what_took_effect"),
            (LOST, "replicas_that_disagree_make_nobody_send_anything_twice_that_must_not_be"),
        ]),
    ),
    ("404 empty body", Answers(404)),
    ("409 ConcurrencyViolation", Answers(409)),
    ("412", Answers(412)),
    ("401 claims challenge (and 403 variant)", Rows(&[Kind::Challenge, Kind::ForbiddenChallenge])),
    ("expired token", Rows(&[Kind::Unauthorized])),
    ("role-less token", Tests(&[("tests/conformance.rs", "none_of_the_permissions_that_an_action_names_is_too_many")])),
    ("wrong `tid`", Tests(&[("tests/cli/sign_in.rs", "a_token_of_another_tenant_than_the_profiles_is_refused")])),
    (
        "token endpoint: each AADSTS row, HTML error page, 429",
        Tests(&[
            ("tests/identity/refusals.rs", "each_number_of_the_sign_in_service_is_one_line_with_what_to_do"),
            ("src/client/tests/sign_in.rs", "what_is_not_a_token_is_named"),
            ("src/client/tests/sign_in.rs", "a_token_endpoint_that_is_busy_is_asked_again"),
        ]),
    ),
    ("foreign / looping / ", Rows(&[Kind::NextLink, Kind::NextLinkLoop])),
    ("http-scheme / ", Tests(&[("src/client/paging.rs", "a_link_to_anywhere_else_is_not")])),
    ("userinfo nextLink", Rows(&[Kind::NextLinkUserinfo])),
    ("302 with Location to a second server that records headers (assert none)", Rows(&[Kind::Redirect])),
    ("gzip bomb", Rows(&[Kind::GzipBomb])),
    ("escape-laden names", Tests(&[(HOSTILE, "names_that_are_written_for_a_terminal_are_shown_and_not_obeyed")])),
    (
        "SP disabled mid-run",
        Tests(&[(HOSTILE, "an_application_that_is_disabled_in_the_middle_of_a_run_leaves_what_resume_takes_up")]),
    ),
    (
        "resetPassword LRO",
        Nobody(
            "a password is set with PATCH users/{id}: resetPassword answers 202 with an operation that only a signed-in \
             administrator may read",
        ),
    ),
    (
        "MI endpoints (five shapes)",
        Tests(&[
            ("tests/identity/tenant.rs", "the_other_hosts_of_a_managed_identity_are_asked_as_the_tenant_wants_it"),
            ("tests/identity/machine.rs", "arcs_challenge_is_answered_with_the_file_of_its_own_folder"),
        ]),
    ),
    (
        "Arc challenge with traversal path",
        Tests(&[("tests/identity/machine.rs", "arc_cannot_make_us_read_and_send_another_file")]),
    ),
    ("device-code Entra error names", Tests(&[("tests/identity/person.rs", "entras_own_names_end_a_device_code")])),
];

#[test]
fn each_item_of_the_list_has_a_row_or_a_test() {
    let effects: Vec<Effect> = rows("http://x.example/").into_iter().map(|row| row.effect).collect();
    let known: BTreeSet<Kind> = effects.iter().map(Kind::of).collect();
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for (item, by) in LIST {
        match by {
            Rows(kinds) => assert!(kinds.iter().all(|kind| known.contains(kind)), "{item}: {kinds:?}"),
            Answers(wanted) => {
                let is_it = |effect: &Effect| matches!(effect, Effect::Answer { status, .. } if status == wanted);
                assert!(effects.iter().any(is_it), "{item}");
            }
            Tests(tests) => {
                for (file, name) in *tests {
                    let text = fs::read_to_string(root.join(file)).unwrap();
                    let test = format!("fn {name}()");
                    let before = text.split(&test).next().filter(|before| before.len() < text.len());
                    let attributes = before.unwrap_or_else(|| panic!("{item}: {file} has no {name}"));
                    let last = attributes.trim_end_matches("async ").trim_end().lines().last().unwrap();
                    assert!(["#[test]", "#[tokio::test]"].contains(&last.trim()), "{item}: {name} is no test: {last}");
                }
            }
            Nobody(why) => assert!(why.len() > 40, "{item}"),
        }
    }
}

/// The list is not kept in this repository; where it lies beside it, nothing of it may be missing here.
#[test]
fn the_list_is_whole() {
    let place = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/reference/client.md");
    let Ok(text) = fs::read_to_string(place) else {
        eprintln!("skipped: the list is not beside the repository");
        return;
    };
    let section = text.split("## 6. ").nth(1).unwrap().split("\n## ").next().unwrap();
    let mut rest = section.lines().skip(1).collect::<Vec<_>>().join(" ");
    for (item, _) in LIST {
        assert!(rest.contains(item), "the list does not have {item}");
        rest = rest.replacen(item, "", 1);
    }
    assert_eq!(rest.trim_matches(|c: char| c.is_whitespace() || ",;.".contains(c)), "", "not met: {rest}");
    assert!(rest.chars().all(|c| c.is_whitespace() || ",;.".contains(c)), "not met: {rest}");
}
