use crate::Account;
use serde::{Deserialize, Serialize};

/// Who made a call, as CloudTrail's `userIdentity` tells it.
/// Source: <https://docs.aws.amazon.com/awscloudtrail/latest/userguide/cloudtrail-event-reference-user-identity.html>
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Caller {
    /// What kind of principal this is.
    pub kind: CallerKind,
    /// The account of the principal.
    pub account: Account,
    /// The principal's ARN, such as `arn:aws:iam::123456789012:user/alice`.
    pub arn: String,
    /// The unique id: `AIDA...` for a user, `AROA...:session` for a role session, the account for root.
    pub principal_id: String,
    /// The access key the call was signed with; never its secret.
    pub access_key_id: String,
}

/// The kinds of principals.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum CallerKind {
    /// The account itself.
    Root,
    /// An IAM user.
    User {
        /// The user's name.
        name: String,
    },
    /// A role session, as AssumeRole makes them.
    AssumedRole {
        /// The role's name.
        role: String,
        /// The role's ARN, the "session issuer".
        role_arn: String,
        /// The role's unique id (`AROA...`).
        role_id: String,
        /// The session's name.
        session: String,
    },
    /// Headwater itself on behalf of a service, such as `events.amazonaws.com`.
    Service {
        /// The service's principal.
        principal: String,
    },
    /// Nobody: the call carried no signature and the operation allows that.
    Anonymous,
}

impl Caller {
    /// The account itself, by a key of its own.
    /// Source: <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_identifiers.html>
    pub fn root(account: &Account, access_key_id: &str) -> Caller {
        Caller {
            kind: CallerKind::Root,
            account: account.clone(),
            arn: format!("arn:aws:iam::{account}:root"),
            principal_id: account.to_string(),
            access_key_id: access_key_id.to_owned(),
        }
    }

    /// A service of the house acting for itself, such as `lambda.amazonaws.com`.
    pub fn service(account: &Account, principal: &str) -> Caller {
        Caller {
            kind: CallerKind::Service { principal: principal.to_owned() },
            account: account.clone(),
            arn: String::new(),
            principal_id: principal.to_owned(),
            access_key_id: String::new(),
        }
    }

    /// Whoever asks without a signature.
    pub fn anonymous(home: &Account) -> Caller {
        Caller {
            kind: CallerKind::Anonymous,
            account: home.clone(),
            arn: String::new(),
            principal_id: String::new(),
            access_key_id: String::new(),
        }
    }

    /// The user name CloudTrail shows at the top of `LookupEvents`: user, role session or `root`.
    pub fn display_name(&self) -> &str {
        match &self.kind {
            CallerKind::Root => "root",
            CallerKind::User { name } => name,
            CallerKind::AssumedRole { session, .. } => session,
            CallerKind::Service { principal } => principal,
            CallerKind::Anonymous => "anonymous",
        }
    }
}
