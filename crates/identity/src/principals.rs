//! Which principals there are that policies may name.
//! Source: <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_principal.html>

use crate::Identity;
use crate::session::last_part;
use crate::state::State;
use crate::trust::service_may_assume;
use names::{Arn, Home};
use policies::Identities;

/// What other rooms ask of it.
impl Identities for Identity {
    fn exists(&self, principal: &str) -> bool {
        self.catalog.read(|state| exists(state, &self.home, principal))
    }
    fn trusts(&self, role: &Arn, service: &str, whose: Option<&Arn>) -> bool {
        service_may_assume(self, role, service, whose)
    }
}

/// Whether a name of the kind `AWS` is somebody's. Of the house's own account all are known; others hold whom they hold.
/// Sessions are of no list.
pub(crate) fn exists(state: &State, home: &Home, name: &str) -> bool {
    let Ok(arn) = name.parse::<Arn>() else { return name == "*" || is_account(name) || has_id(state, name) };
    let (kind, path) = arn.resource().split_once('/').unwrap_or((arn.resource(), ""));
    let (ours, name) = (arn.account() == home.account.as_str(), last_part(path));
    match (arn.service(), kind) {
        ("iam", "root") => path.is_empty(),
        ("iam", "user") if ours => {
            state.users.get(name).is_some_and(|user| format!("{}{name}", user.path) == format!("/{path}"))
        }
        ("iam", "role") if ours => {
            state.roles.get(name).is_some_and(|role| format!("{}{name}", role.path) == format!("/{path}"))
        }
        ("iam", "user" | "role") | ("sts", "assumed-role" | "federated-user") => !name.is_empty(),
        _ => false,
    }
}

fn is_account(text: &str) -> bool {
    text.len() == 12 && text.bytes().all(|b| b.is_ascii_digit())
}

fn has_id(state: &State, id: &str) -> bool {
    state.users.values().any(|user| user.id == id) || state.roles.values().any(|role| role.id == id)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::{Change, Grants, Role, User};
    use names::Timestamp;
    use store::State as _;

    fn state() -> State {
        let mut state = State::default();
        let (created, tags, grants) = (Timestamp::default(), vec![], Grants::default());
        let (path, id) = ("/team/".to_owned(), "AIDAAAAAAAAAAAAAAAAAA".to_owned());
        let user = User { name: "ann".into(), path, id, created, tags: tags.clone(), grants: grants.clone() };
        state.apply(&Change::UserMade(user));
        let role = Role { id: "AROAAAAAAAAAAAAAAAAAA".into(), ..Role::new("r".into(), String::new(), created, tags) };
        state.apply(&Change::RoleMade(role));
        state
    }

    #[test]
    fn those_of_the_account_are_known() {
        let (state, home) = (state(), Home::default());
        let known = |name: &str| exists(&state, &home, name);
        for there in [
            "*",
            "000000000000",
            "arn:aws:iam::000000000000:root",
            "arn:aws:iam::000000000000:user/team/ann",
            "arn:aws:iam::000000000000:role/r",
            "AIDAAAAAAAAAAAAAAAAAA",
            "AROAAAAAAAAAAAAAAAAAA",
            "arn:aws:sts::000000000000:assumed-role/r/session",
        ] {
            assert!(known(there), "{there}");
        }
        for gone in [
            "arn:aws:iam::000000000000:user/ann",
            "arn:aws:iam::000000000000:user/team/bob",
            "arn:aws:iam::000000000000:role/ann",
            "arn:aws:iam::000000000000:role/",
            "arn:aws:iam::000000000000:group/g",
            "arn:aws:iam::000000000000:root/x",
            "AIDABBBBBBBBBBBBBBBBB",
            "12345678901",
            "ann",
        ] {
            assert!(!known(gone), "{gone}");
        }
    }

    #[test]
    fn other_accounts_hold_whom_they_hold() {
        let (state, home) = (state(), Home::default());
        for name in ["111122223333", "arn:aws:iam::111122223333:root", "arn:aws:iam::111122223333:role/deploy/ci"] {
            assert!(exists(&state, &home, name), "{name}");
        }
        assert!(!exists(&state, &home, "arn:aws:iam::111122223333:group/g"));
    }
}
