//! What routers do with packets, as rules for nftables.

use std::fmt::Write as _;
use std::net::Ipv4Addr;

use super::kind::{Egress, Filtering, Mapping, Nat, V6};
use super::plan::{INNER_DEVICE, OUTER_DEVICE};

/// How long an address that was sent to may answer: RFC 4787 asks for two minutes at least (REQ-5) and recommends five.
const CONTACTED_FOR: &str = "5m";

/// What one router does.
#[derive(Clone, Copy, Debug)]
pub(super) struct RouterRules {
    /// Its NAT, and what is behind it; `None` where it has no IPv4.
    pub(super) nat: Option<(Nat, Ipv4Addr)>,
    /// Its IPv6.
    pub(super) v6: V6,
    /// What it lets out.
    pub(super) egress: Egress,
}

impl RouterRules {
    /// Rules that take the place of those before.
    pub(super) fn script(self) -> String {
        let mut script = String::new();
        if let Some((nat, behind)) = self.nat {
            // Writing to a string can't fail.
            let _ = write!(script, "table ip lab\ndelete table ip lab\n{}", self.v4(nat, behind));
        }
        let _ = write!(script, "table ip6 lab\ndelete table ip6 lab\n{}", self.v6());
        script
    }

    fn v4(self, nat: Nat, behind: Ipv4Addr) -> String {
        let (inner, outer) = (INNER_DEVICE, OUTER_DEVICE);
        let egress = match self.egress {
            Egress::Everything => "",
            Egress::NoUdp => "meta l4proto udp drop",
            Egress::OnlyProxy => "drop",
            Egress::OnlyTcp443 => "tcp dport != 443 drop\nmeta l4proto != tcp drop",
        };
        // Linux keeps the port where it is free, and here it is: one machine behind each NAT. Another port for each address is
        // nothing that it can do; no kind of network needs it.
        let masquerade = match nat.mapping {
            Mapping::EndpointIndependent => "masquerade",
            Mapping::AddressDependent | Mapping::AddressAndPortDependent => "masquerade fully-random",
        };
        let who_comes_in = match nat.filtering {
            Filtering::EndpointIndependent => format!("iifname {outer} dnat to {behind}"),
            Filtering::AddressDependent => format!("iifname {outer} ip saddr @contacted dnat to {behind}"),
            Filtering::AddressAndPortDependent => String::new(),
        };
        // What comes unasked to the router itself is dropped before it leaves a trace: a first packet of the other side that
        // is early would otherwise take the port that the mapping is about to have.
        format!(
            "table ip lab {{
  set contacted {{
    type ipv4_addr
    flags dynamic,timeout
    timeout {CONTACTED_FOR}
  }}
  chain incoming {{
    type nat hook prerouting priority dstnat
    {who_comes_in}
  }}
  chain outgoing {{
    type nat hook postrouting priority srcnat
    oifname {outer} {masquerade}
  }}
  chain egress {{
    {egress}
    update @contacted {{ ip daddr }}
    accept
  }}
  chain forward {{
    type filter hook forward priority filter; policy drop
    iifname {inner} oifname {outer} jump egress
    iifname {outer} ct state established,related accept
    iifname {outer} ct status dnat accept
  }}
  chain input {{
    type filter hook input priority filter; policy accept
    iifname {outer} ct state new drop
  }}
}}
"
        )
    }

    fn v6(self) -> String {
        let (inner, outer) = (INNER_DEVICE, OUTER_DEVICE);
        let forward = match self.v6 {
            V6::Firewalled => {
                format!("iifname {inner} accept\niifname {outer} ct state established,related accept")
            }
            V6::Absent | V6::Dead => String::new(),
        };
        format!(
            "table ip6 lab {{
  chain forward {{
    type filter hook forward priority filter; policy drop
    {forward}
  }}
}}
"
        )
    }
}

/// Rules of the internet that let nothing through to or from a device, without a word.
pub(super) fn dark(device: &str) -> String {
    format!(
        "table inet dark_{device} {{
  chain incoming {{
    type filter hook prerouting priority raw
    iifname {device} drop
  }}
  chain outgoing {{
    type filter hook postrouting priority srcnat
    oifname {device} drop
  }}
}}
"
    )
}

/// Takes [`dark`] back, whether it is in force or not.
pub(super) fn light(device: &str) -> String {
    format!("table inet dark_{device}\ndelete table inet dark_{device}\n")
}
