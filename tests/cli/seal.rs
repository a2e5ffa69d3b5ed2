//! What is put to a closed run's seal: a person's signature, an authority's time stamp; and the custody log. OpenSSH and
//! OpenSSL are the other side; where they are missing, the test says so and ends.

use std::{
    fs,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    thread,
};

use serde_json::Value;

use crate::{lab::Lab, skip::skip};

/// Whether a program is there; says loudly where it is not.
fn is_there(program: &str, args: &[&str]) -> bool {
    let found = Command::new(program).args(args).stdin(Stdio::null()).output().is_ok();
    if !found {
        skip(program, "nothing was tested against it");
    }
    found
}

/// A closed run; its folder and the key that was shown.
fn closed(lab: &Lab) -> (PathBuf, String) {
    let digest = lab.plan();
    let ended = lab.staunch(&["apply", "plan.json", "--approve", &digest, "--authority", "ticket 4711"]);
    assert_eq!(ended.code, Some(0), "{}", ended.text());
    let key = ended.stderr.lines().find_map(|line| line.trim_start().strip_prefix("key   ")).unwrap().to_owned();
    (lab.path("case/runs").join(lab.run_id()), key)
}

/// Verdict, codes of the findings, and exit code.
fn verified(lab: &Lab, run: &Path, args: &[&str]) -> (String, Vec<String>, Option<i32>) {
    let ended = lab.staunch(&[&["audit", "verify", run.to_str().unwrap(), "--format", "json"], args].concat());
    let json: Value = serde_json::from_str(&ended.stdout).unwrap_or_else(|_| panic!("{}", ended.text()));
    let codes = json["findings"].as_array().unwrap().iter().map(|it| it["code"].as_str().unwrap().to_owned());
    (json["verdict"].as_str().unwrap().to_owned(), codes.collect(), ended.code)
}

fn custody(lab: &Lab, run: &Path) -> Vec<String> {
    let ended = lab.staunch(&["audit", "custody", run.to_str().unwrap(), "--format", "json"]);
    let json: Value = serde_json::from_str(&ended.stdout).unwrap_or_else(|_| panic!("{}", ended.text()));
    json.as_array().unwrap().iter().map(|it| it["what"]["type"].as_str().unwrap().to_owned()).collect()
}

fn ssh_keygen(args: &[&str], stdin: Stdio, at: &Path) -> bool {
    let output = Command::new("ssh-keygen").args(args).current_dir(at).stdin(stdin).output().unwrap();
    output.status.success()
}

