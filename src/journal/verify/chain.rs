//! The journal's lines: that each is one, is in its place, and follows the line before it.

use jiff::Timestamp;

use super::finding::{Code, Findings, shown};
use crate::journal::{
    Line, Record, RunHeader,
    hash::{ZEROS, sha256_hex},
    strict,
};

/// The journal, as far as it can be read.
pub(super) struct Chain {
    /// Whole lines; none where a line cannot be understood.
    pub(super) lines: Vec<Option<Line>>,
    /// Digest of the last whole line; 64 zeros without one.
    pub(super) head: String,
    /// Digest of the line before the last.
    pub(super) before_head: String,
    /// Bytes after the last whole line.
    pub(super) torn: usize,
}

impl Chain {
    pub(super) fn read(bytes: &[u8], header: Option<&RunHeader>, found: &mut Findings) -> Self {
        let mut chain = Self { lines: Vec::new(), head: ZEROS.to_owned(), before_head: ZEROS.to_owned(), torn: 0 };
        let mut walk = Walk { run: header.map(|header| header.run_id.clone()), ..Walk::default() };
        for (seq, raw) in (0_u64..).zip(bytes.split_inclusive(|b| *b == b'\n')) {
            let Some(raw) = raw.strip_suffix(b"\n") else {
                chain.torn = raw.len();
                break;
            };
            let line = parse(seq, raw, found);
            if let Some(line) = &line {
                walk.step(seq, line, &chain.head, found);
            }
            chain.before_head = std::mem::replace(&mut chain.head, sha256_hex(raw));
            chain.lines.push(line);
        }
        if let Some(header) = header {
            chain.strangers(header, found);
        }
        chain.ends(found);
        chain
    }

    /// Processes that were somebody else to the tenant than `run.json` says.
    fn strangers(&self, header: &RunHeader, found: &mut Findings) {
        for (seq, record) in self.records() {
            if let Record::Resumed { identity: Some(us), .. } = record
                && !us.is_same_as(&header.identity)
            {
                let (now, begun) = (us.who(), header.identity.who());
                let text = format!("from here on the changes are those of {now}; the run was begun by {begun}");
                found.note_line(Code::OtherIdentity, seq, text);
            }
        }
    }

    /// The lines that can be understood, with their place in the file.
    pub(super) fn known(&self) -> impl Iterator<Item = (u64, &Line)> {
        (0_u64..).zip(&self.lines).filter_map(|(seq, line)| Some((seq, line.as_ref()?)))
    }

    pub(super) fn records(&self) -> impl Iterator<Item = (u64, &Record)> {
        self.known().map(|(seq, line)| (seq, &line.record))
    }

    /// Whether a line closes the run, wherever it stands.
    pub(super) fn closed(&self) -> bool {
        self.records().any(|(_, record)| matches!(record, Record::Closed { .. }))
    }

    fn ends(&self, found: &mut Findings) {
        if self.lines.is_empty() {
            found.note(Code::NotOpened, "no line was recorded: nothing was done");
        }
        let last = self.lines.len() as u64;
        if self.torn > 0 {
            found.note_line(
                Code::TornTail,
                last,
                format!("{} bytes of an incomplete line stand at the end", self.torn),
            );
        }
        if !self.closed() {
            found.note(
                Code::NotClosed,
                "the run was not closed: it is still going on, or it crashed; whether lines are missing at the end \
                 cannot be told",
            );
        } else if self.torn > 0 {
            found.line(Code::AfterClosed, last, "bytes stand after the last line");
        }
    }
}

/// What the next line must fit to.
#[derive(Default)]
struct Walk {
    run: Option<String>,
    mono: u64,
    wall: Option<Timestamp>,
    closed: bool,
}

impl Walk {
    fn step(&mut self, seq: u64, line: &Line, prev: &str, found: &mut Findings) {
        if line.seq != seq {
            let text = format!("it calls itself line {}", line.seq);
            found.line(Code::WrongSeq, seq, text);
        }
        if line.prev != prev {
            found.line(
                Code::BrokenChain,
                seq,
                "it does not follow the line before it: one of the two was edited, moved, inserted, or a line \
                 between them is missing",
            );
        }
        let run = self.run.get_or_insert_with(|| line.run.clone());
        if line.run != *run {
            found.line(Code::WrongRun, seq, "it belongs to another run");
        }
        self.clocks(seq, line, found);
        self.place(seq, &line.record, found);
    }

    fn clocks(&mut self, seq: u64, line: &Line, found: &mut Findings) {
        let anew = matches!(line.record, Record::Resumed { .. });
        if line.mono_ms < self.mono && !anew {
            found.line(Code::MonoBackwards, seq, "its monotonic time is before that of the line before it");
        }
        self.mono = line.mono_ms;
        if self.wall.is_some_and(|wall| line.t < wall) {
            found.note_line(Code::WallClockBackwards, seq, "the machine's clock was set back before this line");
        }
        self.wall = Some(line.t);
    }

    fn place(&mut self, seq: u64, record: &Record, found: &mut Findings) {
        if self.closed {
            found.line(Code::AfterClosed, seq, "it stands after the last line");
        }
        match record {
            Record::RunOpened { .. } if seq != 0 => found.line(Code::NotOpened, seq, "it opens the run again"),
            Record::RunOpened { .. } => {}
            _ if seq == 0 => found.line(Code::NotOpened, seq, "it does not open a run"),
            Record::Resumed { records, .. } if *records != seq => {
                let text = format!("it counts {records} lines before it");
                found.line(Code::ResumeMismatch, seq, text);
            }
            Record::Closed { .. } => self.closed = true,
            _ => {}
        }
    }
}

fn parse(seq: u64, raw: &[u8], found: &mut Findings) -> Option<Line> {
    match strict::from_slice(raw) {
        Ok(line) => Some(line),
        Err(error) => {
            let text = error.to_string();
            let code = if text.starts_with("duplicate key") {
                Code::DuplicateKey
            } else if text.starts_with("unknown variant") && knows_no_type(raw) {
                Code::UnknownRecord
            } else {
                Code::BadLine
            };
            found.line(code, seq, shown(&text));
            None
        }
    }
}

/// Whether it is the record's own `type` that is unknown, not some word further in.
fn knows_no_type(raw: &[u8]) -> bool {
    let Ok(value) = serde_json::from_slice::<serde_json::Value>(raw) else {
        return false;
    };
    let kind = value.pointer("/record/type").cloned();
    let probe = serde_json::json!({ "type": kind });
    serde_json::from_value::<Record>(probe).is_err_and(|error| error.to_string().starts_with("unknown variant"))
}
