//! Runs `conformance/` with pytest: real boto3 and the real AWS CLI against the binary that cargo just built.
//!
//! The virtual environment is made once per content of `conformance/requirements.txt`, under `target/conformance`.

#![allow(clippy::disallowed_methods)] // a test harness starts programs and reads files

use std::path::{Path, PathBuf};
use std::process::Command;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).expect("two levels below the root").to_owned()
}

fn run(command: &mut Command, doing: &str) {
    let status = command.status().unwrap_or_else(|error| panic!("cannot {doing}: {error}"));
    assert!(status.success(), "could not {doing}: {status}");
}

/// The environment's Python.
fn python(target: &Path) -> PathBuf {
    let wanted = std::fs::read_to_string(root().join("conformance/requirements.txt")).expect("requirements.txt");
    let venv = target.join("conformance");
    let python = venv.join("bin/python");
    let marker = venv.join("requirements.installed");
    if std::fs::read_to_string(&marker).ok().as_deref() != Some(wanted.as_str()) {
        let _ = std::fs::remove_dir_all(&venv);
        let hint = "make a virtual environment (Debian: apt-get install python3-venv)";
        run(Command::new("python3").args(["-m", "venv"]).arg(&venv), hint);
        let install = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--requirement"];
        run(
            Command::new(&python).args(install).arg(root().join("conformance/requirements.txt")),
            "install the clients",
        );
        std::fs::write(&marker, wanted).expect("the environment can be written");
    }
    python
}

#[test]
fn real_clients_are_served() {
    let target = root().join("target");
    let python = python(&target);
    let mut pytest = Command::new(&python);
    pytest.args(["-m", "pytest", "-p", "no:cacheprovider", "--durations=5", "-q"]);
    pytest.args(std::env::var("HEADWATER_CONFORMANCE").iter().flat_map(|only| only.split_whitespace()));
    pytest.current_dir(root().join("conformance"));
    pytest.env("HEADWATER_BINARY", env!("CARGO_BIN_EXE_headwater"));
    pytest.env("HEADWATER_RUNTIMES", target.join("runtimes"));
    pytest.env("PATH", format!("{}:/usr/local/bin:/usr/bin:/bin", target.join("conformance/bin").display()));
    // The tests say what key, region and endpoint they mean; the person's own must not leak in.
    for (key, _) in std::env::vars().filter(|(key, _)| key.starts_with("AWS_")) {
        pytest.env_remove(key);
    }
    pytest.env("AWS_EC2_METADATA_DISABLED", "true").env("PYTHONDONTWRITEBYTECODE", "1");
    run(&mut pytest, "pass the conformance suite");
}
