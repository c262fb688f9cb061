//! What a resource policy lets others do with a function, a version or an alias. Identities of the account that owns it come
//! in anyway; services in their own name, and whoever has no name, need a statement.
//! <https://docs.aws.amazon.com/lambda/latest/dg/access-control-resource-based.html>

use crate::called::Found;
use crate::functions::Functions;
use crate::state::{LATEST, State};
use delivery::Envelope;
use names::Caller;
use policies::{Policy, PolicyError, Request, Who};
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// Whose actions a statement names.
pub(crate) const VENDOR: &str = "lambda";
/// What others ask for.
const INVOKE: &str = "lambda:InvokeFunction";
const INVOKE_URL: &str = "lambda:InvokeFunctionUrl";

/// The policy that statements make; nothing where there is none.
pub(crate) fn policy(statements: &BTreeMap<String, String>) -> Result<Option<Policy>, PolicyError> {
    if statements.is_empty() {
        return Ok(None);
    }
    let read = |text: &String| serde_json::from_str(text).map_err(|error| PolicyError::NotJson(error.to_string()));
    let statements = statements.values().map(read).collect::<Result<Vec<Value>, _>>()?;
    let mut document = Map::new();
    document.insert("Version".to_owned(), Value::from("2012-10-17"));
    document.insert("Statement".to_owned(), Value::Array(statements));
    Policy::parse(&Value::Object(document).to_string(), VENDOR).map(Some)
}

/// The policy of a function, or of a version or an alias, which have their own. One that no longer reads lets nobody in.
fn kept(state: &State, function: &str, qualifier: Option<&str>) -> Option<Policy> {
    let statements = match qualifier.filter(|qualifier| *qualifier != LATEST) {
        Some(qualifier) => state.door(function, Some(qualifier)).map(|door| &door.permissions),
        None => state.functions.get(function).map(|function| &function.permissions),
    };
    policy(statements?).transpose().map(|read| Policy::kept(read, VENDOR, &function))
}

impl Functions {
    /// Whether another service may hand over an event. Who comes with a role comes as the account.
    pub(crate) fn admit(&self, found: &Found, envelope: &Envelope) -> Result<(), String> {
        let policy = self.catalog.read(|state| kept(state, &found.function.name, found.qualifier.as_deref()));
        let who = Who::service(&envelope.principal, envelope.role.as_ref());
        let request = Request::new(who, INVOKE, found.arn.as_str(), &self.home.account);
        let request = request.sent(envelope.from.as_ref(), self.world.now());
        policies::admit(policy.as_ref(), &request).map_err(|why| request.refused(why))
    }

    /// Whether somebody may ask a function's URL: whoever signed, or anybody. Without a statement AWS refuses the latter
    /// even where nothing has to be signed.
    /// <https://docs.aws.amazon.com/lambda/latest/dg/urls-auth.html>
    pub(crate) fn admit_to_url(&self, function: &str, qualifier: Option<&str>, signed: Option<&Caller>) -> bool {
        let policy = self.catalog.read(|state| kept(state, function, qualifier));
        let qualifier = qualifier.filter(|qualifier| *qualifier != LATEST);
        let suffix = qualifier.map_or_else(String::new, |qualifier| format!(":{qualifier}"));
        let arn = self.home.arn("lambda", &format!("function:{function}{suffix}"));
        let nobody = Caller::anonymous(&self.home.account);
        let kind = if signed.is_some() { "AWS_IAM" } else { "NONE" };
        let request =
            Request::new(Who::Caller(signed.unwrap_or(&nobody)), INVOKE_URL, arn.as_str(), &self.home.account)
                .with("lambda:FunctionUrlAuthType", kind)
                .with("lambda:InvokedViaFunctionUrl", "true");
        policies::admit(policy.as_ref(), &request).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statements_make_a_policy() {
        let statement = r#"{"Sid":"s","Effect":"Allow","Principal":{"Service":"sns.amazonaws.com"},"Action":"lambda:InvokeFunction"}"#;
        let of = |text: &str| policy(&[("s".to_owned(), text.to_owned())].into());
        assert_eq!(policy(&BTreeMap::new()), Ok(None));
        assert!(of(statement).unwrap().unwrap().has("s"));
        assert!(matches!(of(&statement.replace("sns.amazonaws.com", "sns")), Err(PolicyError::Principal(_))));
        assert!(matches!(of("{"), Err(PolicyError::NotJson(_))));
    }
}
