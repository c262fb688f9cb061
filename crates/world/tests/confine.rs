//! Children that are confined: what they see, whom they reach, how they end. This test is its own shim, so it has no
//! harness.
#![allow(clippy::unwrap_used)] // the lint knows tests by their attribute only

use std::io::{Read, Write};
use std::process::ExitCode;
use world::Processes;
use world::processes::{CHILD_ARGUMENT, Confinement, Exit, Limits, Offered, Reach, RealProcesses, Spawn, child_main};

fn main() -> ExitCode {
    if std::env::args().nth(1).as_deref() == Some(CHILD_ARGUMENT) {
        return child_main();
    }
    let processes = RealProcesses::with_shim(std::env::current_exe().unwrap());
    let offers = processes.offers();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let house = House { processes, offers };
        house.endings_are_told().await;
        house.a_program_that_cannot_start_is_an_error().await;
        house.system_calls_are_refused().await;
        if house.has("namespaces") {
            house.it_sees_what_it_was_promised().await;
            house.its_tmp_is_full_at_its_size().await;
            house.all_together_hold_no_more_than_they_may().await;
            house.nothing_is_inherited().await;
            house.the_whole_namespace_ends().await;
        }
        if house.has("network") {
            house.its_network_is_what_the_house_serves().await;
        }
    });
    println!("test result: ok");
    ExitCode::SUCCESS
}

struct House {
    processes: RealProcesses,
    offers: Offered,
}

fn shell(script: &str, confinement: Confinement) -> Spawn {
    Spawn {
        program: "sh".into(),
        args: vec!["-c".to_owned(), script.to_owned()],
        env: vec![("PATH".to_owned(), "/usr/local/bin:/usr/bin:/bin".to_owned())],
        cwd: "/".into(),
        limits: Limits { memory: Some(64 << 20), processes: Some(50), ..Limits::default() },
        confinement: Some(confinement),
        ..Spawn::default()
    }
}

fn small() -> Confinement {
    Confinement { tmp: 1 << 20, ..Confinement::default() }
}

impl House {
    fn has(&self, layer: &str) -> bool {
        let has = self.offers.held.iter().any(|held| held == layer);
        if !has {
            println!("skipped: this machine offers no {layer}: {:?}", self.offers.missing);
        }
        has
    }

    async fn run(&self, spawn: Spawn) -> (Exit, Vec<String>) {
        let mut child = self.processes.spawn(spawn).unwrap();
        child.ready().await.unwrap();
        let mut output = child.output();
        let mut lines = Vec::new();
        while let Some(line) = output.line().await {
            lines.push(line.text);
        }
        (child.wait().await.unwrap(), lines)
    }

    async fn endings_are_told(&self) {
        for (script, expected) in [
            ("exit 0", Exit::Code(0)),
            ("exit 137", Exit::Code(137)),
            ("kill -KILL $$", Exit::Signal(9)),
            ("kill -TERM $$", Exit::Signal(15)),
            ("kill -SEGV $$", Exit::Signal(11)),
        ] {
            assert_eq!(self.run(shell(script, small())).await.0, expected, "{script}");
        }
        let (exit, lines) = self.run(shell("echo a; echo b >&2; printf c", small())).await;
        assert_eq!((exit, lines), (Exit::Code(0), ["a", "b", "c"].map(str::to_owned).to_vec()));
    }

    /// Who has most in its `/tmp` goes, and nobody else.
    async fn all_together_hold_no_more_than_they_may(&self) {
        if !self.has("control groups") {
            return;
        }
        let spawn = |mb: u64| {
            let script =
                format!("dd if=/dev/zero of=/tmp/a bs=1M count={mb} 2>/dev/null; echo written; sleep 2; rm /tmp/a");
            let spawn = shell(&script, Confinement { tmp: 256 << 20, ..Confinement::default() });
            Spawn { limits: Limits { together: Some(128 << 20), ..spawn.limits }, ..spawn }
        };
        let (less, more) = tokio::join!(self.run(spawn(48)), self.run(spawn(96)));
        assert_eq!((less.0, more.0), (Exit::Code(0), Exit::OutOfMemory), "{:?} {:?}", less.1, more.1);
        let (less, more) = tokio::join!(self.run(spawn(40)), self.run(spawn(70)));
        assert_eq!((less.0, more.0), (Exit::Code(0), Exit::Code(0)), "{:?} {:?}", less.1, more.1);
    }

    async fn a_program_that_cannot_start_is_an_error(&self) {
        let missing = Spawn { program: "/no/such".into(), ..shell("", small()) };
        assert!(self.processes.spawn(missing).is_err());
        let mut child = self.processes.spawn(Spawn { cwd: "/no/such".into(), ..shell("", small()) }).unwrap();
        if self.offers.root {
            let why = child.ready().await.unwrap_err().to_string();
            assert!(why.contains("cannot start"), "{why}");
        }
        assert_eq!(child.wait().await.unwrap(), Exit::Code(127));
    }