#[test]
fn a_person_signs_and_ssh_keygen_agrees() {
    if !is_there("ssh-keygen", &["-?"]) {
        return;
    }
    let lab = Lab::aitm();
    let (run, key) = closed(&lab);
    let at = lab.dir.path();
    for name in ["ilse", "otto"] {
        assert!(ssh_keygen(&["-q", "-t", "ed25519", "-N", "", "-C", name, "-f", name], Stdio::null(), at));
        let public = fs::read_to_string(lab.path(&format!("{name}.pub"))).unwrap();
        lab.write(&format!("{name}.allowed"), &format!("{name}@contoso.example namespaces=\"staunch\" {public}"));
    }
    let run_arg = run.to_str().unwrap();
    let (verdict, codes, code) = verified(&lab, &run, &["--allowed-signers", "ilse.allowed"]);
    assert_eq!((verdict.as_str(), code), ("broken", Some(5)), "{codes:?}: asked for and not there");
    let signed = lab.command(&["audit", "sign", run_arg, "--ssh-key", "ilse"]).env("PATH", path()).output().unwrap();
    assert!(signed.status.success(), "{}", String::from_utf8_lossy(&signed.stderr));

    assert_eq!(verified(&lab, &run, &[]).2, Some(50), "a signature that nobody knows authenticates nothing");
    let (verdict, codes, code) = verified(&lab, &run, &["--allowed-signers", "ilse.allowed"]);
    assert_eq!((verdict.as_str(), code), ("authentic", Some(0)), "{codes:?}");
    assert!(codes.contains(&"signed".to_owned()));
    let (verdict, codes, _) = verified(&lab, &run, &["--allowed-signers", "otto.allowed", "--key", &key]);
    assert_eq!(verdict, "broken");
    assert!(codes.contains(&"signer-unknown".to_owned()), "{codes:?}");
    lab.write("policy", &format!("log {key}\nrequire signature\nrequire timestamp\n"));
    assert!(verified(&lab, &run, &["--policy", "policy"]).1.contains(&"stamp-missing".to_owned()));

    let agrees = |name: &str| {
        let (file, who) = (format!("{name}.allowed"), format!("{name}@contoso.example"));
        let signature = run.join("seal.sig");
        let args = ["-Y", "verify", "-f", &file, "-I", &who, "-n", "staunch", "-s", signature.to_str().unwrap()];
        ssh_keygen(&args, fs::File::open(run.join("seal.note")).unwrap().into(), at)
    };
    assert!(agrees("ilse") && !agrees("otto"));
    let again = lab.command(&["audit", "sign", run_arg, "--ssh-key", "otto"]).env("PATH", path()).output().unwrap();
    assert_eq!(again.status.code(), Some(1), "written once");
    assert!(agrees("ilse"));

    // A signature over something else, in its place.
    let mut other = Command::new("ssh-keygen");
    other.args(["-q", "-Y", "sign", "-n", "staunch", "-f", "ilse"]).current_dir(at).stdin(Stdio::null());
    let other = other.output().unwrap();
    fs::write(run.join("seal.sig"), other.stdout).unwrap();
    assert!(!agrees("ilse"));
    assert!(verified(&lab, &run, &["--key", &key]).1.contains(&"signature-bad".to_owned()));
    assert_eq!(custody(&lab, &run), ["created", "sealed", "signed"]);
}

fn path() -> String {
    std::env::var("PATH").unwrap_or_default()
}

const TSA: &str = "\
[tsa]\ndefault_tsa = one\n[one]\nserial = ./serial\nsigner_digest = sha256\ndefault_policy = 1.3.6.1.4.1.99999.1\n\
digests = sha256\nclock_precision_digits = 3\ness_cert_id_alg = sha256\n\
[ext]\nkeyUsage = critical, digitalSignature\nextendedKeyUsage = critical, timeStamping\nbasicConstraints = CA:false\n\
[ca]\nbasicConstraints = critical, CA:true\nkeyUsage = critical, keyCertSign\n\
[req]\ndistinguished_name = dn\n[dn]\n";

fn openssl(at: &Path, args: &str) -> bool {
    let output = Command::new("openssl").args(args.split(' ')).current_dir(at).output().unwrap();
    output.status.success()
}

/// A root, an authority under it, and its configuration.
fn authority(at: &Path) {
    fs::write(at.join("tsa.cnf"), TSA).unwrap();
    fs::write(at.join("serial"), "01\n").unwrap();
    let key = "-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -config tsa.cnf";
    assert!(openssl(at, &format!("req -x509 {key} -keyout ca.key -out root.pem -subj /CN=Root -extensions ca")));
    assert!(openssl(at, &format!("req {key} -keyout tsa.key -out tsa.csr -subj /CN=Authority")));
    let sign =
        "x509 -req -in tsa.csr -CA root.pem -CAkey ca.key -set_serial 7 -extfile tsa.cnf -extensions ext -out tsa.pem";
    assert!(openssl(at, sign));
}

