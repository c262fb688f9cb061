/// Why a document is not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PolicyError {
    /// No JSON, or not an object; also where a member is there twice.
    #[error("The policy is not a JSON object: {0}.")]
    NotJson(String),
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
    /// Neither Allow nor Deny.
    #[error("Effect must be Allow or Deny.")]
    Effect,
    /// No principal, or both of its forms.
    #[error("A statement must have a Principal.")]
    NoPrincipal,
    /// A principal that cannot be.
    #[error("Invalid principal in policy: {0}.")]
    Principal(String),
    /// No action, or both of its forms.
    #[error("A statement must have an Action.")]
    NoAction,
    /// An action of another service.
    #[error("Policy statement action out of service scope: {0}.")]
    Action(String),
    /// No text where there must be one.
    #[error("{0} must be a text or a list of texts.")]
    NotText(&'static str),
    /// Both forms of the resource.
    #[error("A statement may have Resource or NotResource, not both.")]
    Resource,
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
