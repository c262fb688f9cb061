//! What is asked: who would do what with which resource, and what else is known of it.
//! Source: <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-keys.html>

use crate::{Decision, Policy};
use names::{Account, Arn, Caller, CallerKind, Timestamp};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::OnceLock;

/// Who asks.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Who<'a> {
    /// A user, a role session, the account itself, or anybody.
    Caller(&'a Caller),
    /// A service in its own name, such as `events.amazonaws.com`.
    Service(&'a str),
    /// A service in the name of a role.
    Role(&'a Arn),
}

/// Condition keys in lower case, and their values.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Context(BTreeMap<String, Vec<String>>);

/// Who would do what.
#[derive(Debug, Clone, PartialEq)]
pub struct Request<'a> {
    pub(crate) who: Who<'a>,
    pub(crate) action: &'a str,
    pub(crate) resource: &'a str,
    owner: &'a Account,
    way: Way<'a>,
    more: Vec<(Cow<'a, str>, Cow<'a, str>)>,
    /// Made when a condition asks: most requests meet no policy at all.
    context: OnceLock<Context>,
}

/// How a request came.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Way<'a> {
    /// Nothing is said of it.
    Untold,
    /// A service sends, for a resource.
    Sent { source: Option<&'a Arn>, at: Timestamp },
    /// A caller asks.
    Asked { from: IpAddr, tls: bool, user_agent: &'a str, at: Timestamp },
}

/// Why somebody does not come in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// A statement denies it.
    Denied,
    /// No statement allows it, and whoever asks needs one that does.
    NotAllowed,
}

/// Whether somebody comes in. Identities of the account that owns the resource need no statement of its policy: what their
/// own policies say is not evaluated. Services in their own name, strangers and those who are nobody need one. There may be
/// no policy, one, or several, of which each may allow and each may deny.
pub fn admit<'p>(policies: impl IntoIterator<Item = &'p Policy>, request: &Request<'_>) -> Result<(), Refusal> {
    let mut allowed = request.is_at_home();
    for policy in policies {
        match policy.decide(request) {
            Decision::Allowed => allowed = true,
            Decision::Denied => return Err(Refusal::Denied),
            Decision::Open => {}
        }
    }
    if allowed { Ok(()) } else { Err(Refusal::NotAllowed) }
}

impl<'a> Who<'a> {
    /// A service, in the name of a role where it has one.
    pub fn service(principal: &'a str, role: Option<&'a Arn>) -> Who<'a> {
        role.map_or(Who::Service(principal), Who::Role)
    }

    /// The same, with callers that are services as such.
    pub(crate) fn inner(&self) -> Who<'a> {
        match self {
            Who::Caller(Caller { kind: CallerKind::Service { principal }, .. }) => Who::Service(principal),
            other => *other,
        }
    }

    fn shown(&self) -> &'a str {
        match self.inner() {
            Who::Service(principal) => principal,
            Who::Role(role) => role.as_str(),
            Who::Caller(caller) if caller.kind == CallerKind::Anonymous => "anonymous",
            Who::Caller(caller) => &caller.arn,
        }
    }
}

impl Context {
    pub(crate) fn with(mut self, key: &str, value: impl Into<String>) -> Context {
        self.0.entry(key.to_ascii_lowercase()).or_default().push(value.into());
        self
    }

    /// What is known of how a request came.
    fn of_way(self, way: Way<'_>) -> Context {
        let at = |context: Context, at: Timestamp| {
            context.with("aws:CurrentTime", at.iso_millis()).with("aws:EpochTime", at.secs().to_string())
        };
        match way {
            Way::Untold => self,
            Way::Sent { source, at: when } => {
                let context = at(self.with("aws:SecureTransport", "true"), when);
                let Some(source) = source else { return context };
                let context = context.with("aws:SourceArn", source.as_str());
                let account = source.account();
                if account.is_empty() { context } else { context.with("aws:SourceAccount", account) }
            }
            Way::Asked { from, tls, user_agent, at: when } => {
                let context = self.with("aws:SecureTransport", tls.to_string()).with("aws:SourceIp", from.to_string());
                let context = at(context, when).with("aws:ViaAWSService", "false");
                if user_agent.is_empty() { context } else { context.with("aws:UserAgent", user_agent) }
            }
        }
    }

