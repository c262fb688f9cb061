//! Children started through a binary of our own: this test is that binary, so it has no harness.
#![allow(clippy::unwrap_used)] // the lint knows tests by their attribute only

use std::io::{BufRead, BufReader};
use std::process::ExitCode;
use world::Processes;
use world::processes::{Exit, Limits, RealProcesses, Spawn, child_main};

fn main() -> ExitCode {
    match std::env::args().nth(1).as_deref() {
        Some("__child") => child_main(),
        Some("dying-parent") => die_with_a_child(),
        _ => {
            limits_hold_from_the_first_instruction();
            a_child_dies_with_its_parent();
            println!("test result: ok. 2 passed");
            ExitCode::SUCCESS
        }
    }
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

fn processes() -> RealProcesses {
    RealProcesses::with_shim(std::env::current_exe().unwrap())
}

fn shell(script: &str) -> Spawn {
    Spawn {
        program: "sh".into(),
        args: vec!["-c".to_owned(), script.to_owned(), "an argument with \"quotes\"".to_owned()],
        env: vec![("PATH".to_owned(), "/usr/local/bin:/usr/bin:/bin".to_owned())],
        cwd: "/tmp".into(),
        scratch: None,
        limits: Limits { open_files: Some(33), memory: Some(64 << 20), ..Limits::default() },
        confinement: None,
    }
}

fn limits_hold_from_the_first_instruction() {
    runtime().block_on(async {
        let processes = processes();
        let script = "ulimit -n; grep NoNewPrivs /proc/self/status; pwd; echo \"$0\"; cat /proc/self/cgroup; exit 5";
        let mut child = processes.spawn(shell(script)).unwrap();
        let mut output = child.output();
        let mut lines = Vec::new();
        while let Some(line) = output.line().await {
            lines.push(line.text);
        }
        assert_eq!(child.wait().await.unwrap(), Exit::Code(5), "{lines:?}");
        assert_eq!(lines[..4], ["33", "NoNewPrivs:\t1", "/tmp", "an argument with \"quotes\""]);
        if processes.enforcement().starts_with("control groups") {
            let house = format!("headwater-{}", std::process::id());
            assert!(lines[4..].iter().any(|line| line.contains(&house)), "{lines:?}");
        }
    });
}

fn die_with_a_child() -> ExitCode {
    let runtime = runtime();
    runtime.block_on(async {
        let processes = processes();
        let mut child = processes.spawn(shell("echo $$; exec sleep 1000")).unwrap();
        println!("{}", child.output().line().await.unwrap().text);
        // No destructor runs: as if killed.
        std::process::abort()
    })
}

#[allow(clippy::disallowed_methods)] // the parent must die, so it cannot be a child that the port watches
fn a_child_dies_with_its_parent() {
    let mut parent = std::process::Command::new(std::env::current_exe().unwrap())
        .arg("dying-parent")
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(parent.stdout.take().unwrap()).read_line(&mut line).unwrap();
    assert!(!parent.wait().unwrap().success());
    let status = format!("/proc/{}/status", line.trim());
    let gone = (0..2000).any(|_| {
        std::thread::sleep(std::time::Duration::from_millis(5));
        std::fs::read_to_string(&status).map_or(true, |status| status.contains("State:\tZ"))
    });
    assert!(gone, "the child outlives its parent");
    // The next server clears what the dead one left.
    processes().enforcement();
    let left = format!("/sys/fs/cgroup/pids/headwater-{}", parent.id());
    assert!(!std::path::Path::new(&left).exists(), "{left}");
}
