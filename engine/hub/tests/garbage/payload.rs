//! Good changes out of the world, and bytes that no decoder can make a fact of.

use fixtures::story::{Change, Happening, System as Vendor};
use fixtures::world::{Size, World};
use sim::Chance;

/// Customers of the world that the good changes are of.
const CUSTOMERS: u32 = 60;
/// Longest noise in bytes.
const NOISE_MAX: usize = 300;

/// `count` good changes of a vendor, in the order in which they happened.
pub fn good(world: &World, vendor: Vendor, count: usize) -> Vec<Happening> {
    let is_good = |happening: &&Happening| match &happening.change {
        // A gap becomes a fact only after the record was read again.
        Change::Salesforce(change) => change.kind != fixtures::story::SalesforceKind::Gap,
        Change::Webex(change) => !change.lost,
        Change::Oracle(_) | Change::Sap(_) => true,
        Change::TransferRequest(_) | Change::Bad(_) => false,
    };
    let of_vendor = world.story().iter().filter(|happening| happening.system == vendor);
    let changes: Vec<Happening> = of_vendor.filter(is_good).take(count).cloned().collect();
    assert_eq!(changes.len(), count, "the world is too small");
    changes
}

pub fn world(seed: u64) -> World {
    World::generate(seed, Size::customers(CUSTOMERS))
}

/// One who damages what vendors send, in ways that no decoder can make a fact of.
pub struct Vandal {
    chance: Chance,
    count: u64,
}

impl Vandal {
    pub fn new(seed: u64) -> Self {
        Vandal { chance: Chance::of(seed), count: 0 }
    }

    /// Bytes that `vendor` might send on a very bad day.
    pub fn garbage(&mut self, vendor: Vendor) -> Vec<u8> {
        self.count += 1;
        match vendor {
            Vendor::Salesforce => self.noise(),
            Vendor::Oracle | Vendor::Wxcc | Vendor::Sap | Vendor::Desk | Vendor::Zendesk => {
                match self.chance.below(3) {
                    0 => self.noise(),
                    1 => cut(nobody(vendor, self.count), &mut self.chance),
                    _ => nobody(vendor, self.count).into_bytes(),
                }
            }
        }
    }

    /// Neither UTF-8 nor a length that any datum begins with.
    fn noise(&mut self) -> Vec<u8> {
        let mut bytes = vec![0xFF];
        bytes.extend(self.count.to_be_bytes());
        bytes.extend((0..self.chance.below(NOISE_MAX)).map(|_| self.chance.bits().to_be_bytes()[0]));
        bytes
    }
}

/// A payload that can be read but names no record.
pub fn nobody(vendor: Vendor, number: u64) -> String {
    match vendor {
        Vendor::Oracle => format!("{{\"op\":\"u\",\"after\":{{\"INVOICE_ID\":null}},\"number\":{number}}}"),
        Vendor::Wxcc => format!("{{\"id\":\"garbage-{number}\",\"type\":\"task:new\",\"data\":{{\"taskId\":null}}}}"),
        Vendor::Sap => format!(
            "<IDOC BEGIN=\"1\"><EDI_DC40><DOCNUM>{number:016}</DOCNUM></EDI_DC40><Z1SRVORD><STTXT>TECO</STTXT></Z1SRVORD></IDOC>"
        ),
        Vendor::Zendesk => format!(
            "{{\"id\":\"garbage-{number}\",\"type\":\"zen:event-type:ticket.created\",\"time\":\"2026-03-10T15:00:00Z\",\
             \"detail\":{{\"id\":null,\"status\":\"OPEN\"}}}}"
        ),
        Vendor::Salesforce | Vendor::Desk => panic!("no payload of this sender is read that names nobody"),
    }
}

/// The same, broken off in the second half.
fn cut(payload: String, chance: &mut Chance) -> Vec<u8> {
    let half = payload.len() / 2;
    let mut bytes = payload.into_bytes();
    bytes.truncate(half + chance.below(half - 1));
    bytes
}