    /// All values of a key in lower case.
    pub(crate) fn get(&self, key: &str) -> &[String] {
        self.0.get(key).map_or(&[], Vec::as_slice)
    }

    /// What is known of everybody.
    /// <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-keys.html#condition-keys-principal-properties>
    fn of(who: &Who<'_>) -> Context {
        let context = Context::default();
        let service = matches!(who.inner(), Who::Service(_));
        let context = context.with("aws:PrincipalIsAWSService", service.to_string());
        match who.inner() {
            Who::Service(principal) => context.with("aws:PrincipalServiceName", principal),
            Who::Role(role) => context
                .with("aws:PrincipalArn", role.as_str())
                .with("aws:PrincipalAccount", role.account())
                .with("aws:PrincipalType", "AssumedRole"),
            Who::Caller(caller) => {
                let (kind, arn, name) = match &caller.kind {
                    CallerKind::Root => ("Account", &caller.arn, None),
                    CallerKind::User { name } => ("User", &caller.arn, Some(name)),
                    CallerKind::AssumedRole { role_arn, .. } => ("AssumedRole", role_arn, None),
                    CallerKind::Service { .. } | CallerKind::Anonymous => {
                        return context.with("aws:PrincipalType", "Anonymous").with("aws:userid", "anonymous");
                    }
                };
                let context = context
                    .with("aws:PrincipalArn", arn.as_str())
                    .with("aws:PrincipalAccount", caller.account.as_str())
                    .with("aws:PrincipalType", kind)
                    .with("aws:userid", caller.principal_id.as_str());
                match name {
                    Some(name) => context.with("aws:username", name.as_str()),
                    None => context,
                }
            }
        }
    }
}

impl<'a> Request<'a> {
    /// Somebody would do this (`sqs:SendMessage`) with a resource that belongs to an account.
    pub fn new(who: Who<'a>, action: &'a str, resource: &'a str, owner: &'a Account) -> Request<'a> {
        Request { who, action, resource, owner, way: Way::Untold, more: Vec::new(), context: OnceLock::new() }
    }

    /// What a service sends: for which resource it does so, and that its hops are not to be listened to.
    #[must_use]
    pub fn sent(self, source: Option<&'a Arn>, at: Timestamp) -> Request<'a> {
        Request { way: Way::Sent { source, at }, ..self }
    }

    /// What a caller asks: from where, over which transport, with which program, and when.
    #[must_use]
    pub fn asked(self, from: IpAddr, tls: bool, user_agent: &'a str, at: Timestamp) -> Request<'a> {
        Request { way: Way::Asked { from, tls, user_agent, at }, ..self }
    }

    /// One more key; a key that is there already gets one more value.
    #[must_use]
    pub fn with(mut self, key: impl Into<Cow<'a, str>>, value: impl Into<Cow<'a, str>>) -> Request<'a> {
        self.more.push((key.into(), value.into()));
        self
    }

    pub(crate) fn context(&self) -> &Context {
        self.context.get_or_init(|| {
            let context = Context::of(&self.who).with("aws:ResourceAccount", self.owner.as_str());
            let context = context.of_way(self.way);
            self.more.iter().fold(context, |context, (key, value)| context.with(key, value.as_ref()))
        })
    }

    /// Whether an identity of the resource's own account asks.
    fn is_at_home(&self) -> bool {
        match self.who.inner() {
            Who::Service(_) => false,
            Who::Role(role) => role.account() == self.owner.as_str(),
            Who::Caller(caller) => caller.kind != CallerKind::Anonymous && caller.account == *self.owner,
        }
    }

    /// The refusal in AWS's words.
    /// <https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot_access-denied.html>
    pub fn refused(&self, refusal: Refusal) -> String {
        let (who, action) = (self.who.shown(), self.action);
        let why = match refusal {
            Refusal::Denied => "with an explicit deny in a resource-based policy".to_owned(),
            Refusal::NotAllowed => format!("because no resource-based policy allows the {action} action"),
        };
        format!("User: {who} is not authorized to perform: {action} on resource: {} {why}", self.resource)
    }
}
