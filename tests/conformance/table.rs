//! The table of faults: every effect that the mock tenant has, what it must come to on a write and on a read, and why.
//! No test stands here; an effect without a row does not compile, or fails in `faults.rs`.

use mock_server::faults::{Effect, RetryAfter};

/// Gives every effect a name. The `match` has no arm for "all others": a new effect needs a name here, and a name
/// needs a row.
macro_rules! kinds {
    ($($kind:ident => $pattern:pat),+ $(,)?) => {
        /// What sets effects apart as far as we are concerned.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub(crate) enum Kind { $($kind),+ }

        impl Kind {
            pub(crate) const ALL: &[Self] = &[$(Self::$kind),+];

            pub(crate) fn of(effect: &Effect) -> Self {
                match effect { $($pattern => Self::$kind),+ }
            }
        }
    };
}

kinds! {
    ThrottleAbsent => Effect::Throttle(RetryAfter::Absent),
    ThrottleSeconds => Effect::Throttle(RetryAfter::Seconds(_)),
    ThrottleDecimal => Effect::Throttle(RetryAfter::Decimal(_)),
    ThrottleDate => Effect::Throttle(RetryAfter::Date(_)),
    ThrottleText => Effect::Throttle(RetryAfter::Text(_)),
    ThrottleScope => Effect::ThrottleScope { .. },
    LimitPercentage => Effect::LimitPercentage(_),
    UnavailableBefore => Effect::Unavailable { applied: false, .. },
    UnavailableAfter => Effect::Unavailable { applied: true, .. },
    ServerErrorBefore => Effect::ServerError { applied: false, .. },
    ServerErrorAfter => Effect::ServerError { applied: true, .. },
    DropBefore => Effect::Drop { applied: false },
    DropAfter => Effect::Drop { applied: true },
    DropMidHeadBefore => Effect::DropMidHead { applied: false },
    DropMidHeadAfter => Effect::DropMidHead { applied: true },
    DropMidBody => Effect::DropMidBody,
    Delay => Effect::Delay(_),
    Slow => Effect::Slow(_),
    Truncate => Effect::Truncate,
    AnswerBefore => Effect::Answer { applied: false, .. },
    AnswerAfter => Effect::Answer { applied: true, .. },
    Unauthorized => Effect::Unauthorized { challenge: false },
    Challenge => Effect::Unauthorized { challenge: true },
    ForbiddenChallenge => Effect::ForbiddenChallenge,
    Redirect => Effect::Redirect { .. },
    NextLink => Effect::NextLink(_),
    NextLinkUserinfo => Effect::NextLinkUserinfo(_),
    NextLinkLoop => Effect::NextLinkLoop,
    GzipBomb => Effect::GzipBomb(_),
    Reverted => Effect::Reverted,
    PutBack => Effect::PutBack,
}

/// How a change ends whose calls meet a fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Write {
    /// Done, with one effect.
    Done,
    /// Failed, with none: the tenant said no.
    Failed,
    /// Left for `resume`, with no effect: certainly not executed, and only time ran out.
    Left,
    /// Unknown: nobody can say whether it will take effect.
    Unknown,
    /// Accepted, and the second read shows that it did not last.
    Unverified,
    /// A 400 to what may only be done last is not the last word the first time; otherwise failed.
    LastOfLane,
    /// What can be put back under its own id is seen; a new id is another object.
    PutBack,
}

/// What a read comes to that meets a fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Read {
    /// Asked again: struck once it costs nothing, struck for ever it is an error.
    AskedAgain,
    /// Not asked again: an error the first time.
    Error,
    /// The answer is whole.
    Whole,
    /// The answer to a read of one object is whole; that of a collection is an error.
    Links,
}

/// One fault.
pub(crate) struct Row {
    pub(crate) effect: Effect,
    /// Struck once, and struck for ever.
    pub(crate) write: (Write, Write),
    pub(crate) read: Read,
    pub(crate) why: &'static str,
}

fn row(effect: Effect, write: (Write, Write), read: Read, why: &'static str) -> Row {
    Row { effect, write, read, why }
}

fn answer(status: u16, content_type: &str, body: &str, applied: bool) -> Effect {
    Effect::Answer { status, content_type: content_type.into(), body: body.into(), applied }
}

