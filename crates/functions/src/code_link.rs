//! Links to packages: whoever has one gets the zip file, for a while.
//! <https://docs.aws.amazon.com/lambda/latest/api/API_FunctionCodeLocation.html>

use crate::code::ZIP;
use crate::functions::Functions;
use crate::limits;
use bytes::Bytes;
use names::Timestamp;
use ring::hmac;
use world::World;

/// Below this path of the house's own the packages are.
pub const BELOW: &str = "/_headwater/code/";

/// Signs links and knows its own. Its key dies with the process, and its links with it.
pub(crate) struct Signer(hmac::Key);

impl Signer {
    pub(crate) fn new(world: &World) -> Signer {
        let mut key = [0; 32];
        world.entropy.fill(&mut key);
        Signer(hmac::Key::new(hmac::HMAC_SHA256, &key))
    }

    fn text(id: &str, expires: i64) -> String {
        format!("{id} {expires}")
    }

    /// What a link to `id` asks for.
    fn query(&self, id: &str, expires: i64) -> String {
        let tag = hmac::sign(&self.0, Signer::text(id, expires).as_bytes());
        let tag: String = tag.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
        format!("expires={expires}&signature={tag}")
    }

    /// Whether a link is one of ours and still good.
    fn knows(&self, id: &str, query: &str, now: Timestamp) -> bool {
        let (mut expires, mut signature) = (0, Vec::new());
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            match &*name {
                "expires" => expires = value.parse().unwrap_or(0),
                "signature" => signature = bytes_of(&value).unwrap_or_default(),
                _ => {}
            }
        }
        now.secs() < expires && hmac::verify(&self.0, Signer::text(id, expires).as_bytes(), &signature).is_ok()
    }
}

/// What hexadecimal digits say.
fn bytes_of(hex: &str) -> Option<Vec<u8>> {
    let digits: Vec<u8> = hex.chars().map(|c| c.to_digit(16).map(|d| d as u8)).collect::<Option<_>>()?;
    Some(digits.chunks(2).map(|pair| pair.iter().fold(0, |byte, digit| byte << 4 | digit)).collect())
}

impl Functions {
    /// A link to a package, where its zip file was kept.
    pub(crate) fn code_link(&self, id: &str) -> Option<String> {
        if !self.zip_of(id).is_file() {
            return None;
        }
        let expires = self.world.now().plus(limits::CODE_LINK).secs();
        let query = self.signer.query(id, expires);
        Some(format!("{}{BELOW}{id}?{query}", self.endpoint().unwrap_or_default()))
    }

    fn zip_of(&self, id: &str) -> std::path::PathBuf {
        self.shelf.path(id).with_extension(ZIP)
    }

    /// The package that a request's path and query lead to: `None` where the path is none of a package, an error where the
    /// link is not good.
    pub async fn package(&self, path: &str, query: Option<&str>) -> Option<Result<Bytes, &'static str>> {
        let id = path.strip_prefix(BELOW)?;
        if !self.signer.knows(id, query.unwrap_or_default(), self.world.now()) {
            return Some(Err("Request has expired"));
        }
        // What is swept while it is read stays there for who reads it.
        Some(tokio::fs::read(self.zip_of(id)).await.map(Bytes::from).map_err(|_| "The package is gone"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn links_are_good_for_one_package_and_for_a_while() {
        let (world, _) = World::simulated(1);
        let signer = Signer::new(&world);
        let at = |secs: i64| Timestamp::from_millis(secs * 1000);
        let query = signer.query("ab", 1000);
        assert!(signer.knows("ab", &query, at(999)));
        assert!(!signer.knows("ab", &query, at(1000)), "it has expired");
        assert!(!signer.knows("ac", &query, at(999)), "it is another package's");
        assert!(!signer.knows("ab", &query.replace("1000", "2000"), at(999)), "the time is signed, too");
        for nonsense in ["", "expires=2000", "expires=2000&signature=zz", "expires=2000&signature="] {
            assert!(!signer.knows("ab", nonsense, at(1)), "{nonsense}");
        }
    }
}
