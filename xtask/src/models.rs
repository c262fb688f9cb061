//! Fetches the public service models: the PyPI package botocore, pinned by version and hash, kept under `target/`.

use crate::layout;
use anyhow::{Context, Result, bail, ensure};
use flate2::read::GzDecoder;
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::fs;
use std::io::Read;
use std::path::PathBuf;
use std::process::Command;

pub const VERSION: &str = "1.44.5";
const SHA256: &str = "8f16a56d1dff125dd65322ae021efa7ba5195a6db5102b96862566055b748921";

/// The wheel with all models.
pub struct Models(zip::ZipArchive<fs::File>);

impl Models {
    pub fn open() -> Result<Models> {
        let wheel = fetch()?;
        let found = hex(&Sha256::digest(fs::read(&wheel)?));
        ensure!(found == SHA256, "{}: SHA-256 is {found}, expected {SHA256}", wheel.display());
        Ok(Models(zip::ZipArchive::new(fs::File::open(&wheel)?)?))
    }

    /// One service's model.
    pub fn read(&mut self, folder: &str, version: &str) -> Result<Value> {
        let name = format!("botocore/data/{folder}/{version}/service-2.json.gz");
        let file = self.0.by_name(&name).with_context(|| format!("botocore {VERSION} has no {name}"))?;
        let mut text = String::new();
        GzDecoder::new(file).read_to_string(&mut text)?;
        Ok(serde_json::from_str(&text)?)
    }
}

fn fetch() -> Result<PathBuf> {
    let dir = layout::root().join("target/models");
    let wheel = dir.join(format!("botocore-{VERSION}-py3-none-any.whl"));
    if wheel.exists() {
        return Ok(wheel);
    }
    fs::create_dir_all(&dir)?;
    println!("fetching botocore {VERSION} with pip");
    let status = Command::new("python3")
        .args(["-m", "pip", "download", "--quiet", "--no-deps", "--dest"])
        .arg(&dir)
        .arg(format!("botocore=={VERSION}"))
        .status()
        .context("python3 with pip is needed to fetch the service models")?;
    if !status.success() {
        bail!("pip could not download botocore {VERSION}");
    }
    Ok(wheel)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}
