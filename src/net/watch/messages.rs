//! Messages of rtnetlink(7): addresses and default routes, as byte strings that identify them.

use libc::{RTM_DELADDR, RTM_DELROUTE, RTM_NEWADDR, RTM_NEWROUTE};

/// The length of `struct nlmsghdr`: length, type, flags, sequence number and port.
const HEADER: usize = 16;
/// The length of `struct ifaddrmsg`, then of `struct rtmsg`.
const ADDRESS: usize = 8;
const ROUTE: usize = 12;
/// Messages and attributes are aligned to this.
const ALIGNMENT: usize = 4;

/// An address or a default route was added or removed.
#[derive(Debug, PartialEq, Eq)]
pub struct Message {
    /// Identifies the address or the route.
    pub entry: Box<[u8]>,
    pub is_new: bool,
    /// Part of a dump: it describes the state and is no change.
    pub is_dump: bool,
}

/// A request for all addresses, or all routes.
pub fn dump_request(message_type: u16) -> [u8; HEADER + 1] {
    let mut request = [0; HEADER + 1];
    request[0..4].copy_from_slice(&(HEADER as u32 + 1).to_ne_bytes());
    request[4..6].copy_from_slice(&message_type.to_ne_bytes());
    let flags = (libc::NLM_F_REQUEST | libc::NLM_F_DUMP) as u16;
    request[6..8].copy_from_slice(&flags.to_ne_bytes());
    // The last byte is the address family: any.
    request
}

/// Calls `handle` for each relevant message of a datagram. Stops at one that is malformed.
pub fn for_each(mut datagram: &[u8], mut handle: impl FnMut(Message)) {
    while datagram.len() >= HEADER {
        let len = u32_at(datagram, 0) as usize;
        let Some(message) = datagram.get(HEADER..len) else { return };
        let message_type = u16_at(datagram, 4);
        let entry = match message_type {
            RTM_NEWADDR | RTM_DELADDR => address(message),
            RTM_NEWROUTE | RTM_DELROUTE => default_route(message),
            _ => None,
        };
        if let Some(entry) = entry {
            let is_dump = u16_at(datagram, 6) & libc::NLM_F_MULTI as u16 != 0;
            let is_new = matches!(message_type, RTM_NEWADDR | RTM_NEWROUTE);
            handle(Message { entry, is_new, is_dump });
        }
        datagram = datagram.get(len.next_multiple_of(ALIGNMENT)..).unwrap_or_default();
    }
}

/// Interface and address. None for loopback and link-local addresses, which lead to no server elsewhere.
fn address(message: &[u8]) -> Option<Box<[u8]>> {
    let head = message.get(..ADDRESS)?;
    if head[3] >= libc::RT_SCOPE_LINK {
        return None;
    }
    let mut entry = vec![b'a'];
    entry.extend_from_slice(&head[4..8]);
    let attributes = Attributes(&message[ADDRESS..]);
    // Of a point-to-point link, IFA_ADDRESS is the other side.
    let own = attributes.find(libc::IFA_LOCAL).or_else(|| attributes.find(libc::IFA_ADDRESS))?;
    entry.extend_from_slice(own);
    Some(entry.into())
}

/// Family, table, interface, gateway and priority of a default route.
fn default_route(message: &[u8]) -> Option<Box<[u8]>> {
    let head = message.get(..ROUTE)?;
    let (destination_len, kind) = (head[1], head[7]);
    if destination_len != 0 || kind != libc::RTN_UNICAST {
        return None;
    }
    let mut entry = vec![b'r', head[0], head[4]];
    let attributes = Attributes(&message[ROUTE..]);
    for attribute in [libc::RTA_OIF, libc::RTA_GATEWAY, libc::RTA_PRIORITY] {
        entry.extend_from_slice(attributes.find(attribute).unwrap_or_default());
        entry.push(0);
    }
    Some(entry.into())
}

/// A list of attributes: length, type, value.
struct Attributes<'a>(&'a [u8]);