    async fn system_calls_are_refused(&self) {
        if !self.has("seccomp") {
            return;
        }
        let script = "unshare --mount true || echo refused; mount -t tmpfs none /tmp || echo refused; \
                      grep -E '^(NoNewPrivs|Seccomp):' /proc/self/status";
        let (_, lines) = self.run(shell(script, small())).await;
        assert_eq!(lines.iter().filter(|line| *line == "refused").count(), 2, "{lines:?}");
        assert_eq!(lines[lines.len() - 2..], ["NoNewPrivs:\t1", "Seccomp:\t2"]);
    }

    async fn it_sees_what_it_was_promised(&self) {
        let dir = tempfile::tempdir().unwrap();
        let (shown, other) = (dir.path().join("shown"), dir.path().join("other"));
        for place in [&shown, &other] {
            std::fs::create_dir(place).unwrap();
            std::fs::OpenOptions::new().create_new(true).write(true).open(place.join("file")).unwrap();
        }
        let confinement = Confinement { sees: vec![(shown.clone(), "/var/task".into())], ..small() };
        let script = format!(
            "ls /var/task; ls {0} {1} 2>/dev/null; touch /var/task/new /usr/new /new 2>/dev/null; ls /var /home /root \
             2>/dev/null; ls /proc | grep -c '^[0-9]'; echo $$; id -u; grep -c : /etc/passwd; cat /etc/hosts",
            shown.display(),
            other.display()
        );
        let (_, lines) = self.run(shell(&script, confinement)).await;
        // `ls`, `grep` and the shell itself, and the first process of the namespace.
        let expected = ["file", "/var:", "task", "4", "2", "993", "2", "127.0.0.1 localhost"];
        assert_eq!(lines, expected);
        assert!(!shown.join("new").exists());
    }

    async fn its_tmp_is_full_at_its_size(&self) {
        let script = "dd if=/dev/zero of=/tmp/a bs=1k count=600 2>/dev/null && echo one; \
                      dd if=/dev/zero of=/tmp/b bs=1k count=600 2>&1 | grep -o 'No space left'; ls /tmp";
        let (_, lines) = self.run(shell(script, small())).await;
        assert_eq!(lines, ["one", "No space left", "a", "b"]);
        assert_eq!(self.run(shell("ls /tmp", small())).await.1, [""; 0], "the next one's is empty");
    }

    async fn nothing_is_inherited(&self) {
        // One that the standard library would not have left open for children.
        let (left, _other) = std::io::pipe().unwrap();
        rustix::io::fcntl_setfd(&left, rustix::io::FdFlags::empty()).unwrap();
        let (_, lines) = self.run(shell("ls /proc/$$/fd; cat /proc/1/environ; echo $HOME", small())).await;
        let numbers: Vec<&String> = lines.iter().filter(|line| line.parse::<u32>().is_ok()).collect();
        // A shell keeps one of its own beyond the usual three.
        assert!(numbers.len() <= 4, "{lines:?}");
        assert!(lines.iter().any(|line| line.contains("Permission denied")), "{lines:?}");
    }

    async fn the_whole_namespace_ends(&self) {
        let mut child = self.processes.spawn(shell("setsid sleep 1000 & echo on; exec sleep 1000", small())).unwrap();
        let mut output = child.output();
        assert_eq!(output.line().await.as_deref(), Some("on"));
        child.kill();
        assert_eq!(child.wait().await.unwrap(), Exit::Signal(9));
        assert_eq!(output.line().await, None, "whoever could write is gone");
    }

    async fn its_network_is_what_the_house_serves(&self) {
        let outside = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = outside.local_addr().unwrap().port();
        let confinement = Confinement { reach: Reach::Ports(vec![9001, 4566]), ..small() };
        let script = format!(
            "for port in 4566 {port}; do exec 3<>/dev/tcp/127.0.0.1/$port && read -r line <&3 && echo \"$port $line\"; done"
        );
        let bash = Spawn { program: "bash".into(), ..shell(&script, confinement) };
        let mut child = self.processes.spawn(bash).unwrap();
        let sockets = child.ready().await.unwrap();
        assert_eq!(sockets.iter().map(|s| s.local_addr().unwrap().port()).collect::<Vec<_>>(), [9001, 4566]);
        let endpoint = sockets.into_iter().nth(1).unwrap();
        let served = tokio::task::spawn_blocking(move || {
            let (mut asked, peer) = endpoint.accept().unwrap();
            asked.write_all(b"hello\n").unwrap();
            let _ = asked.read(&mut [0; 1]);
            peer
        });
        let mut output = child.output();
        assert_eq!(output.line().await.as_deref(), Some("4566 hello"));
        let refused = output.line().await.unwrap().text;
        assert!(refused.contains("refused"), "{refused}");
        assert!(!self.processes.is_child(served.await.unwrap()), "it is in another network");
        child.wait().await.unwrap();
    }
}