/// Serves the authority on loopback, one answer for each request: OpenSSL's, or the one before it once more.
fn serve(at: &Path, answers: usize) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}/", listener.local_addr().unwrap());
    let at = at.to_owned();
    thread::spawn(move || {
        for nth in 0..answers {
            let (mut stream, _) = listener.accept().unwrap();
            fs::write(at.join("query.tsq"), body(&mut stream)).unwrap();
            if nth != 1 {
                let reply =
                    "ts -reply -config tsa.cnf -queryfile query.tsq -signer tsa.pem -inkey tsa.key -out answer.tsr";
                assert!(openssl(&at, reply));
            }
            let answer = fs::read(at.join("answer.tsr")).unwrap();
            let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", answer.len());
            stream.write_all(&[head.as_bytes(), &answer].concat()).unwrap();
        }
    });
    address
}

fn body(stream: &mut TcpStream) -> Vec<u8> {
    let mut reader = BufReader::new(stream);
    let mut length = 0;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        if let Some(text) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = text.trim().parse().unwrap();
        }
        if line == "\r\n" {
            let mut body = vec![0; length];
            reader.read_exact(&mut body).unwrap();
            return body;
        }
    }
}

#[cfg(feature = "timestamp")]
#[test]
fn an_authority_stamps_and_openssl_agrees() {
    if !is_there("openssl", &["version"]) {
        return;
    }
    let lab = Lab::aitm();
    let (run, key) = closed(&lab);
    let at = lab.dir.path();
    // The authority's keys are its own, and no part of the case.
    let theirs = tempfile::tempdir().unwrap();
    authority(theirs.path());
    fs::copy(theirs.path().join("root.pem"), lab.path("root.pem")).unwrap();
    let tsa = serve(theirs.path(), 3);
    let run_arg = run.to_str().unwrap();
    let stamp = |more: &[&str]| lab.staunch(&[&["audit", "stamp", run_arg, "--tsa", &tsa], more].concat());
    fs::copy("tests/fixtures/seal/ec-root.pem", lab.path("other.pem")).unwrap();

    let foreign = stamp(&["--tsa-roots", "other.pem"]);
    assert_eq!(foreign.code, Some(5), "a root that does not stand behind it: {}", foreign.text());
    let replayed = stamp(&[]);
    assert_eq!(replayed.code, Some(5), "the answer to another request: {}", replayed.text());
    assert!(replayed.stderr.contains("does not answer this request"), "{}", replayed.stderr);
    assert!(!run.join("seal.tsr").exists());
    let stamped = stamp(&["--tsa-roots", "root.pem"]);
    assert_eq!(stamped.code, Some(0), "{}", stamped.text());
    assert_eq!(stamp(&[]).code, Some(1), "nobody answers any more");
    let refused = lab.staunch(&["audit", "stamp", run_arg, "--tsa", "http://time.example/"]);
    assert!(refused.stderr.contains("neither https nor this machine"), "{}", refused.text());

    let (verdict, codes, code) = verified(&lab, &run, &["--key", &key, "--tsa-roots", "root.pem"]);
    assert_eq!((verdict.as_str(), code), ("authentic", Some(0)), "{codes:?}");
    assert!(codes.contains(&"stamped".to_owned()));
    assert_eq!(verified(&lab, &run, &["--key", &key, "--tsa-roots", "other.pem"]).0, "broken");
    let agrees = || {
        let (seal, answer) = (run.join("seal.note"), run.join("seal.tsr"));
        let (seal, answer) = (seal.display(), answer.display());
        openssl(at, &format!("ts -verify -in {answer} -data {seal} -CAfile root.pem"))
    };
    assert!(agrees());

    let honest = fs::read(run.join("seal.tsr")).unwrap();
    let imprint = honest.windows(4).position(|part| part == [0x30, 0x31, 0x30, 0x0d]).unwrap();
    for at in [imprint + 20, imprint + 60, honest.len() - 3] {
        let mut forged = honest.clone();
        forged[at] ^= 1;
        fs::write(run.join("seal.tsr"), forged).unwrap();
        assert!(!agrees(), "byte {at}");
        let (verdict, codes, _) = verified(&lab, &run, &["--key", &key]);
        assert_eq!(verdict, "broken", "byte {at}: {codes:?}");
        assert!(codes.contains(&"stamp-bad".to_owned()));
    }
    assert_eq!(custody(&lab, &run), ["created", "sealed", "stamped"]);
}

