//! Who may open, send as and see into a mailbox; sweep rules and mobile devices.

use serde_json::{Value, json};

use super::mailbox::{mailbox_of, server};
use super::reply::{Error, Row, Rows};
use super::{Cmdlet, Command, Run, note};
use crate::tenant::mailboxes::{Mailbox, Permission, PermissionKind};
use crate::tenant::world::World;

const fn read(
    name: &'static str,
    parameters: &'static [&'static str],
    run: fn(&Command<'_>, &World) -> Result<Rows, Error>,
) -> Cmdlet {
    Cmdlet { name, parameters, readable: true, run: Run::Read(run) }
}

const fn write(
    name: &'static str,
    parameters: &'static [&'static str],
    run: fn(&Command<'_>, &mut World) -> Result<Rows, Error>,
) -> Cmdlet {
    Cmdlet { name, parameters, readable: false, run: Run::Write(run) }
}

const FULL: &[&str] = &["Identity", "User", "AccessRights", "InheritanceType", "AutoMapping", "Deny", "ResultSize"];
const SEND: &[&str] = &["Identity", "Trustee", "AccessRights", "ResultSize", "SkipDomainValidationForMailContact"];
const FOLDER: &[&str] = &["Identity", "User", "AccessRights", "SharingPermissionFlags", "ResultSize"];
const MAILBOX: &[&str] = &["Mailbox", "Identity", "ResultSize"];

pub(super) const CMDLETS: &[Cmdlet] = &[
    read("Get-MailboxPermission", FULL, get),
    write("Add-MailboxPermission", FULL, add),
    write("Remove-MailboxPermission", FULL, remove),
    read("Get-RecipientPermission", SEND, get),
    write("Add-RecipientPermission", SEND, add),
    write("Remove-RecipientPermission", SEND, remove),
    read("Get-MailboxFolderPermission", FOLDER, get),
    write("Add-MailboxFolderPermission", FOLDER, add),
    write("Remove-MailboxFolderPermission", FOLDER, remove),
    read("Get-SweepRule", MAILBOX, get_sweep),
    write("Disable-SweepRule", MAILBOX, switch_sweep),
    write("Enable-SweepRule", MAILBOX, switch_sweep),
    read("Get-MobileDevice", MAILBOX, get_mobile),
    write("Remove-MobileDevice", MAILBOX, remove_mobile),
];

/// What a cmdlet is about.
struct About {
    kind: PermissionKind,
    /// The parameter that names the other person.
    who: &'static str,
    user_id: String,
    folder: String,
}

fn about(command: &Command<'_>, world: &World) -> Result<About, Error> {
    let (kind, who) = match command.cmdlet.name.split_once('-').map(|(_, noun)| noun) {
        Some("MailboxPermission") => (PermissionKind::Mailbox, "User"),
        Some("RecipientPermission") => (PermissionKind::Recipient, "Trustee"),
        _ => (PermissionKind::Folder, "User"),
    };
    let identity = command.text("Identity").unwrap_or_default();
    let (owner, folder) = identity.split_once(':').unwrap_or((&identity, ""));
    let mailbox = world.state.mailbox(owner).ok_or_else(|| Error::not_found(owner, &server(&world.state)))?;
    Ok(About { kind, who, user_id: mailbox.user_id.clone(), folder: folder.trim_start_matches('\\').to_owned() })
}

fn permissions_of<'a>(world: &'a World, about: &'a About) -> impl Iterator<Item = &'a Permission> {
    let mailbox = world.state.mailboxes.get(&about.user_id);
    let all = mailbox.into_iter().flat_map(|mailbox| &mailbox.permissions);
    all.filter(move |row| {
        row.kind == about.kind
            && (about.kind != PermissionKind::Folder || row.folder.eq_ignore_ascii_case(&about.folder))
    })
}

