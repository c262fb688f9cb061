use super::*;
use rustix::process::{Pid, test_kill_process};

fn shell(script: &str) -> Spawn {
    Spawn {
        program: "sh".into(),
        args: vec!["-c".to_owned(), script.to_owned()],
        env: vec![("PATH".to_owned(), "/usr/local/bin:/usr/bin:/bin".to_owned())],
        cwd: "/".into(),
        ..Spawn::default()
    }
}

fn limited(script: &str, limits: Limits) -> Spawn {
    Spawn { limits, ..shell(script) }
}

async fn run(processes: &RealProcesses, spawn: Spawn) -> (Exit, Vec<String>) {
    let mut child = processes.spawn(spawn).unwrap();
    let mut output = child.output();
    let mut lines = Vec::new();
    while let Some(line) = output.line().await {
        lines.push(line.text);
    }
    (child.wait().await.unwrap(), lines)
}

fn alive(pid: u32) -> bool {
    let state = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let zombie = state.rsplit_once(')').is_none_or(|(_, rest)| rest.trim_start().starts_with('Z'));
    !zombie && test_kill_process(Pid::from_raw(pid as i32).unwrap()).is_ok()
}

#[tokio::test]
async fn a_child_has_the_environment_given_and_no_other() {
    let (exit, lines) = run(&RealProcesses::new(), Spawn { program: "env".into(), args: vec![], ..shell("") }).await;
    assert_eq!(exit, Exit::Code(0));
    assert_eq!(lines, ["PATH=/usr/local/bin:/usr/bin:/bin"]);
}

#[tokio::test]
async fn codes_signals_and_merged_output_are_told() {
    let processes = RealProcesses::new();
    let (exit, lines) = run(&processes, shell("echo a; echo b >&2; echo c; exit 3")).await;
    assert_eq!((exit, lines), (Exit::Code(3), vec!["a".to_owned(), "b".to_owned(), "c".to_owned()]));
    let (exit, _) = run(&processes, shell("kill -TERM $$")).await;
    assert_eq!(exit, Exit::Signal(15));
}

#[tokio::test]
async fn a_missing_program_is_an_error_of_the_start() {
    for processes in [RealProcesses::new(), RealProcesses::with_shim("/proc/self/exe".into())] {
        let spawn = Spawn { program: "no-such-program".into(), ..shell("") };
        assert_eq!(processes.spawn(spawn).err().map(|e| e.kind()), Some(io::ErrorKind::NotFound));
    }
}

#[tokio::test]
async fn memory_has_a_limit() {
    // `tail` keeps the last line, and this one has no end.
    let hog = limited("exec tail /dev/zero", Limits { memory: Some(32 << 20), ..Limits::default() });
    let processes = RealProcesses::new();
    if processes.hierarchy_for_tests() {
        assert_eq!(run(&processes, hog.clone()).await.0, Exit::OutOfMemory);
    }
    // Without control groups the allocation fails, or the watch ends it: which comes first is up to the machine.
    let (exit, _) = run(&RealProcesses::without_groups(), hog).await;
    assert_ne!(exit, Exit::Code(0));
}

#[tokio::test]
async fn what_a_child_held_is_known_after_its_end() {
    let processes = RealProcesses::new();
    if !processes.hierarchy_for_tests() {
        return;
    }
    let limits = Limits { memory: Some(256 << 20), ..Limits::default() };
    let mut child = processes.spawn(limited("head -c 40000000 /dev/zero | tail >/dev/null; exit 3", limits)).unwrap();
    assert_eq!(child.wait().await.unwrap(), Exit::Code(3));
    // Kernels before 5.19 keep no count in the second version of control groups.
    let peak = child.peak_memory();
    assert!(peak == 0 && !std::path::Path::new("/sys/fs/cgroup/memory").exists() || peak >= 40_000_000, "{peak}");
}

#[tokio::test]
async fn a_fork_bomb_meets_its_limit_and_goes_with_its_child() {
    let processes = RealProcesses::new();
    if !processes.hierarchy_for_tests() {
        return;
    }
    let limits = Limits { processes: Some(20), ..Limits::default() };
    let script = "i=0; while [ $i -lt 40 ]; do sleep 1000 & i=$((i+1)); done; echo all";
    let (_, lines) = run(&processes, limited(script, limits)).await;
    assert!(lines.iter().any(|line| line.contains("ork")), "{lines:?}");
    assert!(!lines.contains(&"all".to_owned()), "{lines:?}");
}

#[tokio::test]
async fn a_dropped_child_takes_those_in_other_sessions_with_it() {
    let processes = RealProcesses::new();
    if !processes.hierarchy_for_tests() {
        return;
    }
    let mut child = processes.spawn(shell("setsid sh -c 'echo $$; exec sleep 1000' & sleep 1000")).unwrap();
    let grandchild: u32 = child.output().line().await.unwrap().parse().unwrap();
    assert!(alive(grandchild) && alive(child.pid()));
    child.kill();
    assert_eq!(child.wait().await.unwrap(), Exit::Signal(9));
    assert!(!alive(grandchild));
}

#[tokio::test]
async fn the_scratch_directory_comes_and_goes() {
    let dir = tempfile::tempdir().unwrap();
    let scratch = dir.path().join("a/b");
    let spawn = Spawn { scratch: Some(scratch.clone()), cwd: dir.path().into(), ..shell("echo x > a/b/c && ls a/b") };
    let (exit, lines) = run(&RealProcesses::new(), spawn).await;
    assert_eq!((exit, lines), (Exit::Code(0), vec!["c".to_owned()]));
    assert!(!scratch.exists());
}

#[tokio::test]
async fn a_writer_nobody_reads_waits() {
    let mut child = RealProcesses::new().spawn(shell("yes; echo never")).unwrap();
    let mut output = child.output();
    assert_eq!(output.line().await.as_deref(), Some("y"));
    assert!(output.written().len() < 100_000, "no more than a pipe holds");
    assert!(alive(child.pid()));
}

#[tokio::test]
async fn a_share_of_the_processor_without_groups_is_a_level_and_a_place() {
    let limits = Limits { processor: Some(500), ..Limits::default() };
    let script = "n=$(nice); echo begun; i=0; while [ $(nice) = $n ] && [ $i -lt 200 ]; do sleep 0.1; i=$((i+1)); done; nice; grep Cpus_allowed_list /proc/self/status";
    let mut child = RealProcesses::without_groups().spawn(limited(script, limits)).unwrap();
    let mut output = child.output();
    assert_eq!(output.line().await.as_deref(), Some("begun"));
    child.throttle();
    assert_eq!(output.line().await.as_deref(), Some("3"));
    let place = output.line().await.unwrap().text;
    assert!(place.trim_start_matches("Cpus_allowed_list:").trim().parse::<u32>().is_ok(), "{place}");
}

#[tokio::test]
async fn limits_without_groups_are_set_all_the_same() {
    let limits = Limits { open_files: Some(17), file_size: Some(1 << 20), ..Limits::default() };
    let (_, lines) = run(&RealProcesses::without_groups(), limited("ulimit -n; ulimit -f", limits)).await;
    assert_eq!(lines[0], "17");
    assert_ne!(lines[1], "unlimited");
}
