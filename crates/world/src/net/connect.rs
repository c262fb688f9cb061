use super::{Connection, SendError};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

pub(super) async fn connect(host: &str, port: u16, timeout: Duration) -> Result<Connection, SendError> {
    let stream = match tokio::time::timeout(timeout, TcpStream::connect((host, port))).await {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => return Err(SendError::Connect(format!("{host}:{port}: {error}"))),
        Err(_) => return Err(SendError::Timeout(timeout)),
    };
    // Requests are small and wait for answers.
    let _ = stream.set_nodelay(true);
    Ok(Box::new(stream))
}

pub(super) async fn secure(
    connection: Connection,
    host: &str,
    authority: Option<&[u8]>,
    timeout: Duration,
) -> Result<Connection, SendError> {
    let other = |error: &dyn std::fmt::Display| SendError::Other(format!("tls: {error}"));
    let name = ServerName::try_from(host.to_owned()).map_err(|error| other(&error))?;
    let config = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| other(&error))?
        .with_root_certificates(roots(authority)?)
        .with_no_client_auth();
    let handshake = TlsConnector::from(Arc::new(config)).connect(name, connection);
    match tokio::time::timeout(timeout, handshake).await {
        Ok(Ok(stream)) => Ok(Box::new(stream)),
        Ok(Err(error)) => Err(other(&error)),
        Err(_) => Err(SendError::Timeout(timeout)),
    }
}

fn roots(authority: Option<&[u8]>) -> Result<RootCertStore, SendError> {
    let mut roots = RootCertStore::empty();
    let Some(pem) = authority else {
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        return Ok(roots);
    };
    for certificate in CertificateDer::pem_slice_iter(pem) {
        let added =
            certificate.map_err(|error| error.to_string()).and_then(|c| roots.add(c).map_err(|e| e.to_string()));
        added.map_err(|error| SendError::Other(format!("the authority's certificate: {error}")))?;
    }
    Ok(roots)
}
