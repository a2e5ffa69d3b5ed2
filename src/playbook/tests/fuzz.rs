//! Whatever is read, nothing panics, and whatever is refused has a place.

use proptest::prelude::{ProptestConfig, any, prop, prop_assert, prop_assert_eq, prop_oneof, proptest};
use proptest::strategy::{Just, Strategy};

use super::{CATALOGUE, GOOD};
use crate::playbook::{Severity, parse_bytes};

/// Either it is good, or it has errors, each in the file, in order.
fn check(bytes: &[u8]) -> Result<(), proptest::test_runner::TestCaseError> {
    let found = match parse_bytes("any.yaml", bytes, &CATALOGUE) {
        Ok((playbook, warnings)) => {
            prop_assert_eq!(playbook.sha256().len(), 64);
            prop_assert!(warnings.iter().all(|one| one.severity == Severity::Warning));
            warnings
        }
        Err(found) => {
            prop_assert!(found.iter().any(|one| one.severity == Severity::Error));
            found
        }
    };
    let lines = String::from_utf8_lossy(bytes).split('\n').count();
    prop_assert!(found.is_sorted_by_key(|one| (one.line, one.column)));
    for one in &found {
        prop_assert!((1..=lines).contains(&one.line));
        prop_assert!((1..=one.source_line.chars().count() + 1).contains(&one.column));
        prop_assert!(one.length >= 1);
        let talks = one.render(false).contains(['\u{1b}', '\u{202e}']);
        prop_assert!(!talks);
    }
    Ok(())
}

/// What a slip of the hand, or malice, puts into a good file.
fn piece() -> impl Strategy<Value = String> {
    let marks = [
        "{",
        "}",
        "[",
        "]",
        ":",
        ": ",
        "-",
        "- ",
        "\n",
        "\t",
        "'",
        "\"",
        "&a ",
        "*a",
        "!!str ",
        "---\n",
        "|",
        ">",
        "#",
        "\r",
        "\u{feff}",
        "\u{202e}",
        "\u{1b}",
        "each",
        "inputs.",
        "steps.x.outcome",
        "${{ x }}",
        "? ",
        "%YAML 1.1\n",
        "<<: ",
        "\\u202e",
        "é",
        "🎣",
    ];
    prop_oneof![prop::sample::select(marks.map(str::to_owned).to_vec()), any::<String>(), Just(String::new())]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        check(&bytes)?;
    }

    #[test]
    fn arbitrary_text_never_panics(text in any::<String>()) {
        check(text.as_bytes())?;
    }

    #[test]
    fn a_good_file_with_slips_never_panics(slips in prop::collection::vec((any::<prop::sample::Index>(), 0usize..30, piece()), 1..5)) {
        let mut text: Vec<char> = GOOD.chars().collect();
        for (at, removed, piece) in slips {
            let from = at.index(text.len() + 1);
            let to = (from + removed).min(text.len());
            text.splice(from..to, piece.chars());
        }
        check(text.into_iter().collect::<String>().as_bytes())?;
    }
}

#[test]
fn a_byte_order_mark_at_the_start_is_accepted_and_moves_nothing() {
    let (_, warnings) = parse_bytes("bom.yaml", format!("\u{feff}{GOOD}").as_bytes(), &CATALOGUE).expect("it is good");
    assert_eq!(warnings, []);
    let bad = format!("\u{feff}{}", GOOD.replace("id: good", "id: Good"));
    let found = parse_bytes("bom.yaml", bad.as_bytes(), &CATALOGUE).expect_err("a bad id");
    assert_eq!((found[0].code, found[0].line, found[0].column), ("bad-id", 2, 5));
}

#[test]
fn windows_line_ends_are_accepted() {
    let windows = GOOD.replace('\n', "\r\n");
    assert!(parse_bytes("crlf.yaml", windows.as_bytes(), &CATALOGUE).is_ok());
    let found =
        parse_bytes("crlf.yaml", windows.replace("A good", "7 #").as_bytes(), &CATALOGUE).expect_err("a number");
    assert_eq!((found[0].code, found[0].line, found[0].source_line.ends_with('\r')), ("wrong-type", 4, false));
}
