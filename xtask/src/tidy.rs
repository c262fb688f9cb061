//! The house's rules that no compiler checks: the layer table of ARCHITECTURE.md, the length of files and functions,
//! the furniture of each `lib.rs`, and that documents name only paths that exist.
//!
//! Lengths are a ratchet: `xtask/tidy.allow` lists what is over and by how much; it may only shrink.

use crate::layout;
use anyhow::{Context, Result, bail};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

const FUNCTION_LINES: usize = 70;
const FILE_LINES: usize = 600;
const LIB_LINES: usize = 100;

/// Edges inside one layer that ARCHITECTURE.md allows in words.
const SIDEWAYS: &[(&str, &str)] = &[("wire", "world")];
/// Members that stand beside the layers.
const BESIDE: &[&str] = &["sim", "bench", "fuzz", "xtask"];

pub fn run() -> Result<()> {
    let mut wrong = layers()?;
    let allow = allowances()?;
    for file in sources()? {
        let text = fs::read_to_string(&file)?;
        let name = file.strip_prefix(layout::root())?.display().to_string();
        if !name.starts_with("crates/shapes/") {
            wrong.extend(lengths(&name, &text, &allow));
        }
    }
    wrong.extend(paths_in_documents()?);
    for line in &wrong {
        eprintln!("tidy: {line}");
    }
    if wrong.is_empty() { Ok(()) } else { bail!("{} things to tidy", wrong.len()) }
}

/// Every edge between crates of the house that the table in ARCHITECTURE.md does not allow.
fn layers() -> Result<Vec<String>> {
    let text = fs::read_to_string(layout::root().join("ARCHITECTURE.md"))?;
    let mut layer: BTreeMap<&str, u32> = BTreeMap::new();
    for row in text.lines().filter_map(|l| l.strip_prefix("| ")) {
        let mut cells = row.split('|').map(str::trim);
        let (Some(number), Some(names)) = (cells.next().and_then(|c| c.parse().ok()), cells.next()) else { continue };
        layer.extend(names.split_whitespace().map(|name| (name, number)));
    }
    let output = Command::new("cargo").args(["metadata", "--no-deps", "--format-version", "1"]).output()?;
    let metadata: serde_json::Value = serde_json::from_slice(&output.stdout).context("cargo metadata")?;
    let mut wrong = Vec::new();
    for package in metadata["packages"].as_array().into_iter().flatten() {
        let name = package["name"].as_str().unwrap_or_default();
        if BESIDE.contains(&name) {
            continue;
        }
        let Some(own) = layer.get(name) else {
            wrong.push(format!("{name} is not in ARCHITECTURE.md's table of layers"));
            continue;
        };
        let edges = package["dependencies"].as_array().into_iter().flatten();
        for edge in edges.filter(|e| !e["path"].is_null()).filter(|e| e["kind"].is_null()) {
            let to = edge["name"].as_str().unwrap_or_default();
            let below = layer.get(to).is_some_and(|l| l < own);
            if !below && !SIDEWAYS.contains(&(name, to)) {
                wrong.push(format!("{name} may not depend on {to}: dependencies point down only"));
            }
        }
    }
    Ok(wrong)
}

fn allowances() -> Result<BTreeMap<String, usize>> {
    let text = fs::read_to_string(layout::root().join("xtask/tidy.allow")).unwrap_or_default();
    let lines = text.lines().filter(|l| !l.starts_with('#') && !l.is_empty());
    lines
        .map(|line| {
            let (what, lines) = line.rsplit_once(' ').context("a line of tidy.allow is `WHAT LINES`")?;
            Ok((what.to_owned(), lines.parse()?))
        })
        .collect()
}

fn sources() -> Result<Vec<PathBuf>> {
    let output = Command::new("git").args(["ls-files", "--", "*.rs"]).current_dir(layout::root()).output()?;
    let names = String::from_utf8(output.stdout)?;
    Ok(names.lines().map(|n| layout::root().join(n)).filter(|p| p.exists()).collect())
}

fn lengths(name: &str, text: &str, allow: &BTreeMap<String, usize>) -> Vec<String> {
    let lines: Vec<&str> = text.lines().collect();
    let prod = lines.iter().position(|l| l.starts_with("#[cfg(test)]")).unwrap_or(lines.len());
    let is_test = name.contains("/tests/") || name.starts_with("sim/");
    let mut over = Vec::new();
    if name.ends_with("/lib.rs") && !text.starts_with("//!") {
        over.push(format!("{name} does not say what the crate is"));
    }
    let mut note = |what: String, found: usize, limit: usize| {
        let limit = allow.get(&what).copied().unwrap_or(limit);
        if found > limit {
            over.push(format!("{what} has {found} lines, {limit} allowed"));
        }
    };
    if !is_test {
        note(name.to_owned(), prod, FILE_LINES);
    }
    if name.ends_with("/lib.rs") {
        note(name.to_owned(), prod, LIB_LINES);
    }
    for (start, line) in lines.iter().enumerate() {
        let Some(function) = function_name(line) else { continue };
        let indent = &line[..line.len() - line.trim_start().len()];
        let end = lines[start..].iter().position(|l| l.strip_prefix(indent).is_some_and(|l| l.starts_with('}')));
        if let Some(length) = end {
            note(format!("{name} fn {function}"), length, FUNCTION_LINES);
        }
    }
    over
}

fn function_name(line: &str) -> Option<&str> {
    let mut rest = line.trim_start();
    if rest.starts_with("//") || line.trim_end().ends_with([';', '}']) {
        return None;
    }
    for word in ["pub(crate) ", "pub(super) ", "pub ", "const ", "async "] {
        rest = rest.strip_prefix(word).unwrap_or(rest);
    }
    let name = rest.strip_prefix("fn ")?;
    name.find(['(', '<']).map(|end| &name[..end])
}

/// Paths in backticks that look like files of the repository must exist.
fn paths_in_documents() -> Result<Vec<String>> {
    let mut wrong = Vec::new();
    for name in ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "FORMATS.md"] {
        let Ok(text) = fs::read_to_string(layout::root().join(name)) else {
            wrong.push(format!("{name} is missing"));
            continue;
        };
        for quoted in text.split('`').skip(1).step_by(2) {
            let looks = ["crates/", "docs/", "sim/", "bench/", "conformance/", "xtask/", "examples/"];
            if looks.iter().any(|l| quoted.starts_with(l))
                && !quoted.contains(['*', ' ', '<', '{'])
                && !Path::new(&layout::root()).join(quoted.trim_end_matches('/')).exists()
            {
                wrong.push(format!("{name} names {quoted}, which does not exist"));
            }
        }
    }
    Ok(wrong)
}
