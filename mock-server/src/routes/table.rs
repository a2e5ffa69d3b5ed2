//! Routes and how a path finds one.

use percent_encoding::percent_decode_str;

use super::call::Call;
use crate::access::Access;
use crate::reply::Outcome;
use crate::tenant::world::World;

/// One route of Graph.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Route {
    /// The method in capitals.
    pub(crate) method: &'static str,
    /// The path below the version, `{}` for a key.
    pub(crate) path: &'static str,
    /// Who may use it.
    pub(crate) access: Access,
    /// What it does.
    pub(crate) run: Run,
    /// Whether only the beta version has it.
    pub(crate) beta: bool,
}

/// A route of the beta version only.
pub(crate) const fn beta(route: Route) -> Route {
    Route { beta: true, ..route }
}

/// A handler. The type says whether it can change anything.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Run {
    /// Reads only.
    Read(fn(&Call<'_>, &World) -> Outcome),
    /// May change the tenant. A handler that fails has changed nothing.
    Write(fn(&Call<'_>, &mut World) -> Outcome),
}

/// A reading route.
pub(crate) const fn get(path: &'static str, access: Access, run: fn(&Call<'_>, &World) -> Outcome) -> Route {
    Route { method: "GET", path, access, run: Run::Read(run), beta: false }
}

/// A changing route.
pub(crate) const fn write(
    method: &'static str,
    path: &'static str,
    access: Access,
    run: fn(&Call<'_>, &mut World) -> Outcome,
) -> Route {
    Route { method, path, access, run: Run::Write(run), beta: false }
}

/// A key in a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Key {
    /// `/users/x` or `/users('x')`.
    Plain(String),
    /// `/devices(deviceId='x')`.
    Named(String, String),
}

/// A segment of a path.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Segment {
    Text(String),
    Key(Key),
}

/// What a path led to.
#[derive(Debug)]
pub(crate) enum Found {
    /// A route and the keys of its path.
    Route(&'static Route, Vec<Key>),
    /// A known path with another method.
    OtherMethod,
    /// No path: the first segment at which no route goes on.
    Nothing(String),
}

/// Looks a path up, the part below the version.
pub(crate) fn find(groups: &'static [&'static [Route]], method: &str, path: &str) -> Found {
    let segments = split(path);
    let mut other_method = false;
    let mut reached = 0;
    for route in groups.iter().flat_map(|routes| routes.iter()) {
        match keys_of(route.path, &segments) {
            Ok(keys) if route.method.eq_ignore_ascii_case(method) => {
                return Found::Route(route, keys);
            }
            Ok(_) => other_method = true,
            Err(depth) => reached = reached.max(depth),
        }
    }
    if other_method {
        return Found::OtherMethod;
    }
    Found::Nothing(match segments.get(reached) {
        Some(Segment::Text(text) | Segment::Key(Key::Plain(text) | Key::Named(_, text))) => text.clone(),
        None => String::new(),
    })
}

/// The keys of a path that fits the pattern, or how many segments did.
fn keys_of(pattern: &str, segments: &[Segment]) -> Result<Vec<Key>, usize> {
    let mut keys = Vec::new();
    let mut depth = 0;
    for part in pattern.split('/').skip(1) {
        match (part, segments.get(depth)) {
            ("{}", Some(Segment::Text(text))) => keys.push(Key::Plain(text.clone())),
            ("{}", Some(Segment::Key(key))) => keys.push(key.clone()),
            (literal, Some(Segment::Text(text))) if same_segment(literal, text) => {}
            _ => return Err(depth),
        }
        depth += 1;
    }
    if depth == segments.len() { Ok(keys) } else { Err(depth) }
}

/// Segments ignore case, and a bound action may carry its namespace.
fn same_segment(literal: &str, text: &str) -> bool {
    let bare = text.get("microsoft.graph.".len()..).filter(|_| text.to_lowercase().starts_with("microsoft.graph."));
    literal.eq_ignore_ascii_case(text) || bare.is_some_and(|bare| literal.eq_ignore_ascii_case(bare))
}

fn split(path: &str) -> Vec<Segment> {
    let mut segments = Vec::new();
    for raw in path.split('/').filter(|raw| !raw.is_empty()) {
        let text = percent_decode_str(raw).decode_utf8_lossy().into_owned();
        match text.strip_suffix(')').and_then(|inner| inner.split_once('(')) {
            Some((name, key)) if !name.is_empty() => {
                segments.push(Segment::Text(name.to_owned()));
                segments.push(Segment::Key(parse_key(key)));
            }
            _ => segments.push(Segment::Text(text)),
        }
    }
    segments
}

fn parse_key(text: &str) -> Key {
    let unquote = |value: &str| {
        let inner = value.strip_prefix('\'').and_then(|rest| rest.strip_suffix('\''));
        inner.map_or_else(|| value.to_owned(), |inner| inner.replace("''", "'"))
    };
    match text.split_once('=') {
        Some((name, value)) if name.chars().all(char::is_alphanumeric) => Key::Named(name.to_owned(), unquote(value)),
        _ => Key::Plain(unquote(text)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(pattern: &str, path: &str) -> Option<Vec<Key>> {
        keys_of(pattern, &split(path)).ok()
    }

    #[test]
    fn a_key_stands_in_a_segment_or_in_parentheses() {
        let plain = Some(vec![Key::Plain("a@b".to_owned())]);
        assert_eq!(keys("/users/{}", "/users/a%40b"), plain);
        assert_eq!(keys("/users/{}", "/Users('a@b')"), plain);
        let quoted = Some(vec![Key::Plain("$o'b@x".to_owned())]);
        assert_eq!(keys("/users/{}", "/users('$o''b@x')"), quoted);
        let named = Some(vec![Key::Named("deviceId".to_owned(), "d".to_owned())]);
        assert_eq!(keys("/devices/{}", "/devices(deviceId='d')"), named);
    }

    #[test]
    fn an_action_may_carry_its_namespace() {
        let pattern = "/users/{}/revokeSignInSessions";
        assert!(keys(pattern, "/users/1/microsoft.graph.revokeSignInSessions").is_some());
        assert!(keys(pattern, "/users/1/revokesigninsessions").is_some());
        assert!(keys(pattern, "/users/1/revoke").is_none());
        assert!(keys(pattern, "/users/1").is_none());
    }

    #[test]
    fn a_path_outside_the_table_names_the_segment_that_fails() {
        let Found::Nothing(segment) = find(crate::routes::graph::ROUTES, "GET", "/users/1/nonsense") else {
            panic!();
        };
        assert_eq!(segment, "nonsense");
    }
}
