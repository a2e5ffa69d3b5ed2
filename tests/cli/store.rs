//! Runs with a store, in a folder and on a server of the S3 protocol: the claim, the copy, and what can go wrong.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use serde_json::Value;

use crate::{
    azurite::Azurite,
    lab::{Ended, Lab},
    s3::S3,
};

/// A lab with a store, and what reaches it.
struct Kept {
    lab: Lab,
    url: String,
    env: Vec<(String, String)>,
    /// Where the objects lie.
    folder: PathBuf,
}

impl Kept {
    fn in_a_folder() -> Self {
        let lab = Lab::aitm();
        let folder = lab.path("store");
        fs::create_dir(&folder).unwrap();
        Self { url: format!("file://{}", folder.display()), env: Vec::new(), folder, lab }
    }

    fn on(s3: &S3) -> Self {
        Self { lab: Lab::aitm(), url: s3.url(), env: s3.env(), folder: s3.folder() }
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = self.lab.command(args);
        command.envs(self.env.iter().cloned());
        command
    }

    fn staunch(&self, args: &[&str]) -> Ended {
        Ended::of(self.command(args).output().unwrap())
    }

    fn apply(&self) -> Ended {
        let digest = self.lab.plan();
        self.apply_planned(&digest)
    }

    fn apply_planned(&self, digest: &str) -> Ended {
        self.staunch(&["apply", "plan.json", "--approve", digest, "--store", &self.url])
    }

    fn run_dir(&self) -> PathBuf {
        self.lab.path("case/runs").join(self.lab.run_id())
    }

    /// The objects of the newest run.
    fn objects(&self) -> BTreeMap<String, Vec<u8>> {
        files(&self.folder.join("runs").join(self.lab.run_id()))
    }
}

/// The files under a folder, by their names.
fn files(under: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut open = vec![under.to_owned()];
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(folder).into_iter().flatten() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
            } else {
                let name = path.strip_prefix(under).unwrap().display().to_string();
                found.insert(name, fs::read(&path).unwrap());
            }
        }
    }
    found
}

fn claimed_copied_and_fetched(kept: &Kept) {
    let ended = kept.apply();
    assert_eq!(ended.code, Some(0), "{}", ended.text());
    let objects = kept.objects();
    assert!(ended.stderr.contains(&format!("{} objects", objects.len())), "{}", ended.stderr);
    assert!(ended.stderr.contains("all read back"), "{}", ended.stderr);
    assert_eq!(objects, files(&kept.run_dir()), "byte for byte, and nothing else");
    assert!(objects.contains_key("seal.note") && objects.len() > 50);

    let claims = files(&kept.folder.join("claims"));
    assert_eq!(claims.len(), 1);
    let claim: Value = serde_json::from_slice(claims.values().next().unwrap()).unwrap();
    assert_eq!(claim["run"], kept.lab.run_id());
    assert_ne!(claim["os_user"], "responder", "a variable of the environment is no user of the machine");

    let again = kept.staunch(&["audit", "copy", &kept.lab.run_id(), "--format", "json"]);
    let copied: Value = serde_json::from_str(&again.stdout).unwrap_or_else(|_| panic!("{}", again.text()));
    assert_eq!((copied["new"].as_u64(), copied["objects"].as_u64()), (Some(0), Some(objects.len() as u64)));

    let key = ended.stderr.lines().find_map(|line| line.trim_start().strip_prefix("key   ")).unwrap();
    let run = kept.lab.run_id();
    let fetch = ["audit", "fetch", run.as_str(), "--store", kept.url.as_str(), "--out", "there", "--key", key];
    let fetched = kept.staunch(&fetch);
    assert!(fetched.stdout.starts_with("authentic"), "{}", fetched.text());
    assert_eq!(fetched.code, Some(0));
    assert_eq!(files(&kept.lab.path("there").join(&run)), objects);
    assert_eq!(kept.staunch(&fetch).code, Some(1), "a folder that is there is left alone");

    let place = format!("{}/runs/{run}", kept.url.trim_end_matches('/'));
    let in_case = ["audit", "fetch", run.as_str(), "--store", kept.url.as_str(), "--out", "second/runs"];
    assert_eq!(kept.staunch(&in_case).code, Some(50));
    let here = handled(&kept.lab.path("case"));
    let kinds: Vec<&str> = here.iter().map(|what| what["type"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["created", "sealed", "copied", "copied"]);
    assert_eq!(here[2]["to"], place.as_str());
    let there = handled(&kept.lab.path("second"));
    assert_eq!((&there[0]["type"], &there[0]["from"]), (&"fetched".into(), &place.into()));
}

/// What the custody log of a case says was done.
fn handled(case: &Path) -> Vec<Value> {
    let log = fs::read_to_string(case.join("custody.jsonl")).unwrap();
    log.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()["what"].clone()).collect()
}

