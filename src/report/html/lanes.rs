//! The timeline as a drawing: time runs down, the intruder on the left, the responders on the right. What follows each
//! other closely stands line by line; where nothing happened for long, the axis is broken and says for how long.

use jiff::{Timestamp, tz::TimeZone};
use serde::Serialize;

use super::super::{
    audience::Audience,
    sections::long,
    text::{Span, Text},
    timeline::{Lane, Moment, described, step_words},
};
use crate::model::{Outcome, json_for_terminal};

/// Height of a line, and of a break.
const LINE: u32 = 26;
const BREAK: u32 = 34;
const TOP: u32 = 34;
/// Longest text beside the axis, in characters: the drawing does not wrap.
const LONGEST: usize = 58;
/// More lines than this and the drawing is no drawing: the first ones, and a word about the rest.
const MOST: usize = 80;
/// A pause longer than this breaks the axis.
const PAUSE: i64 = 10 * 60;

/// The drawing.
#[derive(Serialize)]
pub(super) struct Lanes {
    height: u32,
    moments: Vec<Drawn>,
    breaks: Vec<Break>,
    left_out: usize,
}

/// A moment, or several alike that follow each other.
#[derive(Serialize)]
struct Drawn {
    y: u32,
    lane: &'static str,
    look: &'static str,
    time: String,
    text: String,
}

/// A pause.
#[derive(Serialize)]
struct Break {
    y: u32,
    text: String,
}

/// Moments alike.
struct Bunch<'a> {
    first: &'a Moment,
    count: usize,
}

pub(super) fn of(moments: &[Moment], audience: Audience) -> Option<Lanes> {
    let bunches = bunched(moments);
    let left_out = bunches.len().saturating_sub(MOST);
    let mut lanes = Lanes { height: 0, moments: Vec::new(), breaks: Vec::new(), left_out };
    let (mut y, mut before): (u32, Option<Timestamp>) = (TOP, None);
    for bunch in bunches.iter().take(MOST) {
        let at = bunch.first.at;
        let pause = before.map(|before| at.duration_since(before).as_secs()).unwrap_or_default();
        let new_day = before.is_none_or(|before| date(before) != date(at));
        if pause > PAUSE || new_day {
            let later = u64::try_from(pause).unwrap_or_default();
            let text = match (pause > PAUSE, new_day) {
                (true, true) => format!("{} later · {}", long(later * 1000), date(at)),
                (true, false) => format!("{} later", long(later * 1000)),
                _ => date(at),
            };
            lanes.breaks.push(Break { y, text });
            y += BREAK;
        }
        lanes.moments.push(drawn(bunch, y, audience));
        y += LINE;
        before = Some(at);
    }
    lanes.height = y + 8;
    (!lanes.moments.is_empty()).then_some(lanes)
}

fn bunched(moments: &[Moment]) -> Vec<Bunch<'_>> {
    let mut bunches: Vec<Bunch<'_>> = Vec::new();
    for moment in moments {
        match bunches.last_mut() {
            Some(last) if moment.step.is_some() && alike(last.first, moment) => last.count += 1,
            _ => bunches.push(Bunch { first: moment, count: 1 }),
        }
    }
    bunches
}

fn alike(a: &Moment, b: &Moment) -> bool {
    a.lane == b.lane && a.step == b.step && a.outcome == b.outcome
}

fn drawn(bunch: &Bunch<'_>, y: u32, audience: Audience) -> Drawn {
    let moment = bunch.first;
    let text = match (step_words(moment), moment.outcome) {
        (Some(step), Some(outcome)) if bunch.count > 1 => {
            format!("{} {} × {}", outcome.word(), json_for_terminal(&step), bunch.count)
        }
        _ => plain(&described(moment, audience)),
    };
    let time = moment.at.to_zoned(TimeZone::UTC).strftime("%H:%M:%S").to_string();
    let (lane, look) = match moment.lane {
        Lane::Intruder => ("intruder", "intruder"),
        Lane::Responder => ("responder", moment.outcome.map_or("plain", |outcome| super::look(Some(outcome)))),
    };
    Drawn { y, lane, look, time, text: cut(&text) }
}

fn date(at: Timestamp) -> String {
    at.to_zoned(TimeZone::UTC).strftime("%Y-%m-%d").to_string()
}

fn cut(text: &str) -> String {
    if text.chars().count() <= LONGEST {
        return text.to_owned();
    }
    text.chars().take(LONGEST - 1).chain(['…']).collect()
}

/// A text without its looks.
fn plain(text: &Text) -> String {
    let part = |span: &Span| match span {
        Span::Words(words) | Span::Loud(words, _) => words.clone(),
        Span::Said(words) | Span::Code(words) => json_for_terminal(words).replace('\n', " "),
        Span::Foreign(text) | Span::Whole(text) => text.term(),
        Span::Seq(seq) => format!("[#{seq}]"),
        Span::Outcome(outcome) => outcome.map_or("not-ended", Outcome::word).to_owned(),
    };
    text.0.iter().map(part).collect()
}
