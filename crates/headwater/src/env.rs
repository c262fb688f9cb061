//! `headwater env`: for `eval "$(headwater env)"`.

use crate::cli::ClientArgs;
use crate::out::say;
use anyhow::Result;

pub fn run(args: &ClientArgs) -> Result<()> {
    say!("export AWS_ENDPOINT_URL={}", quoted(&args.endpoint));
    say!("export AWS_ACCESS_KEY_ID={}", quoted(&args.access_key_id));
    say!("export AWS_SECRET_ACCESS_KEY={}", quoted(&args.secret_access_key));
    say!("export AWS_REGION={0}\nexport AWS_DEFAULT_REGION={0}", quoted(&args.region));
    if let Some(bundle) = args.ca_bundle.as_ref().filter(|bundle| !bundle.is_empty()) {
        say!("export AWS_CA_BUNDLE={}", quoted(&bundle.to_string_lossy()));
    }
    say!("unset AWS_SESSION_TOKEN AWS_PROFILE");
    Ok(())
}

/// Quoted for a POSIX shell where it needs to be.
fn quoted(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:@%+,".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        text.to_owned()
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn quotes_only_what_needs_it() {
        assert_eq!(super::quoted("http://127.0.0.1:4566"), "http://127.0.0.1:4566");
        assert_eq!(super::quoted("a'b c"), r"'a'\''b c'");
    }
}
