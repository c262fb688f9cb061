//! The runtimes by Lambda's names: which are served, and what stands in for those of the past.
//! Source: <https://docs.aws.amazon.com/lambda/latest/dg/lambda-runtimes.html>

/// What interprets a function's code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Runtime {
    /// `python2.7`, `python3.x`: the official runtime interface client on the installed Python, whatever its version.
    Python(String),
    /// `nodejs`, `nodejs22.x` and its like: a bootstrap of the house's own on the installed Node.js.
    Node(String),
    /// `java8`, `java21` and its like: a bootstrap of the house's own on the installed Java.
    Java(String),
    /// `provided`, `provided.al2`, `provided.al2023`: the executable `bootstrap` of the package.
    Provided(String),
    /// `go1.x`: the executable of the package that the handler names.
    Go(String),
}

/// A runtime that cannot be had here.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the runtime {0:?} is not served here; python, nodejs, java, go1.x, provided, provided.al2 and provided.al2023 are"
)]
pub struct UnknownRuntime(pub String);

/// Names that Lambda itself no longer takes for new functions.
/// Source: <https://docs.aws.amazon.com/lambda/latest/dg/lambda-runtimes.html#runtimes-deprecated>
const DEPRECATED: &[&str] = &[
    "go1.x",
    "java8",
    "nodejs",
    "nodejs4.3",
    "nodejs4.3-edge",
    "nodejs6.10",
    "nodejs8.10",
    "nodejs10.x",
    "nodejs12.x",
    "nodejs14.x",
    "nodejs16.x",
    "nodejs18.x",
    "provided",
    "python2.7",
    "python3.6",
    "python3.7",
    "python3.8",
    "python3.9",
];

impl Runtime {
    /// Parses a name of those that Lambda ever had; whether it had one is the model's matter.
    pub fn parse(name: &str) -> Result<Runtime, UnknownRuntime> {
        let owned = || name.to_owned();
        match name {
            "provided" | "provided.al2" | "provided.al2023" => Ok(Runtime::Provided(owned())),
            "go1.x" => Ok(Runtime::Go(owned())),
            _ if version(name, "python").is_some() => Ok(Runtime::Python(owned())),
            _ if name == "nodejs" || version(name, "nodejs").is_some() => Ok(Runtime::Node(owned())),
            _ if version(name, "java").is_some() => Ok(Runtime::Java(owned())),
            _ => Err(UnknownRuntime(owned())),
        }
    }

    /// The name it was parsed from.
    pub fn name(&self) -> &str {
        match self {
            Runtime::Python(name)
            | Runtime::Node(name)
            | Runtime::Java(name)
            | Runtime::Provided(name)
            | Runtime::Go(name) => name,
        }
    }

    /// Whether Lambda itself has given it up.
    pub fn is_deprecated(&self) -> bool {
        DEPRECATED.contains(&self.name())
    }

    /// What to tell who asked for this runtime and gets `installed`, such as `nodejs20.x`; nothing where it is the same.
    pub fn stood_in_by(&self, installed: &str) -> Option<String> {
        let asked = self.name();
        let own = version(asked, "java").map_or(asked, |v| asked.split_at("java".len() + v.len()).0);
        (own != installed).then(|| format!("functions of runtime {asked} run on {installed}, which is installed here"))
    }
}

/// The version in a name, such as `3.12` of `python3.12` or `20` of `nodejs20.x`.
fn version<'a>(name: &'a str, family: &str) -> Option<&'a str> {
    let rest = name.strip_prefix(family)?;
    let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
    let digits = rest[..end].trim_end_matches('.');
    let tail = &rest[digits.len()..];
    let known = matches!(tail, "" | ".x" | ".al2" | ".al2023" | "-edge");
    (known && digits.starts_with(|c: char| c.is_ascii_digit())).then_some(digits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_today_and_of_the_past() {
        for (name, family) in [
            ("python3.13", "Python"),
            ("python2.7", "Python"),
            ("nodejs", "Node"),
            ("nodejs4.3-edge", "Node"),
            ("nodejs8.10", "Node"),
            ("nodejs22.x", "Node"),
            ("java8.al2", "Java"),
            ("java21", "Java"),
            ("go1.x", "Go"),
            ("provided.al2023", "Provided"),
        ] {
            let runtime = Runtime::parse(name).unwrap();
            assert_eq!(runtime.name(), name);
            assert!(format!("{runtime:?}").starts_with(family), "{name}: {runtime:?}");
        }
        for name in ["ruby3.3", "dotnet8", "python", "python3.x.y", "nodejs20.z", "java", "custom", ""] {
            assert_eq!(Runtime::parse(name), Err(UnknownRuntime(name.to_owned())));
        }
    }

    #[test]
    fn who_stands_in_is_said() {
        let told = |asked: &str, installed: &str| Runtime::parse(asked).unwrap().stood_in_by(installed);
        assert_eq!(told("nodejs20.x", "nodejs20.x"), None);
        assert_eq!(told("java8.al2", "java8"), None);
        let text = told("nodejs6.10", "nodejs20.x").unwrap();
        assert!(text.contains("nodejs6.10") && text.contains("nodejs20.x"));
        assert!(Runtime::parse("python3.8").unwrap().is_deprecated());
        assert!(!Runtime::parse("python3.12").unwrap().is_deprecated());
    }
}
