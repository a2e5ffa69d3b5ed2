//! The forms of values, and what is read from the schema of an action.

use serde_json::{Value, json};

use crate::playbook::parameters::Parameters;
use crate::playbook::{Bounds, Kind, Type};

fn normalised(kind: &Kind, text: &str) -> Result<String, String> {
    let value = kind.normalise(&Value::from(text))?;
    Ok(value.as_str().expect("text stays text").to_owned())
}

#[test]
fn users_are_principal_names_or_object_ids() {
    for good in [
        "johanna@sunnyside.example",
        "o'neil.j-r_x!y^z~1@sub.sunnyside.example",
        "guest_other.example#EXT#@sunnyside.example",
        "guest_other.example#ext#@sunnyside.example",
    ] {
        assert_eq!(normalised(&Kind::User, good), Ok(good.to_owned()));
    }
    let id = "6E7B768E-07E2-4810-8459-485F84F8F204";
    assert_eq!(normalised(&Kind::User, id), Ok(id.to_lowercase()));
    for bad in [
        "",
        "johanna",
        "@sunnyside.example",
        "#EXT#@sunnyside.example",
        "johanna@",
        "a@b@sunnyside.example",
        "a/b@sunnyside.example",
        "a@sunnyside.example/manager",
        "a#b@sunnyside.example",
        "a@sunnyside.example#",
        "a%2fb@sunnyside.example",
        "a?b@sunnyside.example",
        "a b@sunnyside.example",
        " a@sunnyside.example",
        "a\n@sunnyside.example",
        "a\u{202e}@sunnyside.example",
        "\u{0430}@sunnyside.example",
        "{6e7b768e-07e2-4810-8459-485f84f8f204}",
        "6e7b768e07e248108459485f84f8f204",
    ] {
        let reason = normalised(&Kind::User, bad).expect_err(bad);
        assert!(!reason.contains(['\u{202e}', '\n']), "{reason:?}");
    }
}

#[test]
fn times_have_a_date_and_an_offset_and_become_utc() {
    let read = |text| normalised(&Kind::Timestamp, text);
    assert_eq!(read("2023-12-12T22:50:17+09:00"), Ok("2023-12-12T13:50:17Z".to_owned()));
    assert_eq!(read("2023-12-12T13:50:17.25Z"), Ok("2023-12-12T13:50:17.25Z".to_owned()));
    assert_eq!(read("2023-12-31T23:30:00-01:00"), Ok("2024-01-01T00:30:00Z".to_owned()));
    for bad in [
        "",
        "2023-12-12",
        "2023-12-12T13:50:17",
        "2023-12-12 13:50:17Z",
        "2023-12-12T13:50Z",
        "2023-12-12T13:50:17+09",
        "2023-12-12T13:50:17+0900",
        "2023-12-12T13:50:17.Z",
        "2023-12-12T13:50:17Z[UTC]",
        "2023-02-30T13:50:17Z",
        "2023-12-12T25:50:17Z",
        "20231212T135017Z",
        "12.12.2023",
        "yesterday",
        "2023-12-12T13:50:1éZ",
    ] {
        assert!(read(bad).is_err(), "{bad:?}");
    }
}

#[test]
fn service_principals_are_ids_never_names() {
    assert!(normalised(&Kind::ServicePrincipal, "6e7b768e-07e2-4810-8459-485f84f8f204").is_ok());
    assert!(normalised(&Kind::ServicePrincipal, "chatbot").expect_err("a name").contains("not unique"));
}

#[test]
fn text_and_choices_are_as_given() {
    assert_eq!(normalised(&Kind::Text, "two\nlines"), Ok("two\nlines".to_owned()));
    assert!(normalised(&Kind::Text, "bell\u{7}").is_err());
    let words = Kind::Choice(vec!["quiet".into(), "loud".into()]);
    assert_eq!(normalised(&words, "quiet"), Ok("quiet".to_owned()));
    assert!(normalised(&words, "Quiet").is_err());
    assert!(words.normalise(&json!(["quiet"])).is_err());
}

#[test]
fn a_choice_fits_where_all_its_words_do() {
    let choice = |words: &[&str]| Type {
        kind: Kind::Choice(words.iter().map(|word| (*word).to_owned()).collect()),
        many: false,
    };
    assert!(choice(&["a"]).fits(&choice(&["a", "b"])));
    assert!(!choice(&["a", "c"]).fits(&choice(&["a", "b"])));
    assert!(choice(&["a"]).fits(&Type { kind: Kind::Text, many: false }));
    assert!(!choice(&["a"]).fits(&Type { kind: Kind::Text, many: true }));
}

#[test]
fn bounds_lie_within_others_only_on_both_sides() {
    let bounds = |min, max| Bounds { min, max };
    assert!(bounds(Some(1), Some(3)).within(&bounds(Some(1), Some(5))));
    assert!(bounds(None, None).within(&bounds(None, None)));
    assert!(!bounds(None, Some(3)).within(&bounds(Some(1), None)));
    assert!(!bounds(Some(1), Some(6)).within(&bounds(None, Some(5))));
}

#[test]
fn every_way_in_which_schemas_say_a_type_is_understood() {
    let schema = json!({
        "type": "object",
        "properties": {
            "plain": {"type": "string", "format": "user"},
            "beside": {"$ref": "#/$defs/Name", "format": "user"},
            "through": {"$ref": "#/$defs/Alias"},
            "optional": {"anyOf": [{"$ref": "#/$defs/Alias"}, {"type": "null"}]},
            "nullable": {"type": ["string", "null"], "format": "date-time"},
            "documented": {"oneOf": [{"const": "a", "description": "A."}, {"enum": ["b", "c"]}]},
            "optional_enum": {"type": ["string", "null"], "enum": ["a", "b", null]},
            "list": {"type": "array", "items": {"$ref": "#/$defs/Alias"}, "maxItems": 4},
            "number": {"type": "number"},
            "dangling": {"$ref": "#/$defs/Nothing"},
            "nested": {"type": "array", "items": {"type": "array", "items": {"type": "string"}}},
        },
        "required": ["plain"],
        "$defs": {"Name": {"type": "string"}, "Alias": {"allOf": [{"$ref": "#/$defs/Id"}]}, "Id": {"type": "string", "format": "service-principal"}},
    });
    let parameters = Parameters::of(&schema);
    let shape = |name: &str| {
        let parameter = parameters.get(name).expect("it is a property");
        parameter.shape.as_ref().map(|(kind, bounds)| (kind.name(), bounds.max))
    };
    assert_eq!(shape("plain"), Some(("user", None)));
    assert_eq!(shape("beside"), Some(("user", None)));
    assert_eq!(shape("through"), Some(("service-principal", None)));
    assert_eq!(shape("optional"), Some(("service-principal", None)));
    assert_eq!(shape("nullable"), Some(("timestamp", None)));
    assert_eq!(shape("documented"), Some(("choice", None)));
    assert_eq!(shape("optional_enum"), Some(("choice", None)));
    assert_eq!(shape("list"), Some(("service-principals", Some(4))));
    assert_eq!(shape("number"), None);
    assert_eq!(shape("dangling"), None);
    assert_eq!(shape("nested"), None);
    let required: Vec<&str> = parameters.list.iter().filter(|one| one.required).map(|one| one.name.as_str()).collect();
    assert_eq!(required, ["plain"]);
}
