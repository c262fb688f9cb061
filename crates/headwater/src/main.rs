//! The `headwater` program: command line, configuration, sockets and the wiring table.

#![allow(unreachable_pub, missing_docs)] // a program: nothing in it is public

mod app;
mod cli;
mod client;
mod config;
mod demo;
mod env;
mod explain;
mod out;
mod plan;
mod serve;
mod status;
mod tail;
mod tls;
mod wiring;

use clap::Parser;
use cli::{Cli, Command};
use std::process::ExitCode;

fn main() -> ExitCode {
    // A child of ours on its way to become a function: it sets its own limits, then becomes the program.
    if std::env::args().nth(1).as_deref() == Some(world::processes::CHILD_ARGUMENT) {
        return world::processes::child_main();
    }
    let cli = Cli::parse();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("error: cannot start the async runtime: {error}");
            return ExitCode::FAILURE;
        }
    };
    let result = runtime.block_on(async {
        match cli.command {
            Command::Serve(args) => serve::run(args).await,
            Command::Demo(args) => demo::run(args).await,
            Command::Env(args) => env::run(&args),
            Command::Plan(args) => plan::run(&args).await,
            Command::Tail(args) => tail::run(args).await,
            Command::Status(args) => status::run(args).await,
            Command::TlsInit(args) => tls::run(&args),
            Command::Explain(args) => return Ok(explain::run(&args)),
        }
        .map(|()| ExitCode::SUCCESS)
    });
    // Blocking reads of a closed connection must not hold the exit back.
    runtime.shutdown_timeout(std::time::Duration::from_millis(200));
    match result {
        Ok(code) => match out::failure() {
            None => code,
            Some(why) => {
                eprintln!("error: cannot print: {why}");
                ExitCode::FAILURE
            }
        },
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