impl<'a> Attributes<'a> {
    fn find(&self, attribute_type: u16) -> Option<&'a [u8]> {
        let mut rest = self.0;
        while rest.len() >= ALIGNMENT {
            let len = u16_at(rest, 0) as usize;
            let value = rest.get(ALIGNMENT..len)?;
            if u16_at(rest, 2) == attribute_type {
                return Some(value);
            }
            rest = rest.get(len.next_multiple_of(ALIGNMENT)..)?;
        }
        None
    }
}

/// The caller has checked the length.
fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_ne_bytes([bytes[at], bytes[at + 1]])
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_ne_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(message_type: u16, flags: i32, head: &[u8], attributes: &[(u16, &[u8])]) -> Vec<u8> {
        let mut body = head.to_vec();
        for (attribute_type, value) in attributes {
            body.extend((value.len() as u16 + 4).to_ne_bytes());
            body.extend(attribute_type.to_ne_bytes());
            body.extend(*value);
            body.resize(body.len().next_multiple_of(4), 0);
        }
        let mut bytes = ((HEADER + body.len()) as u32).to_ne_bytes().to_vec();
        bytes.extend(message_type.to_ne_bytes());
        bytes.extend((flags as u16).to_ne_bytes());
        bytes.resize(HEADER, 0);
        bytes.extend(body);
        bytes
    }

    fn parsed(datagram: &[u8]) -> Vec<(Vec<u8>, bool, bool)> {
        let mut seen = Vec::new();
        for_each(datagram, |message| seen.push((message.entry.to_vec(), message.is_new, message.is_dump)));
        seen
    }

    const GLOBAL: [u8; 8] = [2, 24, 0, 0, 7, 0, 0, 0];

    #[test]
    fn addresses_and_default_routes_are_found() {
        let own: &[(u16, &[u8])] = &[(libc::IFA_ADDRESS, &[10, 0, 0, 9]), (libc::IFA_LOCAL, &[10, 0, 0, 1])];
        let mut datagram = message(RTM_NEWADDR, 0, &GLOBAL, own);
        datagram.extend(message(RTM_DELADDR, libc::NLM_F_MULTI, &GLOBAL, own));
        let route = [2, 0, 0, 0, 254, 3, 0, 1, 0, 0, 0, 0];
        datagram.extend(message(RTM_NEWROUTE, 0, &route, &[(libc::RTA_GATEWAY, &[10, 0, 0, 9])]));
        let address = [&b"a"[..], &GLOBAL[4..], &[10, 0, 0, 1]].concat();
        let route = [&[b'r', 2, 254, 0][..], &[10, 0, 0, 9, 0, 0]].concat();
        assert_eq!(
            parsed(&datagram),
            [(address.clone(), true, false), (address, false, true), (route, true, false)]
        );
    }

    #[test]
    fn other_messages_are_ignored() {
        let link_local = [10, 64, 0, libc::RT_SCOPE_LINK, 7, 0, 0, 0];
        assert_eq!(parsed(&message(RTM_NEWADDR, 0, &link_local, &[(libc::IFA_ADDRESS, &[1; 16])])), []);
        let route_to_a_network = [2, 24, 0, 0, 254, 3, 0, 1, 0, 0, 0, 0];
        assert_eq!(parsed(&message(RTM_NEWROUTE, 0, &route_to_a_network, &[])), []);
        assert_eq!(parsed(&message(libc::RTM_NEWLINK, 0, &[0; 16], &[])), []);
    }

    #[test]
    fn malformed_messages_are_not_read_beyond_their_end() {
        let whole = message(RTM_NEWADDR, 0, &GLOBAL, &[(libc::IFA_LOCAL, &[10, 0, 0, 1])]);
        for len in 0..whole.len() {
            assert_eq!(parsed(&whole[..len]), [], "{len}");
        }
        for (at, byte) in (0..whole.len()).flat_map(|at| [(at, 0), (at, 1), (at, 0xFF)]) {
            let mut damaged = whole.clone();
            damaged[at] = byte;
            // Must neither panic nor loop forever.
            let _ = parsed(&damaged);
        }
    }
}
