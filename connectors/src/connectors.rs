//! All decoders in one place, for transports and for replays out of quarantine.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use ontology::System;

use crate::contract::{BODY_BYTES_MAX, Decoded, Delivery, RejectCode};
use crate::mapping::Mapping;
use crate::oracle::OracleDecoder;
use crate::salesforce::SalesforceDecoder;
use crate::sap::SapDecoder;
use crate::wxcc::WxccDecoder;
use crate::wxcc::caller::Country;
use crate::zendesk::ZendeskDecoder;

/// The decoders of every system, each by its mapping.
#[derive(Debug, Clone)]
pub struct Connectors {
    mappings: Arc<[Mapping]>,
    salesforce: SalesforceDecoder,
    oracle: OracleDecoder,
    wxcc: WxccDecoder,
    sap: SapDecoder,
    zendesk: ZendeskDecoder,
}

impl Default for Connectors {
    fn default() -> Self {
        Connectors::shipped()
    }
}

impl Connectors {
    /// The systems that there is a connector for.
    pub const SYSTEMS: [System; 5] = [System::Salesforce, System::Oracle, System::Wxcc, System::Sap, System::Zendesk];

    /// Decoders by the mappings that are shipped.
    #[must_use]
    pub fn shipped() -> Self {
        Connectors::new(Vec::new())
    }

    /// Decoders by `mappings`; a system that none is for keeps the shipped one.
    #[must_use]
    pub fn new(mappings: Vec<Mapping>) -> Self {
        let mappings: Arc<[Mapping]> = Self::SYSTEMS
            .into_iter()
            .filter_map(|system| {
                let own = mappings.iter().find(|mapping| mapping.system == system).cloned();
                own.or_else(|| Mapping::shipped(system))
            })
            .collect();
        let find = |system: System| {
            let found = mappings.iter().find(|mapping| mapping.system == system).cloned();
            found.expect("every source has a shipped mapping")
        };
        Connectors {
            salesforce: SalesforceDecoder::new(find(System::Salesforce)),
            oracle: OracleDecoder::new(find(System::Oracle)),
            wxcc: WxccDecoder::new(find(System::Wxcc)),
            sap: SapDecoder::new(find(System::Sap)),
            zendesk: ZendeskDecoder::new(find(System::Zendesk)),
            mappings,
        }
    }

    /// Numbers of the contact centre's callers that name no country are of `country`.
    #[must_use]
    pub fn with_callers_in(self, country: Country) -> Self {
        Connectors { wxcc: self.wxcc.in_country(country), ..self }
    }

    /// The mapping that a system is read by; none for one without a connector.
    #[must_use]
    pub fn mapping(&self, system: System) -> Option<&Mapping> {
        self.mappings.iter().find(|mapping| mapping.system == system)
    }

    /// The Salesforce decoder, whose transport also asks it which objects there are.
    #[must_use]
    pub fn salesforce(&self) -> &SalesforceDecoder {
        &self.salesforce
    }

    /// Turns the bytes of a delivery into facts and rejects. Pure: the same bytes and mapping give
    /// the same facts, so a replay out of quarantine keeps ids and versions. A fault of a decoder
    /// quarantines the delivery and nothing else.
    #[must_use]
    pub fn decode(&self, system: System, delivery: &Delivery<'_>) -> Decoded {
        // What a source batches itself is bounded per event, by the bus.
        if delivery.raw.len() > BODY_BYTES_MAX && system != System::Salesforce {
            return Decoded::rejected(RejectCode::Oversized, "a body above 1 MiB", delivery.raw);
        }
        let decoded = catch_unwind(AssertUnwindSafe(|| match system {
            System::Salesforce => self.salesforce.decode(delivery),
            System::Oracle => self.oracle.decode(delivery),
            System::Wxcc => self.wxcc.decode(delivery),
            System::Sap => self.sap.decode(delivery),
            System::Zendesk => self.zendesk.decode(delivery),
            System::Engine | System::Human => {
                Decoded::rejected(RejectCode::NoIdentity, "a system without connector", delivery.raw)
            }
        }));
        decoded.unwrap_or_else(|_| Decoded::rejected(RejectCode::Malformed, "the decoder failed", delivery.raw))
    }
}
