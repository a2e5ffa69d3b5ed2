//! Azure Arc's challenge: the agent names a file that only its group can read; its content proves that we may.
//!
//! The agent's answer is not trusted: a name in it must not make us read, and send, any other file
//! (CVE-2024-35255).

use std::{fs, io::Read as _, path::Path};

use secrecy::SecretString;
use zeroize::Zeroizing;

/// Largest file that is read, in bytes.
const LARGEST: u64 = 4096;

/// The content of the file that a challenge (`Basic realm=/var/opt/azcmagent/tokens/….key`) names, if it is one
/// of the agent's own folder.
pub(super) fn answer(challenge: &str, folder: &Path) -> Result<SecretString, String> {
    let name = file_name(challenge, folder).ok_or("its challenge names no key file of its own folder")?;
    read(&folder.join(name))
}

fn file_name<'c>(challenge: &'c str, folder: &Path) -> Option<&'c str> {
    let (scheme, rest) = challenge.trim().split_once(' ')?;
    let realm = rest.trim_start().strip_prefix("realm=")?.trim().trim_matches('"');
    let (parent, name) = realm.rsplit_once(['/', '\\'])?;
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    let stem = name.strip_suffix(".key")?;
    let fits = scheme.eq_ignore_ascii_case("basic")
        && Path::new(parent) == folder
        && !stem.is_empty()
        && !stem.starts_with('.')
        && name.chars().all(plain);
    fits.then_some(name)
}

/// A plain file of at most 4096 bytes; no link.
fn read(path: &Path) -> Result<SecretString, String> {
    let shown = path.display();
    let unreadable = |error: std::io::Error| {
        format!("its key file {shown} cannot be read ({error}): is this user in the group himds?")
    };
    let metadata = fs::symlink_metadata(path).map_err(unreadable)?;
    if !metadata.is_file() {
        return Err(format!("its key file {shown} is not a plain file"));
    }
    if metadata.len() > LARGEST {
        return Err(format!("its key file {shown} is larger than {LARGEST} bytes"));
    }
    let mut text = Zeroizing::new(String::new());
    let file = fs::File::open(path).map_err(unreadable)?;
    file.take(LARGEST).read_to_string(&mut text).map_err(unreadable)?;
    Ok(SecretString::from(text.trim()))
}

#[cfg(test)]
mod tests {
    use std::{fs, path::Path};

    use secrecy::ExposeSecret as _;

    use super::{answer, file_name};

    #[test]
    fn the_file_is_one_of_the_agents_folder() {
        let folder = Path::new("/var/opt/azcmagent/tokens");
        let name = |challenge: &'static str| file_name(challenge, folder);
        assert_eq!(name("Basic realm=/var/opt/azcmagent/tokens/a-1.key"), Some("a-1.key"));
        assert_eq!(name("basic realm=\"/var/opt/azcmagent/tokens/a-1.key\""), Some("a-1.key"));
        for hostile in [
            "Basic realm=/etc/shadow",
            "Basic realm=/etc/ssl/private/server.key",
            "Basic realm=/var/opt/azcmagent/tokens/../../../../etc/server.key",
            "Basic realm=/var/opt/azcmagent/tokens/sub/a.key",
            "Basic realm=/var/opt/azcmagent/tokens/.key",
            "Basic realm=/var/opt/azcmagent/tokens/..key",
            "Basic realm=/var/opt/azcmagent/tokens/a.key/..",
            "Basic realm=/var/opt/azcmagent/tokens/a\0.key",
            "Basic realm=a.key",
            "Basic realm=",
            "Bearer realm=/var/opt/azcmagent/tokens/a.key",
            "Basic",
            "",
        ] {
            assert_eq!(name(hostile), None, "{hostile}");
        }
    }

    #[test]
    fn only_a_small_plain_file_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let ask = |name: &str| answer(&format!("Basic realm={}/{name}", folder.path().display()), folder.path());
        fs::write(folder.path().join("a.key"), "canary\n").unwrap();
        fs::write(folder.path().join("big.key"), "x".repeat(4097)).unwrap();
        fs::write(folder.path().join("full.key"), "x".repeat(4096)).unwrap();
        assert_eq!(ask("a.key").unwrap().expose_secret(), "canary");
        assert_eq!(ask("full.key").unwrap().expose_secret().len(), 4096);
        assert!(ask("big.key").unwrap_err().contains("4096"));
        assert!(ask("none.key").unwrap_err().contains("group himds"));
        #[cfg(unix)]
        {
            std::os::unix::fs::symlink("/etc/hostname", folder.path().join("link.key")).unwrap();
            assert!(ask("link.key").unwrap_err().contains("plain file"));
        }
    }
}
