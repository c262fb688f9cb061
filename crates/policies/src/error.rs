/// Why a document is not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PolicyError {
    /// No JSON; also where a member is there twice.
    #[error("The policy is not a JSON object: {0}.")]
    NotJson(String),
    /// Another JSON value than an object.
    #[error("The policy is not a JSON object: it is another value.")]
    NotObject,
    /// A version that does not exist.
    #[error("Version must be 2008-10-17 or 2012-10-17.")]
    Version,
    /// No statement.
    #[error("A policy must have a Statement.")]
    NoStatement,
    /// A member that the language does not have.
    #[error("{0} is not a member of policies.")]
    Member(String),
    /// Two statements of one name.
    #[error("Statement ids must be unique: {0} is there twice.")]
    SidTwice(String),
    /// An id that IAM does not take.
    #[error("Statement ids are made of letters and digits: {0} is not.")]
    Sid(String),
    /// A member that has no place in a policy of this kind.
    #[error("{0} has no place in this kind of policy.")]
    Prohibited(&'static str),
    /// Both forms of a member.
    #[error("A statement may have {0} or Not{0}, not both.")]
    Both(&'static str),
    /// No effect.
    #[error("A statement must have an Effect.")]
    NoEffect,
    /// Neither Allow nor Deny.
    #[error("Effect must be Allow or Deny.")]
    Effect,
    /// No principal.
    #[error("A statement must have a Principal.")]
    NoPrincipal,
    /// A principal that cannot be.
    #[error("Invalid principal in policy: {0}.")]
    Principal(String),
    /// A principal that is not there: a kind and a name, such as `"AWS":"arn:aws:iam::000000000000:role/gone"`.
    #[error("Invalid principal in policy: {0}.")]
    NoSuchPrincipal(String),
    /// No action.
    #[error("A statement must have an Action.")]
    NoAction,
    /// An action of another service.
    #[error("Policy statement action out of service scope: {0}.")]
    Action(String),
    /// An action or a condition key without a service before it.
    #[error("{0} must begin with a service and a colon.")]
    NoVendor(String),
    /// An action with more than one colon.
    #[error("{0} may have one colon only.")]
    Colons(String),
    /// No text where there must be one.
    #[error("{0} must be a text or a list of texts.")]
    NotText(&'static str),
    /// No resource where there must be one.
    #[error("A statement must have a Resource.")]
    NoResource,
    /// A resource that is no ARN.
    #[error("Resource {0} must be an ARN or a star.")]
    NoArn(String),
    /// A condition of another shape.
    #[error("Condition must be a JSON object of operators, keys and values.")]
    Condition,
    /// An operator that is not known.
    #[error("{0} is not a condition operator.")]
    Operator(String),
    /// A value that an operator cannot use.
    #[error("{value} is not a value for {operator}.")]
    Value {
        /// The operator.
        operator: String,
        /// The value.
        value: String,
    },
    /// A variable that does not end, or has no name.
    #[error("{0} has a policy variable that cannot be read.")]
    Variable(String),
}
