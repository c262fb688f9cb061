//! How the process of a function is kept to itself, and how it reaches the two it may talk to all the same: its Runtime
//! API and the endpoint.
//!
//! In a network of its own both are sockets in there which this program serves. Where there is none, the Runtime API is
//! a port of this machine, and the kernel tells whether it is the function's own process that calls it.

use super::api::RuntimeApi;
use super::executor::Network;
use super::sandbox::House;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use world::net::{HttpService, Listen};
use world::processes::Reach;
use world::{BoxFuture, Stage};

/// Where the Runtime API is in a network of its own; elsewhere where the endpoint has that port.
const API_PORTS: [u16; 2] = [9001, 9002];
/// Thousandths of a processor for a MB of memory: 1,769 MB are one.
/// Source: <https://docs.aws.amazon.com/lambda/latest/dg/configuration-memory.html>
const MB_OF_A_PROCESSOR: u64 = 1769;

/// How one process is kept to itself.
pub(super) struct Isolation {
    /// It has a root of its own.
    pub(super) rooted: bool,
    /// It has a network of its own, in which nobody but itself can call anything.
    pub(super) apart: bool,
    /// Whom it reaches; `None`: it is not confined.
    pub(super) reach: Option<Reach>,
    /// Where its Runtime API is.
    pub(super) api: SocketAddr,
    /// What it lacks here, in words for who runs the house.
    pub(super) missing: Vec<String>,
    serving: Vec<BoxFuture<'static, ()>>,
    runtime_api: Arc<RuntimeApi>,
}

impl Isolation {
    /// Decides for a function that finds the house at `endpoint`.
    pub(super) fn of(house: &House, endpoint: &str, runtime_api: RuntimeApi) -> io::Result<Isolation> {
        let (offers, options) = (house.world.processes.offers(), &house.options);
        let confined = options.confined && offers.any;
        let apart = confined && offers.network && options.network == Network::Endpoint;
        let endpoint = port(endpoint);
        let loopback = |port: u16| SocketAddr::from(([127, 0, 0, 1], port));
        let mut isolation = Isolation {
            rooted: confined && offers.root,
            apart,
            reach: None,
            api: loopback(API_PORTS[usize::from(endpoint == Some(API_PORTS[0]))]),
            missing: if options.confined { offers.missing } else { Vec::new() },
            serving: Vec::new(),
            runtime_api: Arc::new(runtime_api),
        };
        if !apart {
            // It must outlive the drain of invocations.
            let stop = house.world.tasks.stop(Stage::Store);
            let listen = Listen { address: loopback(0), tls: None };
            let (api, serving) = house.world.net.serve(listen, isolation.runtime_api.clone(), stop)?;
            (isolation.api, isolation.serving) = (api, vec![serving]);
        }
        isolation.reach = confined.then(|| match options.network {
            Network::All => Reach::All,
            Network::Endpoint => {
                let endpoint = endpoint.filter(|_| !apart || house.door.get().is_some());
                Reach::Ports([isolation.api.port()].into_iter().chain(endpoint).collect())
            }
        });
        Ok(isolation)
    }

    /// Serves the sockets of the process' own network, if it has one. What comes back is to be awaited while it lives.
    pub(super) fn serve(&mut self, house: &House, sockets: Vec<TcpListener>) -> io::Result<BoxFuture<'static, ()>> {
        let door = house.door.get().map(|door| (door.service.clone(), door.tls.clone()));
        let api: (Arc<dyn HttpService>, _) = (self.runtime_api.clone(), None);
        for (socket, (service, tls)) in sockets.into_iter().zip([api].into_iter().chain(door)) {
            let stop = house.world.tasks.stop(Stage::Store);
            self.serving.push(house.world.net.serve_on(socket, tls, service, stop)?);
        }
        let mut serving = std::mem::take(&mut self.serving);
        Ok(Box::pin(std::future::poll_fn(move |context| {
            serving.retain_mut(|one| one.as_mut().poll(context).is_pending());
            if serving.is_empty() { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
        })))
    }
}

/// The share of a processor, in thousandths, that a function with so much memory gets.
pub(super) fn processor(memory_mb: u64) -> u64 {
    (memory_mb * 1000 / MB_OF_A_PROCESSOR).max(1)
}

/// The port of the house's address.
fn port(endpoint: &str) -> Option<u16> {
    let address: http::Uri = endpoint.parse().ok()?;
    let usual = if address.scheme_str() == Some("https") { 443 } else { 80 };
    Some(address.port_u16().unwrap_or(usual))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_follow_memory() {
        assert_eq!([128, 1769, 10_240].map(processor), [72, 1000, 5788]);
    }

    #[test]
    fn the_port_of_an_endpoint_is_known() {
        for (endpoint, expected) in
            [("http://127.0.0.1:4566", Some(4566)), ("https://[::1]:8443", Some(8443)), ("https://house", Some(443))]
        {
            assert_eq!(port(endpoint), expected);
        }
        assert_eq!(port(""), None);
    }
}
