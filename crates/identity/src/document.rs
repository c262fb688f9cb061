//! Policy documents, read by the house's one reader and refused in IAM's own words.
//! Source: <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_grammar.html>

use policies::{Policy, PolicyError};

/// What is wrong with a document, as `MalformedPolicyDocument` says it.
pub(crate) type Complaint = String;

const SYNTAX: &str = "Syntax errors in policy.";
const ONLY_STS: &str = "AssumeRole policy may only specify STS AssumeRole actions.";

/// A document for users, roles and managed policies: it names resources and no principal.
pub(crate) fn check_identity(text: &str) -> Result<(), Complaint> {
    Policy::parse_identity(text).map(drop).map_err(|error| match error {
        PolicyError::Prohibited(_) => "Policy document should not specify a principal.".to_owned(),
        other => complaint(&other),
    })
}

/// A trust policy: it names principals and no resource, and allows STS actions only.
pub(crate) fn check_trust(text: &str) -> Result<Policy, Complaint> {
    Policy::parse_trust(text).map_err(|error| match error {
        PolicyError::Action(_) | PolicyError::Prohibited("NotAction") => ONLY_STS.to_owned(),
        PolicyError::Prohibited("NotResource") => complaint(&PolicyError::Prohibited("Resource")),
        other => complaint(&other),
    })
}

/// The words are those that IAM is seen to answer with. What it says of JSON with a member twice is not known.
pub(crate) fn complaint(error: &PolicyError) -> Complaint {
    let fixed = match error {
        PolicyError::NotJson(_) => "This policy contains invalid Json",
        PolicyError::Version => "Policy document must be version 2012-10-17 or greater.",
        PolicyError::SidTwice(_) => "Statement IDs (SID) in a single policy must be unique.",
        PolicyError::Sid(_) => {
            "Statement IDs (SID) must be alpha-numeric. Check that your input satisfies the regular expression [0-9A-Za-z]*"
        }
        PolicyError::NoEffect => "Missing required field Effect",
        PolicyError::NoPrincipal => "Missing required field Principal",
        PolicyError::NoAction => "Policy statement must contain actions.",
        PolicyError::NoResource => "Policy statement must contain resources.",
        PolicyError::NoVendor(_) => "Actions/Conditions must be prefaced by a vendor, e.g., iam, sdb, ec2, etc.",
        PolicyError::Colons(_) => "Actions/Condition can contain only one colon.",
        PolicyError::Prohibited(name) => return format!("Has prohibited field {name}"),
        PolicyError::Principal(name) | PolicyError::NoSuchPrincipal(name) => {
            return format!("Invalid principal in policy: {name}");
        }
        PolicyError::NoArn(resource) => return format!("Resource {resource} must be in ARN format or \"*\"."),
        PolicyError::NotObject
        | PolicyError::NoStatement
        | PolicyError::Member(_)
        | PolicyError::Effect
        | PolicyError::Both(_)
        | PolicyError::Action(_)
        | PolicyError::NotText(_)
        | PolicyError::Condition
        | PolicyError::Operator(_)
        | PolicyError::Value { .. }
        | PolicyError::Variable(_) => SYNTAX,
    };
    fixed.to_owned()
}

/// A document's length as IAM counts it: white space aside.
pub(crate) fn size(text: &str) -> usize {
    text.chars().filter(|c| !c.is_whitespace()).count()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn identity_documents_are_checked_in_iams_words() {
        let check = |text: &str| check_identity(text).err().unwrap_or_default();
        let good = r#"{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"ec2:*","Resource":"*"}}"#;
        assert_eq!(check(good), "");
        assert_eq!(check("{"), "This policy contains invalid Json");
        assert_eq!(check("{}"), "Syntax errors in policy.");
        assert_eq!(check(&good.replace("2012", "2015")), "Policy document must be version 2012-10-17 or greater.");
        assert_eq!(check(&good.replace("Allow", "Permit")), "Syntax errors in policy.");
        assert_eq!(
            check(&good.replace("ec2:*", "ec2")),
            "Actions/Conditions must be prefaced by a vendor, e.g., iam, sdb, ec2, etc."
        );
        assert_eq!(check(&good.replace(r#","Resource":"*""#, "")), "Policy statement must contain resources.");
        assert_eq!(check(&good.replace(r#""*""#, r#""x""#)), "Resource x must be in ARN format or \"*\".");
        let principal = good.replace(r#""Effect""#, r#""Principal":"*","Effect""#);
        assert_eq!(check(&principal), "Policy document should not specify a principal.");
        let condition = |of: &str| check(&good.replace(r#""Effect""#, &format!(r#""Condition":{of},"Effect""#)));
        assert_eq!(condition(r#"{"StringEquals":{"aws:username":"a"}}"#), "");
        assert_eq!(condition(r#"{"StringMatches":{"aws:username":"a"}}"#), "Syntax errors in policy.");
        assert_eq!(check(&good.replace("ec2:*", "ec2:a:b")), "Actions/Condition can contain only one colon.");
        assert_eq!(check(&good.replace(r#""ec2:*""#, "[]")), "Policy statement must contain actions.");
    }

    #[test]
    fn trust_policies_are_checked_in_iams_words() {
        let check = |text: &str| check_trust(text).err().unwrap_or_default();
        let good = r#"{"Statement":[{"Effect":"Allow","Action":"sts:AssumeRole","Principal":{"Service":"lambda.amazonaws.com"}}]}"#;
        assert_eq!(check(good), "");
        assert_eq!(
            check(&good.replace("sts:AssumeRole", "ec2:Run")),
            "AssumeRole policy may only specify STS AssumeRole actions."
        );
        assert_eq!(
            check(&good.replace(r#""Service":"lambda.amazonaws.com""#, r#""AWS":"alice""#)),
            r#"Invalid principal in policy: "AWS":"alice""#
        );
        assert_eq!(check(&good.replace(r#""Effect""#, r#""Resource":"*","Effect""#)), "Has prohibited field Resource");
        assert_eq!(check(&good.replace(r#""Effect":"Allow","#, "")), "Missing required field Effect");
        assert_eq!(
            check(&good.replace(r#","Principal":{"Service":"lambda.amazonaws.com"}"#, "")),
            "Missing required field Principal"
        );
    }

    proptest! {
        #[test]
        fn no_text_panics(text in ".{0,200}") {
            let _ = check_identity(&text);
            let _ = check_trust(&text);
        }
    }
}