fn get(command: &Command<'_>, world: &World) -> Result<Rows, Error> {
    let about = about(command, world)?;
    let wanted = command.text(about.who);
    let owner =
        world.state.mailboxes.get(&about.user_id).map(|mailbox| mailbox.display_name.clone()).unwrap_or_default();
    let row = |person: &str, rights: &[String], inherited: bool| {
        let rights = rights.iter().map(|right| json!(right)).collect();
        let row = Row::default().text("Identity", owner.as_str()).text(about.who, person).list("AccessRights", rights);
        match about.kind {
            PermissionKind::Mailbox => {
                row.bool("IsInherited", inherited).bool("Deny", false).text("InheritanceType", "All")
            }
            PermissionKind::Recipient => row.bool("Inherited", inherited).text("AccessControlType", "Allow"),
            PermissionKind::Folder => {
                row.text("FolderName", about.folder.as_str()).text("SharingPermissionFlags", Value::Null)
            }
        }
    };
    let mut rows = Vec::new();
    if about.kind != PermissionKind::Folder {
        rows.push(row("NT AUTHORITY\\SELF", &["FullAccess".to_owned(), "ReadPermission".to_owned()], false));
    }
    rows.extend(permissions_of(world, &about).map(|known| row(&known.person, &known.rights, false)));
    if let Some(wanted) = wanted {
        let matches = |row: &Row| {
            row.get(about.who).and_then(Value::as_str).is_some_and(|person| person.eq_ignore_ascii_case(&wanted))
        };
        rows.retain(matches);
    }
    Ok(Rows::of(rows))
}

fn rights_of(command: &Command<'_>) -> Result<Vec<String>, Error> {
    match command.get("AccessRights") {
        Some(Value::Array(rights)) => Ok(rights.iter().filter_map(Value::as_str).map(str::to_owned).collect()),
        Some(Value::String(right)) => Ok(vec![right.clone()]),
        _ => Err(Error::argument("AccessRights is required.")),
    }
}

fn person_of(command: &Command<'_>, about: &About) -> Result<String, Error> {
    command
        .text(about.who)
        .filter(|person| !person.is_empty())
        .ok_or_else(|| Error::argument(&format!("{} is required.", about.who)))
}

fn add(command: &Command<'_>, world: &mut World) -> Result<Rows, Error> {
    let about = about(command, world)?;
    let (person, rights) = (person_of(command, &about)?, rights_of(command)?);
    let known =
        permissions_of(world, &about).any(|row| row.person.eq_ignore_ascii_case(&person) && row.rights == rights);
    if known {
        return Ok(Rows {
            rows: Vec::new(),
            warnings: vec!["The appropriate access control entry is already present on the object.".to_owned()],
        });
    }
    let row = Permission { kind: about.kind, person, rights, folder: about.folder.clone() };
    if let Some(mailbox) = world.state.mailboxes.get_mut(&about.user_id) {
        mailbox.permissions.push(row);
    }
    note(command, world, &about.user_id);
    Ok(Rows::default())
}

/// What is not there is a warning, and the answer is a success all the same.
fn remove(command: &Command<'_>, world: &mut World) -> Result<Rows, Error> {
    let about = about(command, world)?;
    let person = person_of(command, &about)?;
    // A folder's permissions of a person go all together; the others by right.
    let rights = if about.kind == PermissionKind::Folder { None } else { Some(rights_of(command)?) };
    let gone = |row: &Permission| {
        row.person.eq_ignore_ascii_case(&person)
            && rights.as_ref().is_none_or(|rights| rights.iter().all(|right| row.rights.contains(right)))
    };
    let found = permissions_of(world, &about).any(gone);
    if !found {
        let owner = world.state.mailboxes.get(&about.user_id).map_or("", |mailbox| mailbox.display_name.as_str());
        let text = format!(
            "Can't remove the access control entry on the object \"{owner}\" for account \"{person}\" because the ACE doesn't exist on the object."
        );
        return Ok(Rows { rows: Vec::new(), warnings: vec![text] });
    }
    if let Some(mailbox) = world.state.mailboxes.get_mut(&about.user_id) {
        let here = |row: &Permission| {
            row.kind == about.kind
                && (about.kind != PermissionKind::Folder || row.folder.eq_ignore_ascii_case(&about.folder))
        };
        mailbox.permissions.retain(|row| !(here(row) && gone(row)));
    }
    note(command, world, &about.user_id);
    Ok(Rows::default())
}