fn html(status: u16, applied: bool) -> Effect {
    answer(status, "text/html", "<html>gateway</html>", applied)
}

fn graph(status: u16, code: &str) -> Effect {
    let body = format!(r#"{{"error":{{"code":"{code}","message":"words of the tenant"}}}}"#);
    answer(status, "application/json", &body, false)
}

/// Every fault. `foreign` is the address of a host that nobody has any business with.
pub(crate) fn rows(foreign: &str) -> Vec<Row> {
    [throttles(), server_errors(), lost(), answers(), tokens(), links(foreign), others()]
        .into_iter()
        .flatten()
        .collect()
}

fn throttles() -> Vec<Row> {
    use RetryAfter::{Absent, Date, Decimal, Seconds, Text};
    let why = "429 is said before anything is done: waited out, and in the end left for `resume`";
    let forms = [Absent, Seconds(7), Decimal(2_128), Date(30), Date(-30), Text("soon".into())];
    let of = |form| row(Effect::Throttle(form), (Write::Done, Write::Left), Read::AskedAgain, why);
    let longer = "an hour is longer than we ever wait: a read is given up, a write asks again sooner";
    let hour = row(Effect::Throttle(Seconds(3_600)), (Write::Done, Write::Left), Read::Error, longer);
    let scoped = |scope: &str, information: &str| {
        let (scope, information) = (scope.to_owned(), information.to_owned());
        row(Effect::ThrottleScope { scope, information, seconds: 7 }, (Write::Done, Write::Left), Read::AskedAgain, why)
    };
    let scopes = [
        scoped("Tenant/Read/application/tenant", "ResourceUnitLimitExceeded"),
        scoped("Tenant_Application/Write/application/tenant", "WriteLimitExceeded"),
        scoped("Application/ReadWrite/application", "CPULimitExceeded"),
    ];
    let near = "a limit that is near changes the pace, not the outcome";
    let share =
        |share: &str| row(Effect::LimitPercentage(share.to_owned()), (Write::Done, Write::Done), Read::Whole, near);
    forms.into_iter().map(of).chain([hour]).chain(scopes).chain(["0.9", "1.8", "much"].map(share)).collect()
}

fn server_errors() -> Vec<Row> {
    let before = "a 5xx proves nothing: read back, sent again where that is harmless, in the end unknown";
    let after = "a 5xx proves nothing: read back, and seen to have taken effect";
    let of = |status, applied| {
        let (last, why) = if applied { (Write::Done, after) } else { (Write::Unknown, before) };
        row(Effect::ServerError { status, applied }, (Write::Done, last), Read::AskedAgain, why)
    };
    let plain = [500, 502, 503, 504].into_iter().flat_map(|status| [of(status, false), of(status, true)]);
    plain.chain(asked_to_wait()).collect()
}

/// A time to come back says that the service is busy; only with a 503 does it also say that nothing was done.
fn asked_to_wait() -> Vec<Row> {
    let rejected = "a 503 with a time to come back is said before anything is done: waited out, in the end left";
    let nothing = "a gateway's 5xx with a time to come back proves nothing all the same";
    let of = |status, applied, retry, last, why| {
        row(Effect::Unavailable { status, applied, retry }, (Write::Done, last), Read::AskedAgain, why)
    };
    let seconds = || RetryAfter::Seconds(5);
    vec![
        of(503, false, seconds(), Write::Left, rejected),
        of(503, false, RetryAfter::Decimal(2_128), Write::Left, rejected),
        of(503, false, RetryAfter::Date(20), Write::Left, rejected),
        of(503, true, RetryAfter::Absent, Write::Done, nothing),
        of(500, false, seconds(), Write::Unknown, nothing),
        of(502, true, seconds(), Write::Done, nothing),
        of(504, false, seconds(), Write::Unknown, nothing),
        of(504, true, RetryAfter::Date(20), Write::Done, nothing),
    ]
}

fn lost() -> Vec<Row> {
    let took_effect = "the answer is lost, the effect is seen by reading back";
    let after = (Write::Done, Write::Done);
    vec![
        row(
            Effect::Drop { applied: false },
            (Write::Done, Write::Unknown),
            Read::AskedAgain,
            "no answer, no effect: sent again after reading back, in the end unknown",
        ),
        row(Effect::Drop { applied: true }, after, Read::AskedAgain, took_effect),
        row(
            Effect::DropMidHead { applied: false },
            (Write::Done, Write::Unknown),
            Read::AskedAgain,
            "half a status line is no answer: sent again after reading back, in the end unknown",
        ),
        row(Effect::DropMidHead { applied: true }, after, Read::AskedAgain, took_effect),
        row(Effect::DropMidBody, after, Read::AskedAgain, took_effect),
        row(Effect::Truncate, after, Read::AskedAgain, took_effect),
        row(Effect::Delay(2), after, Read::Whole, "late is not wrong"),
        row(Effect::Slow(1), after, Read::Whole, "in pieces is not wrong"),
    ]
}

fn answers() -> Vec<Row> {
    use Write::{Done, Failed, LastOfLane, Left, Unknown};
    let said_no = "a whole 4xx is the tenant's no";
    let bare = "a 404 without the service's own words is a gateway's and proves nothing";
    vec![
        row(
            graph(400, "Request_BadRequest"),
            (LastOfLane, LastOfLane),
            Read::Error,
            "what is to be last is tried again last",
        ),
        row(
            graph(409, "Directory_ConcurrencyViolation"),
            (Done, Left),
            Read::Error,
            "Graph asks to wait and try again with this code",
        ),
        row(graph(423, "Locked"), (Done, Left), Read::Error, "an object that is locked for now is asked for again"),
        row(graph(409, "Request_Conflict"), (Failed, Failed), Read::Error, said_no),
        row(graph(412, "ErrorIrresolvableConflict"), (Failed, Failed), Read::Error, said_no),
        row(html(403, false), (Failed, Failed), Read::Error, said_no),
        row(answer(404, "text/plain", "", false), (Done, Unknown), Read::AskedAgain, bare),
        row(html(404, false), (Done, Unknown), Read::AskedAgain, bare),
        row(html(200, false), (Done, Unknown), Read::AskedAgain, "200 of a gateway is no answer of the tenant"),
        row(html(200, true), (Done, Done), Read::AskedAgain, "200 of a gateway hides an effect; reading back shows it"),
        row(html(502, false), (Done, Unknown), Read::AskedAgain, "a gateway's 502 proves nothing"),
        row(html(504, true), (Done, Done), Read::AskedAgain, "a gateway's 504 hides an effect; reading back shows it"),
    ]
}

fn tokens() -> Vec<Row> {
    use Write::{Done, Failed};
    let fresh = "a 401 to a token that was just issued is a no: another one would be answered the same";
    let challenge = "a claims challenge is met by one fresh token, and by no second one";
    let of = |challenge| Effect::Unauthorized { challenge };
    vec![
        row(of(false), (Failed, Failed), Read::Error, fresh),
        row(of(true), (Done, Failed), Read::AskedAgain, challenge),
        row(Effect::ForbiddenChallenge, (Done, Failed), Read::AskedAgain, challenge),
    ]
}

fn links(foreign: &str) -> Vec<Row> {
    let redirect = |status| {
        let effect = Effect::Redirect { status, location: foreign.to_owned() };
        row(effect, (Write::Failed, Write::Failed), Read::Error, "no redirect is followed: a token would go along")
    };
    let unread = (Write::Done, Write::Done);
    let mut rows: Vec<Row> = [302, 307].into_iter().map(redirect).collect();
    let why = "a link is followed to the service's own address only, and to none twice";
    rows.push(row(Effect::NextLink(foreign.to_owned()), unread, Read::Links, why));
    rows.push(row(Effect::NextLinkLoop, unread, Read::Links, why));
    let host = foreign.trim_start_matches("http://").trim_end_matches('/');
    rows.push(row(Effect::NextLinkUserinfo(host.to_owned()), unread, Read::Links, why));
    rows
}

fn others() -> Vec<Row> {
    vec![
        row(
            Effect::GzipBomb(1 << 20),
            (Write::Done, Write::Unknown),
            Read::Error,
            "what is compressed unasked is not unpacked; whether a write took effect is read back",
        ),
        row(
            Effect::Reverted,
            (Write::Unverified, Write::Unverified),
            Read::Whole,
            "success is what the second read shows, not what the tenant answered",
        ),
        row(
            Effect::PutBack,
            (Write::PutBack, Write::PutBack),
            Read::Whole,
            "the attacker is faster than the second read",
        ),
    ]
}
