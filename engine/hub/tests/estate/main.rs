//! The hub among five systems, each simulated on real sockets: what lists repair, who is fresh, and
//! what a hub that is killed again and again comes to.
#![allow(clippy::unwrap_used)]

// The tests of kills use more of it.
#[allow(dead_code)]
#[path = "../kill/child.rs"]
mod child;
mod estate;
mod freshness;
mod inside;
mod kills;
mod lossy;

use fixtures::story::System as Vendor;

/// Every system that there is a connector for.
const SYSTEMS: [Vendor; 5] = [Vendor::Salesforce, Vendor::Oracle, Vendor::Wxcc, Vendor::Sap, Vendor::Zendesk];

/// How many customers differ, and what stands around the first difference.
fn difference(found: &[String], expected: &[String]) -> String {
    let differ = found.iter().zip(expected).filter(|(found, expected)| found != expected).count();
    let mut told = format!("{} customers and not {}, {differ} differ", found.len(), expected.len());
    for (found, expected) in found.iter().zip(expected).filter(|(found, expected)| found != expected).take(5) {
        let same = found.bytes().zip(expected.bytes()).take_while(|(found, expected)| found == expected).count();
        let excerpt = |text: &str| {
            String::from_utf8_lossy(&text.as_bytes()[same.saturating_sub(400)..(same + 120).min(text.len())])
                .into_owned()
        };
        told.push_str(&format!("\n  found    {}\n  expected {}", excerpt(found), excerpt(expected)));
    }
    told
}