#[test]
fn a_run_is_claimed_and_copied_into_a_folder() {
    claimed_copied_and_fetched(&Kept::in_a_folder());
}

#[test]
fn a_run_is_claimed_and_copied_into_a_bucket() {
    claimed_copied_and_fetched(&Kept::on(&S3::start()));
}

#[test]
fn a_run_is_claimed_and_copied_into_a_container_of_azure() {
    let Some(azurite) = Azurite::start() else {
        return;
    };
    let kept = Kept { lab: Lab::aitm(), url: azurite.url(), env: azurite.env(), folder: PathBuf::new() };
    let ended = kept.apply();
    assert_eq!(ended.code, Some(0), "{}", ended.text());
    let (run, files) = (kept.lab.run_id(), files(&kept.run_dir()));
    assert!(ended.stderr.contains(&format!("{} objects, {0} of them new", files.len())), "{}", ended.stderr);
    let again = kept.staunch(&["audit", "copy", &run, "--format", "json"]);
    let copied: Value = serde_json::from_str(&again.stdout).unwrap_or_else(|_| panic!("{}", again.text()));
    assert_eq!((copied["new"].as_u64(), copied["objects"].as_u64()), (Some(0), Some(files.len() as u64)));
    let fetched = kept.staunch(&["audit", "fetch", &run, "--store", &kept.url, "--out", "there"]);
    assert_eq!(fetched.code, Some(50), "{}", fetched.text());
    assert_eq!(self::files(&kept.lab.path("there").join(&run)), files);
    race(&Kept { lab: Lab::aitm(), url: azurite.url(), env: azurite.env(), folder: PathBuf::new() });
}

#[test]
fn an_answer_that_is_lost_is_no_refusal() {
    let s3 = S3::start();
    let kept = Kept::on(&s3);
    // The claim and the first file are there, and nobody said so.
    s3.lose_answers(2);
    let ended = kept.apply();
    assert_eq!(ended.code, Some(0), "{}", ended.text());
    assert_eq!(kept.objects(), files(&kept.run_dir()));
}

