//! Loops of functions that invoke themselves, seen by the lineage in the trace header: `Lineage=a87bd80c:1|68fd508a:5`,
//! how often each function of a chain was invoked. Pure.
//! <https://docs.aws.amazon.com/lambda/latest/dg/invocation-recursion.html>

use crate::limits;
use names::{Arn, TraceContext};

/// A chain of invocations with one more in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Lineage {
    /// What goes on with the chain.
    pub(crate) trace: TraceContext,
    /// How often the function was invoked in it, this time included.
    pub(crate) count: u32,
}

/// Adds an invocation of a function to the chain that a trace header tells of.
pub(crate) fn extend(trace: &TraceContext, function: &Arn) -> Lineage {
    let mut parts: Vec<&str> = trace.as_str().split(';').filter(|part| !part.is_empty()).collect();
    let told = parts.iter().find_map(|part| part.strip_prefix("Lineage=")).unwrap_or_default();
    // Clients that send the header on write what stands between two in their own way.
    let told = told.replace("%7C", "|");
    let entry = |text: &str| {
        let (id, count) = text.rsplit_once(':')?;
        Some((id.to_owned(), count.parse::<u32>().ok()?))
    };
    let mut chain: Vec<(String, u32)> = told.split('|').filter_map(entry).collect();
    let mine = id(function);
    let before = chain.iter().find(|(id, _)| *id == mine).map_or(0, |(_, count)| *count);
    let count = before.saturating_add(1);
    chain.retain(|(id, _)| *id != mine);
    chain.push((mine, count));
    // The header is bounded: who came first is forgotten first.
    chain.drain(..chain.len().saturating_sub(limits::LINEAGE));
    parts.retain(|part| !part.starts_with("Lineage="));
    let chain: Vec<String> = chain.iter().map(|(id, count)| format!("{id}:{count}")).collect();
    let text = format!("{};Lineage={}", parts.join(";"), chain.join("|"));
    Lineage { trace: TraceContext::from_header(&text).unwrap_or_else(|| trace.clone()), count }
}

/// A function's name in a lineage.
fn id(function: &Arn) -> String {
    let digest = ring::digest::digest(&ring::digest::SHA256, function.as_str().as_bytes());
    digest.as_ref()[..4].iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn invocations_are_counted_by_function_and_the_header_stays_short() {
        let arn = |i: usize| Arn::new("lambda", "us-east-1", "000000000000", &format!("function:f{i}"));
        let root =
            TraceContext::from_header("Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1");
        let mut lineage = extend(&root.unwrap(), &arn(0));
        assert_eq!(lineage.count, 1);
        assert!(
            lineage.trace.as_str().starts_with("Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;")
        );
        for count in 2..20 {
            lineage = extend(&lineage.trace, &arn(0));
            assert_eq!(lineage.count, count);
        }
        for i in 1..50 {
            lineage = extend(&lineage.trace, &arn(i));
            assert_eq!(lineage.count, 1);
        }
        assert!(lineage.trace.as_str().len() <= 256, "{}", lineage.trace.as_str());
        assert_eq!(extend(&lineage.trace, &arn(49)).count, 2);
    }

    #[test]
    fn nonsense_counts_as_nothing() {
        let trace = TraceContext::from_header("Root=1-1-1;Lineage=|:|a:b|x:99999999999").unwrap();
        let arn = Arn::new("lambda", "us-east-1", "000000000000", "function:f");
        assert_eq!(extend(&trace, &arn).count, 1);
    }
}
