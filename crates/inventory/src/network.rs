//! Addresses and names that look like those of a default VPC. No packet ever travels to them.
//! Source: <https://docs.aws.amazon.com/vpc/latest/userguide/default-vpc-components.html>

use crate::ids::stable;
use crate::state::Group;
use names::Home;
use std::collections::BTreeSet;
use std::net::Ipv4Addr;

/// The default VPC is 172.31.0.0/16.
const FIRST: u32 = 0xac1f_0000;
const SIZE: u32 = 1 << 16;

pub(crate) fn vpc(home: &Home) -> String {
    stable("vpc-", home.account.as_str())
}

pub(crate) fn subnet(home: &Home, zone: &str) -> String {
    stable("subnet-", &format!("{}{zone}", home.account))
}

pub(crate) fn default_group(home: &Home) -> Group {
    Group { id: stable("sg-", home.account.as_str()), name: "default".to_owned() }
}

/// `ip-172-31-0-4.ec2.internal`; elsewhere than in us-east-1 with the region's name.
/// Source: <https://docs.aws.amazon.com/vpc/latest/userguide/vpc-dns.html>
pub(crate) fn host_name(home: &Home, address: Ipv4Addr) -> String {
    let [a, b, c, d] = address.octets();
    match home.region.as_str() {
        "us-east-1" => format!("ip-{a}-{b}-{c}-{d}.ec2.internal"),
        region => format!("ip-{a}-{b}-{c}-{d}.{region}.compute.internal"),
    }
}

/// The next free address from `from` on (an offset into the VPC), going around; and the offset behind it.
pub(crate) fn next_free(from: u32, used: &BTreeSet<Ipv4Addr>) -> Option<(Ipv4Addr, u32)> {
    (0..SIZE).map(|step| from.wrapping_add(step) % SIZE).find_map(|offset| {
        let address = Ipv4Addr::from(FIRST + offset);
        // AWS keeps the first four addresses and the last one of every subnet; the smallest subnets are /28.
        let kept = matches!(offset % 256, 0..=3 | 255);
        (!kept && !used.contains(&address)).then_some((address, offset + 1))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_free_and_go_around() {
        let mut used = BTreeSet::new();
        let (first, next) = next_free(0, &used).unwrap();
        assert_eq!(first, Ipv4Addr::new(172, 31, 0, 4));
        used.insert(first);
        assert_eq!(next_free(0, &used).unwrap().0, Ipv4Addr::new(172, 31, 0, 5));
        assert_eq!(next_free(next, &used).unwrap().0, Ipv4Addr::new(172, 31, 0, 5));
        assert_eq!(next_free(SIZE - 1, &used).unwrap().0, Ipv4Addr::new(172, 31, 0, 5));
    }

    #[test]
    fn host_names_follow_the_region() {
        let mut home = Home::default();
        assert_eq!(host_name(&home, Ipv4Addr::new(172, 31, 0, 4)), "ip-172-31-0-4.ec2.internal");
        home.region = names::Region::parse("eu-west-1").unwrap();
        assert_eq!(host_name(&home, Ipv4Addr::new(172, 31, 0, 4)), "ip-172-31-0-4.eu-west-1.compute.internal");
    }
}
