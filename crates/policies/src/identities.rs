//! Who exists: what those who keep policies and take on roles ask the registry of users and roles.

use names::Arn;

/// The registry, as others see it.
pub trait Identities: Send + Sync + 'static {
    /// Whether there is such a principal as policies name under `AWS`: an account, a user, a role, a session or a unique id.
    fn exists(&self, principal: &str) -> bool;
    /// Whether a role is there and lets a service such as `lambda.amazonaws.com` take it on, for a resource of the service
    /// where that is known already.
    fn trusts(&self, role: &Arn, service: &str, whose: Option<&Arn>) -> bool;
    /// The same, or why not.
    fn assume(&self, role: &Arn, service: &str, whose: Option<&Arn>) -> Result<(), String> {
        match self.trusts(role, service, whose) {
            true => Ok(()),
            false => Err(format!("The role {role} cannot be assumed by {service}.")),
        }
    }
}

/// The registry of a house that keeps none, such as those of tests: all are there and trust each service, but these.
#[derive(Debug, Clone, Copy, Default)]
pub struct AllBut(pub &'static [&'static str]);

impl Identities for AllBut {
    fn exists(&self, principal: &str) -> bool {
        !self.0.contains(&principal)
    }
    fn trusts(&self, role: &Arn, _: &str, _: Option<&Arn>) -> bool {
        self.exists(role.as_str())
    }
}
