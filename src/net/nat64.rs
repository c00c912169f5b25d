//! IPv4 addresses on networks without IPv4, through NAT64: finds the prefix of the network (RFC 7050) and embeds
//! addresses in it (RFC 6052), as RFC 8305 section 7.1 requires for address literals.
//!
//! ```text
//!   look up ipv4only.arpa ──► 64:ff9b::c000:aa ──► prefix 64:ff9b::/96 ──► 203.0.113.1 = 64:ff9b::cb00:7101
//! ```

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::options;

/// The name whose addresses show the prefix: a resolver with DNS64 invents IPv6 addresses for it.
pub const NAME: &str = "ipv4only.arpa";

/// Its real addresses (RFC 7050 section 2.2).
const WELL_KNOWN: [Ipv4Addr; 2] = [Ipv4Addr::new(192, 0, 0, 170), Ipv4Addr::new(192, 0, 0, 171)];

/// The lengths of prefixes in bytes (RFC 6052 section 2.2), the usual one first.
const LENGTHS: [usize; 6] = [12, 8, 7, 6, 5, 4];

/// An address outside of every network of its own, with the well-known prefix (RFC 6052 section 2.1).
const GLOBAL: SocketAddr =
    SocketAddr::new(IpAddr::V6(Ipv6Addr::new(0x64, 0xFF9B, 0, 0, 0, 0, 0xC000, 0xAA)), 9);

/// The byte of an address that stays zero (RFC 6052 section 2.2).
const RESERVED: usize = 8;

/// Returns whether the network has no route to any of these IPv4 addresses, but one for IPv6. Sends nothing.
pub fn may_be_needed(peers: &[SocketAddr]) -> bool {
    let has_route = |peer| options::source_address(peer).is_ok();
    !peers.is_empty() && peers.iter().all(|peer| peer.is_ipv4() && !has_route(*peer)) && has_route(GLOBAL)
}

/// Returns the IPv6 addresses under which the network reaches these IPv4 addresses, from the addresses of
/// [`NAME`]. Empty without NAT64.
pub fn synthesise(found: &[SocketAddr], peers: &[SocketAddr]) -> Vec<SocketAddr> {
    let mut prefixes = Vec::new();
    for address in found {
        if let SocketAddr::V6(address) = address
            && let Some(prefix) = prefix_of(*address.ip())
            && !prefixes.contains(&prefix)
        {
            prefixes.push(prefix);
        }
    }
    let embedded = peers.iter().flat_map(|peer| {
        prefixes.iter().filter_map(|(prefix, len)| match peer {
            SocketAddr::V4(peer) => Some(SocketAddr::from((embed(*peer.ip(), *prefix, *len), peer.port()))),
            SocketAddr::V6(_) => None,
        })
    });
    embedded.collect()
}

/// The prefix of an address of [`NAME`], and its length in bytes.
fn prefix_of(address: Ipv6Addr) -> Option<([u8; 16], usize)> {
    let octets = address.octets();
    let len = LENGTHS.into_iter().find(|len| WELL_KNOWN.contains(&embedded(&octets, *len)))?;
    let mut prefix = [0; 16];
    prefix[..len].copy_from_slice(&octets[..len]);
    Some((prefix, len))
}

/// The positions of the four bytes of the IPv4 address.
fn positions(len: usize) -> impl Iterator<Item = usize> {
    (len..).filter(|at| *at != RESERVED).take(4)
}

fn embedded(octets: &[u8; 16], len: usize) -> Ipv4Addr {
    let mut address = [0; 4];
    for (byte, at) in address.iter_mut().zip(positions(len)) {
        *byte = octets[at];
    }
    address.into()
}

fn embed(address: Ipv4Addr, mut prefix: [u8; 16], len: usize) -> Ipv6Addr {
    for (byte, at) in address.octets().into_iter().zip(positions(len)) {
        prefix[at] = byte;
    }
    prefix.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn synthesised(found: &[&str]) -> Vec<String> {
        let found: Vec<SocketAddr> = found.iter().map(|ip| SocketAddr::new(ip.parse().unwrap(), 0)).collect();
        let peers = [SocketAddr::from(([192, 0, 2, 33], 9001))];
        synthesise(&found, &peers).iter().map(SocketAddr::to_string).collect()
    }

    #[test]
    fn addresses_are_embedded_as_in_the_table_of_rfc_6052() {
        // Section 2.4, with 192.0.0.170 and 192.0.0.171 in the addresses that a resolver returns.
        for (found, expected) in [
            ("2001:db8:c000:aa::", "[2001:db8:c000:221::]:9001"),
            ("2001:db8:1c0:0:aa::", "[2001:db8:1c0:2:21::]:9001"),
            ("2001:db8:122:c000:0:aa00::", "[2001:db8:122:c000:2:2100::]:9001"),
            ("2001:db8:122:3c0:0:aa::", "[2001:db8:122:3c0:0:221::]:9001"),
            ("2001:db8:122:344:c0:0:aa00::", "[2001:db8:122:344:c0:2:2100:0]:9001"),
            ("2001:db8:122:344::c000:ab", "[2001:db8:122:344::c000:221]:9001"),
            ("64:ff9b::c000:aa", "[64:ff9b::c000:221]:9001"),
        ] {
            assert_eq!(synthesised(&[found]), [expected], "{found}");
        }
    }

    #[test]
    fn prefixes_are_used_once_each_and_only_where_there_are_some() {
        assert_eq!(
            synthesised(&["192.0.0.170", "64:ff9b::c000:aa", "64:ff9b::c000:ab", "2001:db8::c000:aa"]),
            ["[64:ff9b::c000:221]:9001", "[2001:db8::c000:221]:9001"]
        );
        assert_eq!(synthesised(&["192.0.0.170", "192.0.0.171"]), [""; 0]);
        assert_eq!(synthesised(&["2001:db8::1"]), [""; 0], "a resolver that answers everything");
    }

    #[test]
    fn network_with_a_route_needs_no_nat64() {
        assert!(!may_be_needed(&["127.0.0.1:9".parse().unwrap()]));
        assert!(!may_be_needed(&["[::1]:9".parse().unwrap()]));
        assert!(!may_be_needed(&[]));
    }
}
