//! `audit custody`: what became of a run after it was written, and noting that a copy was handed over.

use crate::{
    cli::{
        Context,
        args::CustodyArgs,
        custody,
        exit::{Exit, Failure, OrFail as _},
        runs,
    },
    journal::{Custody, CustodyLog, Handling, custody_of, read_custody},
    model::json_for_terminal,
};

pub(crate) fn run(context: &Context, args: &CustodyArgs) -> Result<Exit, Failure> {
    let path = runs::find(context, &args.run.run)?;
    let log = custody_of(&path);
    let log = log.ok_or_else(|| Failure::usage("the run does not lie in a case, so it has no custody log"))?;
    if let (Some(to), Some(channel)) = (&args.handed_to, &args.channel) {
        let what =
            Handling::HandedOver { to: to.clone(), organisation: args.organisation.clone(), channel: channel.clone() };
        custody::add(context, &path, args.by.as_deref(), what)?;
    }
    let CustodyLog { mut lines, torn, .. } = read_custody(&log).or_fail(Exit::NotVerified)?;
    let name =
        path.canonicalize().ok().and_then(|path| path.file_name().map(|name| name.to_string_lossy().into_owned()));
    lines.retain(|line| Some(&line.run) == name.as_ref());
    if torn > 0 {
        context.out.say(&format!("warning: {torn} bytes of half a line at the end; the next line sets them aside"));
    }
    context.out.data(&lines, || lines.iter().map(words).collect::<Vec<_>>().join("\n"))?;
    Ok(Exit::Ok)
}

fn words(line: &Custody) -> String {
    let what = match &line.what {
        Handling::Created => "created".to_owned(),
        Handling::Sealed => "sealed".to_owned(),
        Handling::Stamped { time, authority } => format!("stamped with {time} by {authority}"),
        Handling::Signed { key } => format!("signed with {key}"),
        Handling::Exported { form, file, sha256 } => format!("{form} written to {file} (SHA-256 {sha256})"),
        Handling::Copied { to } => format!("copied to {to}"),
        Handling::Fetched { from } => format!("fetched from {from}"),
        Handling::HandedOver { to, organisation, channel } => {
            let of = organisation.as_ref().map(|organisation| format!(" of {organisation}")).unwrap_or_default();
            format!("handed over to {to}{of}, {channel}")
        }
        Handling::Verified { verdict } => format!("verified: {verdict}"),
    };
    let torn = line.torn.as_ref().map(|torn| format!(", behind half a line that is kept in {}", torn.path));
    let torn = torn.unwrap_or_default();
    let seal = line.seal_sha256.as_deref().and_then(|digest| digest.get(..12)).unwrap_or("not closed");
    json_for_terminal(&format!("{:.0}  {}@{}  {what}  (seal {seal}{torn})", line.t, line.by, line.host))
}
