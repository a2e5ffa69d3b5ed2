//! Azurite, the Azure Blob service for machines of developers: a process beside the test, where it is installed.
//!
//! `.ci/run` installs it and names it in `STAUNCH_AZURITE`. Elsewhere: `npm install --prefix target/azurite
//! azurite@3.35.0`. Where it is missing, the test says so and ends.

use std::{
    env,
    io::{BufRead as _, BufReader},
    net::TcpListener,
    path::PathBuf,
    process::{Child, Command, Stdio},
};

use aws_lc_rs::hmac;
use base64::{Engine as _, engine::general_purpose::STANDARD};

use crate::skip::skip;

/// The account that every Azurite has; documented, no secret.
const ACCOUNT: &str = "devstoreaccount1";
const KEY: &str = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==";
const CONTAINER: &str = "evidence";

/// The server, as long as this lives.
pub(crate) struct Azurite {
    process: Child,
    endpoint: String,
}

impl Azurite {
    /// None where it is not installed.
    pub(crate) fn start() -> Option<Self> {
        let named = env::var_os("STAUNCH_AZURITE").map(PathBuf::from);
        let here = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/target/azurite/node_modules/.bin/azurite-blob"));
        let Some(program) = named.or_else(|| here.exists().then_some(here)) else {
            skip("azurite", "nothing was tested against Azure Blob");
            return None;
        };
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port().to_string();
        let mut process = Command::new(program)
            .args(["--blobHost", "127.0.0.1", "--blobPort", &port, "--inMemoryPersistence", "--skipApiVersionCheck"])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut said = BufReader::new(process.stdout.take().unwrap()).lines();
        assert!(said.any(|line| line.unwrap().contains("successfully listen")), "Azurite did not start");
        std::thread::spawn(move || said.for_each(drop));
        let azurite = Self { process, endpoint: format!("http://127.0.0.1:{port}") };
        azurite.make_container();
        Some(azurite)
    }

    pub(crate) fn url(&self) -> String {
        format!("az://{CONTAINER}/cases/one")
    }

    /// What a responder's environment holds.
    pub(crate) fn env(&self) -> Vec<(String, String)> {
        [("AZURE_STORAGE_USE_EMULATOR", "true"), ("AZURITE_BLOB_STORAGE_URL", &self.endpoint)]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .to_vec()
    }

    /// `Create Container`, signed with the shared key as the service documents it.
    fn make_container(&self) {
        let (version, now) = ("2021-08-06", jiff::Timestamp::now());
        let date = now.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string();
        let signed = format!(
            "PUT\n\n\n\n\n\n\n\n\n\n\n\nx-ms-date:{date}\nx-ms-version:{version}\n\
             /{ACCOUNT}/{ACCOUNT}/{CONTAINER}\nrestype:container"
        );
        let key = hmac::Key::new(hmac::HMAC_SHA256, &STANDARD.decode(KEY).unwrap());
        let signature = STANDARD.encode(hmac::sign(&key, signed.as_bytes()));
        let send = reqwest::Client::new()
            .put(format!("{}/{ACCOUNT}/{CONTAINER}?restype=container", self.endpoint))
            .header("x-ms-date", date)
            .header("x-ms-version", version)
            .header("authorization", format!("SharedKey {ACCOUNT}:{signature}"))
            .header("content-length", "0")
            .send();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let answer = runtime.block_on(send).unwrap();
        assert_eq!(answer.status(), 201, "{}", runtime.block_on(answer.text()).unwrap());
    }
}

impl Drop for Azurite {
    fn drop(&mut self) {
        drop(self.process.kill());
        drop(self.process.wait());
    }
}