/// Two processes, each with a case of its own, run the same plan at the same moment.
fn race(kept: &Kept) {
    let digest = kept.lab.plan();
    let start = |case: &str| -> Child {
        let args = ["apply", "plan.json", "--approve", &digest, "--store", &kept.url, "--case", case];
        kept.command(&args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    };
    let racers = ["one", "two"].map(start);
    let ended = racers.map(|racer| Ended::of(racer.wait_with_output().unwrap()));
    let mut codes = [ended[0].code, ended[1].code];
    codes.sort_unstable();
    assert_eq!(codes, [Some(0), Some(3)], "{}\n{}", ended[0].stderr, ended[1].stderr);
    let loser = ended.iter().position(|ended| ended.code == Some(3)).unwrap();
    let line = ended[loser].stderr.lines().find(|line| line.starts_with("error: ")).unwrap();
    assert!(line.contains('@') && line.contains(" since 20"), "{line}");
    assert!(line.contains("claims/sha256-") && line.contains(&kept.url), "{line}");
    let (won, lost) = if loser == 0 { ("two", "one") } else { ("one", "two") };
    assert!(files(&kept.lab.path(lost).join("runs")).is_empty(), "who is refused leaves no run behind");
    let winner = fs::read_dir(kept.lab.path(won).join("runs")).unwrap().next().unwrap().unwrap().file_name();
    assert!(line.contains(winner.to_str().unwrap()), "{line}");
    for victim in &kept.lab.tenant.incident().victims {
        assert_eq!(kept.lab.tenant.passwords_set(victim), 1);
    }
}

#[test]
fn of_two_responders_with_one_plan_one_runs() {
    race(&Kept::in_a_folder());
    race(&Kept::on(&S3::start()));
}

#[test]
fn a_run_that_cannot_begin_takes_no_claim() {
    let kept = Kept::in_a_folder();
    let digest = kept.lab.plan();
    fs::create_dir(kept.lab.path("case")).unwrap();
    let lock = fs::File::create(kept.lab.path("case/case.lock")).unwrap();
    lock.lock().unwrap();
    let locked = kept.apply_planned(&digest);
    assert_eq!(locked.code, Some(1), "{}", locked.text());
    assert!(locked.stderr.contains("another process is working on this case"), "{}", locked.stderr);
    assert!(locked.stderr.contains("hint: nothing was changed"), "{}", locked.stderr);
    lock.unlock().unwrap();
    assert!(files(&kept.folder).is_empty(), "it holds a claim");
    let ended = kept.apply_planned(&digest);
    assert_eq!(ended.code, Some(0), "{}", ended.text());
}

#[test]
fn a_run_that_was_killed_still_has_its_claim() {
    let kept = Kept::in_a_folder();
    let digest = kept.lab.plan();
    let args = ["apply", "plan.json", "--approve", &digest, "--store", &kept.url];
    drop(kept.command(&args).env("STAUNCH_CRASH_AFTER", "20").output().unwrap());
    let run = kept.lab.run_id();
    assert_eq!(kept.objects().len(), 0);
    // Without `--store`: the case knows where the run belongs.
    let resumed = kept.staunch(&["resume", &run]);
    assert_eq!(resumed.code, Some(0), "{}", resumed.text());
    assert_eq!(kept.objects(), files(&kept.run_dir()));
    assert_eq!(files(&kept.folder.join("claims")).len(), 1);
}

#[test]
fn a_claim_of_somebody_else_stops_a_resume_too() {
    let kept = Kept::in_a_folder();
    let digest = kept.lab.plan();
    let args = ["apply", "plan.json", "--approve", &digest];
    drop(kept.command(&args).env("STAUNCH_CRASH_AFTER", "20").output().unwrap());
    let (run, before) = (kept.lab.run_id(), files(&kept.run_dir()));
    let claim = kept.folder.join("claims").join(format!("{}.json", digest.replace(':', "-")));
    fs::create_dir(kept.folder.join("claims")).unwrap();
    let other = serde_json::json!({"format": "staunch.claim/v1", "plan": digest, "run": "0-other", "case": "c",
        "host": "away\u{1b}[31m", "os_user": "johanna", "at": "2026-11-01T00:00:00Z"});
    fs::write(&claim, other.to_string()).unwrap();
    let refused = kept.staunch(&["resume", &run, "--store", &kept.url]);
    assert_eq!(refused.code, Some(3), "{}", refused.text());
    assert!(refused.stderr.contains("johanna@away\\u001b[31m"), "{}", refused.stderr);
    assert_eq!(files(&kept.run_dir()), before);

    fs::write(&claim, "not ours").unwrap();
    let refused = kept.staunch(&["resume", &run, "--store", &kept.url]);
    assert_eq!(refused.code, Some(3), "{}", refused.text());
    assert!(refused.stderr.contains("no claim"), "{}", refused.stderr);
}

#[test]
fn an_object_with_other_content_is_named_and_left_alone() {
    for kept in [Kept::in_a_folder(), Kept::on(&S3::start())] {
        let digest = kept.lab.plan();
        assert_eq!(kept.staunch(&["apply", "plan.json", "--approve", &digest]).code, Some(0));
        let there = kept.folder.join("runs").join(kept.lab.run_id());
        fs::create_dir_all(&there).unwrap();
        fs::write(there.join("plan.json"), "another plan").unwrap();
        let ended = kept.staunch(&["audit", "copy", &kept.lab.run_id(), "--store", &kept.url]);
        assert_eq!(ended.code, Some(5), "{}", ended.text());
        assert!(ended.stderr.contains(&format!("runs/{}/plan.json", kept.lab.run_id())), "{}", ended.stderr);
        assert_eq!(fs::read_to_string(there.join("plan.json")).unwrap(), "another plan");
        assert!(!there.join("seal.note").exists(), "a copy that failed is not sealed");
        let fetched = kept.staunch(&["audit", "fetch", &kept.lab.run_id(), "--store", &kept.url, "--out", "there"]);
        assert_eq!(fetched.code, Some(1), "{}", fetched.text());
        assert!(fetched.stderr.contains("cut off"), "{}", fetched.stderr);
    }
}

#[test]
fn a_store_that_is_not_there_or_refuses_us_stops_a_run_before_it_begins() {
    let s3 = S3::start();
    let mut kept = Kept::on(&s3);
    let refused = |kept: &Kept, digest: &str, code: i32, says: &str| {
        let ended = kept.apply_planned(digest);
        assert_eq!(ended.code, Some(code), "{}", ended.text());
        assert!(ended.stderr.contains(says), "{}", ended.stderr);
        assert!(!ended.stderr.contains("wrong-secret"), "{}", ended.stderr);
        assert_eq!(kept.lab.mutations(), 0);
        assert!(files(&kept.lab.path("case/runs")).is_empty());
    };
    let set = |kept: &mut Kept, name: &str, value: &str| {
        kept.env.retain(|(known, _)| known != name);
        kept.env.push((name.to_owned(), value.to_owned()));
    };
    let digest = kept.lab.plan();
    set(&mut kept, "AWS_SECRET_ACCESS_KEY", "wrong-secret");
    refused(&kept, &digest, 1, "it does not let us");
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    set(&mut kept, "AWS_ENDPOINT", &format!("http://{nobody}"));
    refused(&kept, &digest, 1, "--store none");
    kept.env.retain(|(name, _)| name != "AWS_ALLOW_HTTP");
    refused(&kept, &digest, 1, "--store none");

    let sas = "sv=2022-11-02&sr=c&sig=wrong-secret";
    let azure = [("ACCOUNT_NAME", "records"), ("SAS_KEY", sas), ("ENDPOINT", &format!("https://{nobody}"))];
    kept.env = azure.map(|(name, value)| (format!("AZURE_STORAGE_{name}"), value.to_owned())).to_vec();
    kept.url = "az://evidence".to_owned();
    refused(&kept, &digest, 1, "--store none");

    let mut gone = Kept::in_a_folder();
    gone.url = format!("file://{}/not-mounted", gone.folder.display());
    let digest = gone.lab.plan();
    refused(&gone, &digest, 2, "there is no such folder");
    gone.url = "ftp://x/y".to_owned();
    refused(&gone, &digest, 2, "none of file, s3 and az");
}

#[test]
fn a_network_that_goes_away_leaves_the_run_as_it_is_and_the_copy_can_be_finished() {
    let s3 = S3::start();
    let kept = Kept::on(&s3);
    // The claim, and some of the files.
    s3.cut_after(12);
    let ended = kept.apply();
    assert_eq!(ended.code, Some(1), "{}", ended.text());
    assert!(ended.stderr.contains("NOT COPIED") && ended.stderr.contains("staunch audit copy"), "{}", ended.stderr);
    assert_eq!(
        ended.stdout,
        kept.staunch(&["report", &kept.lab.run_id()]).stdout,
        "the report says what was contained"
    );
    let run = kept.lab.run_id();
    assert_eq!(kept.staunch(&["audit", "verify", &run]).code, Some(50), "the run is over, and whole");
    let part = kept.objects();
    assert!(part.len() > 5 && part.len() < files(&kept.run_dir()).len(), "{} objects", part.len());
    assert!(!part.contains_key("seal.note"));

    s3.cut_after(-1);
    let copied = kept.staunch(&["audit", "copy", &run]);
    assert_eq!(copied.code, Some(0), "{}", copied.text());
    assert_eq!(kept.objects(), files(&kept.run_dir()));
}

#[cfg(unix)]
#[test]
fn a_copy_that_takes_too_long_can_be_stopped() {
    let s3 = S3::start();
    let kept = Kept::on(&s3);
    let digest = kept.lab.plan();
    s3.hang_after(5);
    let args = ["apply", "plan.json", "--approve", &digest, "--store", &kept.url];
    let child = kept.command(&args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let began = std::time::Instant::now();
    while files(&kept.folder.join("runs")).is_empty() {
        assert!(began.elapsed() < std::time::Duration::from_secs(60), "nothing was copied");
        std::thread::yield_now();
    }
    assert!(Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap().success());
    let ended = Ended::of(child.wait_with_output().unwrap());
    assert_eq!(ended.code, Some(1), "{}", ended.text());
    assert!(ended.stderr.contains("the copy was stopped") && ended.stderr.contains("NOT COPIED"), "{}", ended.stderr);
    s3.hang_after(-1);
    assert_eq!(kept.staunch(&["audit", "copy", &kept.lab.run_id()]).code, Some(0));
    assert_eq!(kept.objects(), files(&kept.run_dir()));
}

#[test]
fn what_was_changed_in_the_store_does_not_verify() {
    let kept = Kept::in_a_folder();
    assert_eq!(kept.apply().code, Some(0));
    let run = kept.lab.run_id();
    let there = kept.folder.join("runs").join(&run).join("journal.jsonl");
    fs::write(&there, fs::read_to_string(&there).unwrap().replacen("responder", "respondor", 1)).unwrap();
    let fetched = kept.staunch(&["audit", "fetch", &run, "--store", &kept.url, "--out", "there"]);
    assert_eq!(fetched.code, Some(5), "{}", fetched.text());
    assert!(fetched.stdout.starts_with("broken"), "{}", fetched.stdout);
    let missing = kept.staunch(&["audit", "fetch", "0-none", "--store", &kept.url, "--out", "there"]);
    assert_eq!(missing.code, Some(1), "{}", missing.text());
}

#[test]
fn sealed_secrets_stay_in_the_case() {
    let kept = Kept::in_a_folder();
    let key = age::x25519::Identity::generate().to_public().to_string();
    let args = kept.lab.plan_args();
    let args: Vec<&str> = args.iter().map(String::as_str).chain(["--recipient", &key]).collect();
    let digest = kept.lab.plan_to_file(&args);
    let ended = kept.staunch(&["apply", "plan.json", "--approve", &digest, "--store", &kept.url]);
    assert_eq!(ended.code, Some(0), "{}", ended.text());
    assert!(!files(&kept.lab.path("case/handover")).is_empty());
    for (name, bytes) in files(&kept.folder) {
        assert!(!name.contains("handover") && !name.ends_with(".age"), "{name}");
        assert!(!String::from_utf8_lossy(&bytes).contains("BEGIN AGE ENCRYPTED FILE"), "{name}");
    }
}

#[test]
fn a_profile_names_the_store_and_none_leaves_it_out() {
    let kept = Kept::in_a_folder();
    let profile = fs::read_to_string(kept.lab.path("staunch.toml")).unwrap();
    kept.lab.write("staunch.toml", &format!("{profile}store = \"{}\"\n", kept.url));
    let digest = kept.lab.plan();
    let without = kept.staunch(&["apply", "plan.json", "--approve", &digest, "--store", "none"]);
    assert_eq!(without.code, Some(0), "{}", without.text());
    assert!(files(&kept.folder).is_empty());
    let undone = kept.staunch(&["undo", &kept.lab.run_id(), "--out", "undo.json", "--format", "json"]);
    let undo: Value = serde_json::from_str(&undone.stdout).unwrap();
    let ended = kept.staunch(&["apply", "undo.json", "--approve", undo["digest"].as_str().unwrap()]);
    assert!(ended.stderr.contains("copied to file://"), "{}", ended.stderr);
    assert_eq!(kept.objects(), files(&kept.run_dir()));

    kept.lab.write("staunch.toml", &format!("{profile}store = \"s3://key:hunter2@bucket\"\n"));
    let wrong = kept.staunch(&["doctor"]);
    assert_eq!(wrong.code, Some(2), "{}", wrong.text());
    assert!(wrong.stderr.contains("staunch.toml:6: profile lab: use the store"), "{}", wrong.stderr);
    assert!(!wrong.stderr.contains("hunter2"), "{}", wrong.stderr);
}

#[test]
fn an_open_run_is_not_copied() {
    let kept = Kept::in_a_folder();
    let digest = kept.lab.plan();
    let args = ["apply", "plan.json", "--approve", &digest];
    drop(kept.command(&args).env("STAUNCH_CRASH_AFTER", "20").output().unwrap());
    let ended = kept.staunch(&["audit", "copy", &kept.lab.run_id(), "--store", &kept.url]);
    assert_eq!(ended.code, Some(5), "{}", ended.text());
    assert!(ended.stderr.contains("its record is open"), "{}", ended.stderr);
    assert!(files(&kept.folder).is_empty());
}
