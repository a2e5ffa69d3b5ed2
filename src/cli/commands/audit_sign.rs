//! `audit sign`: a person's SSH signature over a run's seal.
//!
//! ssh-keygen makes it, so that keys in an agent, on hardware or behind a passphrase work as their owner is used to, and
//! this program never reads a private key.

use std::{
    io::Write as _,
    process::{Command, Stdio},
};

use crate::{
    cli::{
        Context,
        args::SignArgs,
        custody,
        exit::{Exit, Failure, OrFail as _},
        runs,
    },
    journal::{Handling, SIGNATURE_NAMESPACE, attach_signature, seal_of},
};

pub(crate) fn run(context: &Context, args: &SignArgs) -> Result<Exit, Failure> {
    let path = runs::find(context, &args.run.run)?;
    let seal = seal_of(&path).or_fail(Exit::Refused)?;
    let signature = ssh_keygen(args, &seal)?;
    let key = attach_signature(&path, &signature).or_fail(Exit::CouldNotRun)?;
    custody::note(context, &path, args.by.as_deref(), Handling::Signed { key: key.to_string() });
    context.out.say(&format!(
        "signed with {key}; to check it: staunch audit verify RUN --allowed-signers FILE, or\n  \
         ssh-keygen -Y verify -f FILE -I NAME -n {SIGNATURE_NAMESPACE} -s seal.sig < seal.note"
    ));
    Ok(Exit::Ok)
}

fn ssh_keygen(args: &SignArgs, seal: &[u8]) -> Result<Vec<u8>, Failure> {
    let failed = |error: std::io::Error| {
        Failure::new(Exit::CouldNotRun, format!("failed to run ssh-keygen: {error}"))
            .hint("ssh-keygen is part of OpenSSH, 8.1 or newer")
    };
    let mut child = Command::new("ssh-keygen")
        .args(["-Y", "sign", "-n", SIGNATURE_NAMESPACE, "-f"])
        .arg(&args.ssh_key)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(failed)?;
    // One that ends without having read everything says itself why.
    drop(child.stdin.take().map(|mut stdin| stdin.write_all(seal)));
    let output = child.wait_with_output().map_err(failed)?;
    if !output.status.success() {
        return Err(Failure::new(Exit::CouldNotRun, "ssh-keygen did not sign"));
    }
    Ok(output.stdout)
}