#[test]
fn what_becomes_of_a_run_is_noted_line_by_line() {
    let lab = Lab::aitm();
    let (run, key) = closed(&lab);
    let run_arg = run.to_str().unwrap();
    assert_eq!(lab.staunch(&["audit", "custody", run_arg, "--handed-to", "j"]).code, Some(2), "over which channel?");
    let over = ["--handed-to", "Johanna", "--organisation", "Contoso", "--channel", "in person, on a stick"];
    let over = lab.staunch(&[&["audit", "custody", run_arg][..], &over].concat());
    assert!(over.stdout.contains("handed over to Johanna of Contoso, in person, on a stick"), "{}", over.text());
    assert_eq!(lab.staunch(&["audit", "prove", run_arg, "--seq", "1", "--out", "one.proof"]).code, Some(0));
    let mut report = lab.command(&["report", run_arg, "--as", "ocsf", "--out", "run.ocsf"]);
    assert_eq!(report.env("STAUNCH_OPERATOR", "otto").output().unwrap().status.code(), Some(0));
    assert_eq!(verified(&lab, &run, &["--key", &key, "--note-as", "ilse"]).2, Some(0));
    assert_eq!(verified(&lab, &run, &["--key", &key]).2, Some(0), "verifying writes nothing by itself");
    let all = ["created", "sealed", "handed-over", "exported", "exported", "verified"];
    assert_eq!(custody(&lab, &run), all);
    let log = lab.path("case/custody.jsonl");
    let exported: Value = serde_json::from_str(fs::read_to_string(&log).unwrap().lines().nth(4).unwrap()).unwrap();
    let digest = staunch::journal::sha256_hex(&fs::read(lab.path("run.ocsf")).unwrap());
    assert_eq!((&exported["what"]["sha256"], &exported["by"]), (&digest.into(), &"otto".into()), "{exported}");

    let header: Value = serde_json::from_str(&fs::read_to_string(run.join("run.json")).unwrap()).unwrap();
    assert_eq!(header["authority"], "ticket 4711");
    assert_eq!(header["tool"]["sha256"].as_str().map(str::len), Some(64));
    let words = lab.staunch(&["audit", "verify", run_arg]).stdout;
    assert!(words.contains("clock the tenant's minus ours"), "{words}");

    // A power cut while a line was added.
    fs::write(&log, fs::read_to_string(&log).unwrap() + "{\"seq\":6,\"prev\"").unwrap();
    let told = lab.staunch(&["audit", "custody", run_arg]);
    assert_eq!((told.code, told.stdout.lines().count()), (Some(0), all.len()), "{}", told.text());
    assert!(told.stderr.contains("15 bytes of half a line"), "{}", told.stderr);
    assert_eq!(verified(&lab, &run, &["--key", &key, "--note-as", "ilse"]).2, Some(0));
    let told = lab.staunch(&["audit", "custody", run_arg]).stdout;
    assert!(told.lines().last().unwrap().contains("half a line that is kept in custody.jsonl.torn"), "{told}");

    fs::write(&log, fs::read_to_string(&log).unwrap().replacen("in person", "by mail", 1)).unwrap();
    assert_eq!(lab.staunch(&["audit", "custody", run_arg]).code, Some(5));
    assert_eq!(verified(&lab, &run, &["--key", &key]).2, Some(0), "the record does not rest on the log");
    let (verdict, _, code) = verified(&lab, &run, &["--key", &key, "--note-as", "ilse"]);
    assert_eq!((verdict.as_str(), code), ("authentic", Some(1)), "the verdict is told, and that it was not noted");
    assert_eq!(verified(&lab, &run, &["--note-as", "ilse"]).2, Some(50));
}
