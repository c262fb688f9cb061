//! `headwater tls-init`: a local certificate authority and a certificate signed by it.

use crate::cli::TlsArgs;
use crate::out::say;
use anyhow::{Context, Result, bail};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose};
use rustix::fs::Mode;
use std::path::Path;

pub fn run(args: &TlsArgs) -> Result<()> {
    let world = world::World::real();
    world.disk.create_dir(&args.dir).with_context(|| format!("cannot create {}", args.dir.display()))?;
    // What the house creates is private; clients of other users look for the authority here.
    rustix::fs::chmod(&args.dir, Mode::from_raw_mode(0o755))?;
    let path = |name: &str| args.dir.join(name);
    if world.disk.exists(&path("ca.pem")) {
        bail!("{} exists already; remove the directory to start anew", path("ca.pem").display());
    }
    let ca_key = KeyPair::generate()?;
    let mut ca = CertificateParams::new(Vec::new())?;
    ca.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    ca.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    ca.distinguished_name.push(DnType::CommonName, "Headwater local CA");
    let ca_cert = ca.self_signed(&ca_key)?;
    let key = KeyPair::generate()?;
    let mut leaf = CertificateParams::new(args.names.clone())?;
    leaf.distinguished_name.push(DnType::CommonName, args.names.first().map_or("localhost", String::as_str));
    let cert = leaf.signed_by(&key, &Issuer::new(ca, ca_key))?;
    write(&world, &path("key.pem"), &key.serialize_pem(), true)?;
    write(&world, &path("ca.pem"), &ca_cert.pem(), false)?;
    write(&world, &path("cert.pem"), &format!("{}{}", cert.pem(), ca_cert.pem()), false)?;
    say!("wrote {}, cert.pem and key.pem for {}", path("ca.pem").display(), args.names.join(", "));
    say!("serve:   headwater serve --tls-cert {0}/cert.pem --tls-key {0}/key.pem", args.dir.display());
    say!("clients: export AWS_CA_BUNDLE={} AWS_ENDPOINT_URL=https://localhost:4566", path("ca.pem").display());
    say!("The authority's own key was not kept: it can sign nothing else.");
    Ok(())
}

/// Others may read certificates, and nobody the key.
fn write(world: &world::World, path: &Path, text: &str, secret: bool) -> Result<()> {
    world.disk.replace(path, text.as_bytes()).with_context(|| format!("cannot write {}", path.display()))?;
    if !secret {
        rustix::fs::chmod(path, Mode::from_raw_mode(0o644))?;
    }
    Ok(())
}
