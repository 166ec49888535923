//! Wire types of the hub's API, generated from `proto/opshub/v1`.
//!
//! Clients build against these messages, so they never name a type of the core: only `serve` and
//! `storage` translate between the two.

/// Messages, clients and servers of package `opshub.v1`.
pub mod v1 {
    #![allow(missing_docs, clippy::all, clippy::pedantic)]
    tonic::include_proto!("opshub.v1");
}

/// Encoded `google.protobuf.FileDescriptorSet` of the package and of everything it imports.
pub const FILE_DESCRIPTOR_SET: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptor_set.bin"));

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use prost::Message as _;

    #[test]
    fn the_descriptor_set_holds_every_service() {
        let set = prost_types::FileDescriptorSet::decode(super::FILE_DESCRIPTOR_SET).unwrap();
        let mut services: Vec<&str> = set
            .file
            .iter()
            .filter(|file| file.package() == "opshub.v1")
            .flat_map(|file| file.service.iter().map(|service| service.name()))
            .collect();
        services.sort_unstable();
        assert_eq!(
            services,
            [
                "AdminService",
                "AlertService",
                "CorrelationService",
                "CustomerStateService",
                "DiscrepancyService",
                "HandoffService",
                "IdentityService",
                "IngestService",
                "KpiService",
            ]
        );
    }
}
