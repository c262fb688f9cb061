//! What a policy belongs to, and what it may say there.
//! Source: <https://docs.aws.amazon.com/IAM/latest/UserGuide/access_policies_identity-vs-resource.html>

use crate::PolicyError;

/// Kinds of policies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// That of a resource of a service, such as `sqs`: it names that service's actions only.
    Resource(&'static str),
    /// Who may assume a role: it names STS's actions and no resource, for the resource is the role.
    Trust,
    /// What a user or a role may do: it names resources and no principal, for the principal is who holds it.
    Identity,
}

impl Kind {
    /// Members that have no place in it.
    /// <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements.html>
    pub(crate) fn prohibited(self) -> &'static [&'static str] {
        match self {
            Kind::Resource(_) => &[],
            Kind::Trust => &["Resource", "NotResource", "NotPrincipal", "NotAction"],
            Kind::Identity => &["Principal", "NotPrincipal"],
        }
    }

    /// Whether it is IAM's own, which is stricter with names.
    pub(crate) fn is_iams(self) -> bool {
        !matches!(self, Kind::Resource(_))
    }

    pub(crate) fn check_action(self, text: &str) -> Result<(), PolicyError> {
        let split = text.split_once(':').filter(|(vendor, name)| !vendor.is_empty() && !name.is_empty());
        let of = |vendor: &str| split.is_some_and(|(given, _)| given.eq_ignore_ascii_case(vendor));
        let fine = match self {
            Kind::Resource(vendor) => text == "*" || of(vendor),
            Kind::Trust | Kind::Identity if text != "*" && split.is_none() => {
                return Err(PolicyError::NoVendor(text.to_owned()));
            }
            Kind::Trust => of("sts"),
            Kind::Identity if text.matches(':').count() > 1 => return Err(PolicyError::Colons(text.to_owned())),
            Kind::Identity => true,
        };
        if fine { Ok(()) } else { Err(PolicyError::Action(text.to_owned())) }
    }

    pub(crate) fn check_resource(self, text: &str) -> Result<(), PolicyError> {
        let fine = text == "*" || (text.starts_with("arn:") && text.splitn(6, ':').count() == 6);
        if fine || self != Kind::Identity { Ok(()) } else { Err(PolicyError::NoArn(text.to_owned())) }
    }

    pub(crate) fn check_sid(self, sid: &str) -> Result<(), PolicyError> {
        let fine = !self.is_iams() || sid.bytes().all(|b| b.is_ascii_alphanumeric());
        if fine { Ok(()) } else { Err(PolicyError::Sid(sid.to_owned())) }
    }

    pub(crate) fn check_key(self, key: &str) -> Result<(), PolicyError> {
        let fine = !self.is_iams() || key.contains(':');
        if fine { Ok(()) } else { Err(PolicyError::NoVendor(key.to_owned())) }
    }
}
