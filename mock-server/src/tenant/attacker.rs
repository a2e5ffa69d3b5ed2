//! An attacker who is still there: puts back what a responder has just removed or blocked.

use super::mailboxes::Mailbox;
use super::methods::{AuthMethod, MethodKind};
use super::state::State;
use crate::routes::graph::grants::grant_id;

/// Puts back, under new ids where the service makes new ones, what `now` lacks of `before`.
pub(crate) fn put_back(before: &State, now: &mut State) {
    grants(before, now);
    methods(before, now);
    rules(before, now);
    switches(before, now);
}

fn grants(before: &State, now: &mut State) {
    let gone: Vec<_> = before.grants.values().filter(|grant| !now.grants.contains(&grant.id)).cloned().collect();
    for mut grant in gone {
        grant.id = grant_id(&now.new_id());
        now.grants.insert(grant.id.clone(), grant);
    }
}

fn methods(before: &State, now: &mut State) {
    let changed: Vec<String> = now.methods.changed(&before.methods).into_iter().map(str::to_owned).collect();
    for user in changed {
        let old = before.methods.get(&user).cloned().unwrap_or_default();
        let kept = now.methods.get(&user).cloned().unwrap_or_default();
        let mut all = kept.clone();
        for mut method in old.into_iter().filter(|old| !kept.iter().any(|new| new.id == old.id)) {
            if !has_constant_id(&method) {
                method.id = now.new_id().to_string();
            }
            all.push(method);
        }
        all.sort_by_key(AuthMethod::kind);
        now.methods.insert(user, all);
    }
}

fn has_constant_id(method: &AuthMethod) -> bool {
    matches!(method.kind(), MethodKind::Phone | MethodKind::Email | MethodKind::Password)
}

fn rules(before: &State, now: &mut State) {
    let changed: Vec<String> = now.mailboxes.changed(&before.mailboxes).into_iter().map(str::to_owned).collect();
    for user in changed {
        let Some(old) = before.mailboxes.get(&user) else {
            continue;
        };
        let mut fresh: Vec<u64> = old.rules.iter().map(|_| now.ids.next()).collect();
        if let Some(mailbox) = now.mailboxes.get_mut(&user) {
            rules_of(old, mailbox, &mut fresh);
        }
    }
}

fn rules_of(old: &Mailbox, mailbox: &mut Mailbox, fresh: &mut Vec<u64>) {
    for rule in &old.rules {
        match mailbox.rule_mut(rule.rule_identity) {
            Some(kept) => kept.enabled = rule.enabled,
            None => {
                let mut again = rule.clone();
                again.rule_identity = fresh.pop().unwrap_or(rule.rule_identity);
                mailbox.rules.insert(0, again);
            }
        }
    }
}

/// Whatever was blocked is enabled again.
fn switches(before: &State, now: &mut State) {
    macro_rules! enable {
        ($table:ident) => {
            let changed: Vec<String> = now.$table.changed(&before.$table).into_iter().map(str::to_owned).collect();
            for id in changed {
                let was = before.$table.get(&id).map(|row| row.account_enabled);
                if let (Some(was), Some(row)) = (was, now.$table.get_mut(&id)) {
                    row.account_enabled = was;
                }
            }
        };
    }
    enable!(users);
    enable!(devices);
    enable!(service_principals);
}
