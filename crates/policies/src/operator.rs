//! The operators of conditions.
//! Source: <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_condition_operators.html>

use crate::PolicyError;
use crate::request::Context;
use crate::text::{Mark, Reading, Template, fits, fits_any_case, fits_arn};
use crate::value::{Network, number, time, truth};
use names::Timestamp;
use std::cmp::Ordering;

/// Values of a policy, made ready for their operator.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Operands {
    Text(How, Vec<Template>),
    Number(Order, Vec<f64>),
    Time(Order, Vec<Timestamp>),
    Truth(Vec<bool>),
    Network(Vec<Network>),
    Bytes(Vec<String>),
}

/// How texts are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum How {
    Exact,
    AnyCase,
    Arn,
}

/// How numbers and times are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Order {
    Same,
    Less,
    LessOrSame,
    Greater,
    GreaterOrSame,
}

/// An operator with its values.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Operator {
    /// Whether it holds where no value fits.
    pub(crate) negated: bool,
    operands: Operands,
}

impl Operator {
    /// `name` is without `IfExists` and what stands before its colon.
    pub(crate) fn parse(name: &str, values: &[String], variables: bool) -> Result<Operator, PolicyError> {
        let negated = name.contains("Not");
        let each = |read: &dyn Fn(&str) -> bool| match values.iter().find(|value| !read(value)) {
            Some(bad) => Err(PolicyError::Value { operator: name.to_owned(), value: bad.clone() }),
            None => Ok(()),
        };
        let texts = |how, wild| {
            let parse = |value: &String| Template::parse(value, Reading { wild, variables });
            Ok::<_, PolicyError>(Operands::Text(how, values.iter().map(parse).collect::<Result<_, _>>()?))
        };
        let operands = match name {
            "StringEquals" | "StringNotEquals" => texts(How::Exact, false)?,
            "StringEqualsIgnoreCase" | "StringNotEqualsIgnoreCase" => texts(How::AnyCase, false)?,
            "StringLike" | "StringNotLike" => texts(How::Exact, true)?,
            // Of ARNs, "Equals" and "Like" behave identically.
            "ArnEquals" | "ArnNotEquals" | "ArnLike" | "ArnNotLike" => {
                // One that no ARN can ever be like would look like a denial and be none.
                each(&|value| value == "*" || value.contains("${") || value.split(':').count() >= 6)?;
                texts(How::Arn, true)?
            }
            "Bool" => {
                each(&|value| truth(value).is_some())?;
                Operands::Truth(values.iter().filter_map(|value| truth(value)).collect())
            }
            "BinaryEquals" => Operands::Bytes(values.to_vec()),
            "IpAddress" | "NotIpAddress" => {
                each(&|value| Network::parse(value).is_some())?;
                Operands::Network(values.iter().filter_map(|value| Network::parse(value)).collect())
            }
            _ => {
                let unknown = || PolicyError::Operator(name.to_owned());
                if let Some(order) = name.strip_prefix("Numeric") {
                    let order = Order::parse(order).ok_or_else(unknown)?;
                    each(&|value| number(value).is_some())?;
                    Operands::Number(order, values.iter().filter_map(|value| number(value)).collect())
                } else {
                    let order = name.strip_prefix("Date").and_then(Order::parse).ok_or_else(unknown)?;
                    each(&|value| time(value).is_some())?;
                    Operands::Time(order, values.iter().filter_map(|value| time(value)).collect())
                }
            }
        };
        Ok(Operator { negated, operands })
    }

    /// Whether one of the policy's values fits this one; nothing where that hangs on a variable without a value.
    pub(crate) fn fits(&self, actual: &str, context: &Context) -> Option<bool> {
        Some(match &self.operands {
            Operands::Text(how, templates) => return how.any(templates, actual, context),
            Operands::Number(order, values) => {
                number(actual).is_some_and(|actual| values.iter().any(|value| order.holds(actual.partial_cmp(value))))
            }
            Operands::Time(order, values) => {
                time(actual).is_some_and(|actual| values.iter().any(|value| order.holds(Some(actual.cmp(value)))))
            }
            Operands::Truth(values) => truth(actual).is_some_and(|actual| values.contains(&actual)),
            Operands::Network(values) => {
                actual.parse().is_ok_and(|actual| values.iter().any(|network| network.has(actual)))
            }
            Operands::Bytes(values) => values.iter().any(|value| value == actual),
        })
    }
}

impl How {
    fn any(self, templates: &[Template], actual: &str, context: &Context) -> Option<bool> {
        let mut open = false;
        for template in templates {
            match template.fill(context) {
                Some(pattern) if self.fits(&pattern, actual) => return Some(true),
                Some(_) => {}
                None => open = true,
            }
        }
        (!open).then_some(false)
    }

    fn fits(self, pattern: &[Mark], actual: &str) -> bool {
        match self {
            How::Exact => fits(pattern, actual),
            How::AnyCase => fits_any_case(pattern, actual),
            How::Arn => fits_arn(pattern, actual),
        }
    }
}

impl Order {
    fn parse(name: &str) -> Option<Order> {
        Some(match name {
            "Equals" | "NotEquals" => Order::Same,
            "LessThan" => Order::Less,
            "LessThanEquals" => Order::LessOrSame,
            "GreaterThan" => Order::Greater,
            "GreaterThanEquals" => Order::GreaterOrSame,
            _ => return None,
        })
    }

    fn holds(self, order: Option<Ordering>) -> bool {
        order.is_some_and(|order| match self {
            Order::Same => order.is_eq(),
            Order::Less => order.is_lt(),
            Order::LessOrSame => order.is_le(),
            Order::Greater => order.is_gt(),
            Order::GreaterOrSame => order.is_ge(),
        })
    }
}