fn owner_of<'a>(command: &Command<'_>, world: &'a World) -> Result<&'a Mailbox, Error> {
    mailbox_of(command, &world.state)
}

fn get_sweep(command: &Command<'_>, world: &World) -> Result<Rows, Error> {
    let mailbox = owner_of(command, world)?;
    let rows = mailbox.sweep_rules.iter().map(|rule| {
        Row::default()
            .text("Identity", format!("{}\\{}", mailbox.guid, rule.id))
            .text("RuleId", rule.id.as_str())
            .text("Name", rule.name.as_str())
            .bool("Enabled", rule.enabled)
            .text("Provider", "Exchange16")
            .text("Sender", rule.sender.as_str())
            .text("DestinationFolder", rule.folder.as_str())
    });
    Ok(Rows::of(rows.collect()))
}

fn switch_sweep(command: &Command<'_>, world: &mut World) -> Result<Rows, Error> {
    let identity = command.text("Identity").unwrap_or_default();
    let id = identity.rsplit('\\').next().unwrap_or_default().to_owned();
    let enabled = command.cmdlet.name.starts_with("Enable");
    let owns = |mailbox: &&Mailbox| mailbox.sweep_rules.iter().any(|rule| rule.id == id);
    let found = world.state.mailboxes.values().find(owns).map(|mailbox| mailbox.user_id.clone());
    let user_id = found.ok_or_else(|| Error::not_found(&identity, &server(&world.state)))?;
    let same = world
        .state
        .mailboxes
        .get(&user_id)
        .is_some_and(|mailbox| mailbox.sweep_rules.iter().any(|rule| rule.id == id && rule.enabled == enabled));
    if same {
        return Ok(Rows::unchanged(&identity));
    }
    let rules = world.state.mailboxes.get_mut(&user_id).map(|mailbox| &mut mailbox.sweep_rules);
    if let Some(rule) = rules.into_iter().flatten().find(|rule| rule.id == id) {
        rule.enabled = enabled;
    }
    note(command, world, &user_id);
    Ok(Rows::default())
}

fn get_mobile(command: &Command<'_>, world: &World) -> Result<Rows, Error> {
    let mailbox = owner_of(command, world)?;
    let rows = mailbox.mobile_devices.iter().map(|device| {
        Row::default()
            .text("Identity", mobile_identity(mailbox, &device.id))
            .text("DeviceId", device.id.as_str())
            .text("FriendlyName", device.name.as_str())
            .text("DeviceType", device.kind.as_str())
            .text("DeviceAccessState", "Allowed")
            .time("FirstSyncTime", device.first_sync)
    });
    Ok(Rows::of(rows.collect()))
}

/// The identity holds a paragraph sign, as the service's does.
fn mobile_identity(mailbox: &Mailbox, id: &str) -> String {
    format!("{}\\ExchangeActiveSyncDevices\\Hx\u{a7}Outlook\u{a7}{id}", mailbox.display_name)
}

fn remove_mobile(command: &Command<'_>, world: &mut World) -> Result<Rows, Error> {
    let identity = command.text("Identity").unwrap_or_default();
    let found = world.state.mailboxes.values().find_map(|mailbox| {
        let device = mailbox.mobile_devices.iter().find(|device| mobile_identity(mailbox, &device.id) == identity)?;
        Some((mailbox.user_id.clone(), device.id.clone()))
    });
    let (user_id, id) = found.ok_or_else(|| Error::not_found(&identity, &server(&world.state)))?;
    if let Some(mailbox) = world.state.mailboxes.get_mut(&user_id) {
        mailbox.mobile_devices.retain(|device| device.id != id);
    }
    note(command, world, &user_id);
    Ok(Rows::default())
}
