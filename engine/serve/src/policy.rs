//! Who may call what: one table, deny by default.
//!
//! Every method of the API has an entry. A method without one, or an entry without a method, keeps
//! the server from starting.

use std::collections::HashMap;

use prost_reflect::DescriptorPool;

use crate::error::Error;

/// What a caller may do. Roles come from the credential only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// Speaks with customers.
    Agent,
    /// Works on invoices, disputes and credit.
    Billing,
    /// Visits customers.
    Technician,
    /// Leads a team.
    Supervisor,
    /// Decides identity.
    Steward,
    /// Reads everything, changes nothing.
    Auditor,
    /// Runs the hub.
    Admin,
    /// A program that feeds facts.
    Source,
}

impl Role {
    /// Every role with its name in credentials.
    pub const ALL: &'static [(Role, &'static str)] = &[
        (Role::Agent, "agent"),
        (Role::Billing, "billing"),
        (Role::Technician, "technician"),
        (Role::Supervisor, "supervisor"),
        (Role::Steward, "steward"),
        (Role::Auditor, "auditor"),
        (Role::Admin, "admin"),
        (Role::Source, "source"),
    ];

    /// The name in credentials.
    #[must_use]
    pub fn name(self) -> &'static str {
        Role::ALL.iter().find(|(role, _)| *role == self).expect("every role stands in the table").1
    }
}

/// Who calls.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Principal {
    /// A stable name; written beside every decision.
    pub name: String,
    /// What the caller may do.
    pub roles: Vec<Role>,
}

/// Whom a method is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Everybody, without a credential: health and the description of the API.
    Open,
    /// Callers with at least one of these roles.
    Roles(&'static [Role]),
}

/// One row of the table.
#[derive(Debug)]
pub struct Entry {
    /// Path of the method, or of a service with a trailing `/` for all of its methods.
    pub path: &'static str,
    /// Whom it is for.
    pub access: Access,
    /// Whether it streams: then it has no default deadline.
    pub is_stream: bool,
    /// Whether only the owner of the store can answer it: it writes, or asks for what the owner alone
    /// has under way.
    pub needs_owner: bool,
}

use Role::{Admin, Agent, Auditor, Billing, Source, Steward, Supervisor, Technician};

const EVERYBODY: &[Role] = &[Agent, Billing, Technician, Supervisor, Steward, Auditor, Admin];
const OFFICE: &[Role] = &[Agent, Billing, Supervisor, Steward, Auditor, Admin];
const DESK: &[Role] = &[Agent, Billing, Supervisor, Admin];
const STEWARDS: &[Role] = &[Steward, Admin];
const IDENTITY: &[Role] = &[Supervisor, Steward, Auditor, Admin];
const WATCHERS: &[Role] = &[Auditor, Admin];
const ADMINS: &[Role] = &[Admin];
const SOURCES: &[Role] = &[Source, Admin];

/// The table.
pub const POLICY: &[Entry] = &[
    unary("/opshub.v1.CustomerStateService/GetCustomerState", EVERYBODY),
    unary("/opshub.v1.CustomerStateService/BatchGetCustomerStates", EVERYBODY),
    unary("/opshub.v1.CustomerStateService/QueryCustomerStates", OFFICE),
    stream("/opshub.v1.CustomerStateService/WatchCustomerStates", OFFICE),
    unary("/opshub.v1.CustomerStateService/ListTimelineEntries", OFFICE),
    unary("/opshub.v1.IdentityService/ResolveIdentity", OFFICE),
    unary("/opshub.v1.IdentityService/ExplainMatch", IDENTITY),
    unary("/opshub.v1.IdentityService/ListReviewItems", IDENTITY),
    owner("/opshub.v1.IdentityService/DecideReviewItem", STEWARDS),
    owner("/opshub.v1.IdentityService/MergeIdentities", STEWARDS),
    owner("/opshub.v1.IdentityService/SplitIdentity", STEWARDS),
    owner("/opshub.v1.HandoffService/PrepareHandoff", DESK),
    unary("/opshub.v1.HandoffService/GetHandoff", OFFICE),
    unary("/opshub.v1.HandoffService/ListHandoffs", OFFICE),
    owner("/opshub.v1.HandoffService/AcceptHandoff", DESK),
    unary("/opshub.v1.DiscrepancyService/GetDiscrepancy", OFFICE),
    unary("/opshub.v1.DiscrepancyService/ListDiscrepancies", OFFICE),
    stream("/opshub.v1.DiscrepancyService/WatchDiscrepancies", OFFICE),
    owner("/opshub.v1.DiscrepancyService/AcknowledgeDiscrepancy", DESK),
    unary("/opshub.v1.AlertService/ListAlerts", EVERYBODY),
    owner("/opshub.v1.AlertService/AcknowledgeAlert", DESK),
    unary("/opshub.v1.CorrelationService/ListCorrelations", OFFICE),
    unary("/opshub.v1.CorrelationService/ExplainCorrelation", OFFICE),
    unary("/opshub.v1.KpiService/ListKpis", OFFICE),
    owner("/opshub.v1.IngestService/PublishEvents", SOURCES),
    owner("/opshub.v1.AdminService/ListSources", WATCHERS),
    unary("/opshub.v1.AdminService/ListQuarantine", WATCHERS),
    unary("/opshub.v1.AdminService/GetQuarantine", WATCHERS),
    owner("/opshub.v1.AdminService/ReplayQuarantine", ADMINS),
    owner("/opshub.v1.AdminService/DiscardQuarantine", ADMINS),
    unary("/opshub.v1.AdminService/GetDigest", WATCHERS),
    unary("/opshub.v1.AdminService/GetProcess", WATCHERS),
    stream("/opshub.v1.AdminService/CreateBackup", ADMINS),
    open("/grpc.health.v1.Health/"),
    open("/grpc.reflection.v1.ServerReflection/"),
    open("/grpc.reflection.v1alpha.ServerReflection/"),
];

const fn unary(path: &'static str, roles: &'static [Role]) -> Entry {
    Entry { path, access: Access::Roles(roles), is_stream: false, needs_owner: false }
}

const fn owner(path: &'static str, roles: &'static [Role]) -> Entry {
    Entry { path, access: Access::Roles(roles), is_stream: false, needs_owner: true }
}

const fn stream(path: &'static str, roles: &'static [Role]) -> Entry {
    Entry { path, access: Access::Roles(roles), is_stream: true, needs_owner: false }
}

const fn open(path: &'static str) -> Entry {
    Entry { path, access: Access::Open, is_stream: true, needs_owner: false }
}

/// The table, ready to be asked.
#[derive(Debug, Clone)]
pub struct Policy {
    entries: HashMap<&'static str, &'static Entry>,
}

impl Policy {
    /// Checks the table against the API.
    ///
    /// # Errors
    /// If a method has no entry or an entry no method.
    pub fn check(entries: &'static [Entry], pool: &DescriptorPool) -> Result<Self, Error> {
        let by_path: HashMap<&'static str, &'static Entry> = entries.iter().map(|entry| (entry.path, entry)).collect();
        let mut methods = Vec::new();
        for service in pool.services().filter(|service| service.package_name() == "opshub.v1") {
            for method in service.methods() {
                let path = format!("/{}/{}", service.full_name(), method.name());
                if !by_path.contains_key(path.as_str()) {
                    return Err(Error::MethodWithoutPolicy { method: path });
                }
                methods.push(path);
            }
        }
        let unknown =
            entries.iter().find(|entry| !entry.path.ends_with('/') && !methods.iter().any(|m| m == entry.path));
        if let Some(entry) = unknown {
            return Err(Error::PolicyWithoutMethod { method: entry.path.to_owned() });
        }
        Ok(Policy { entries: by_path })
    }

    /// Adds methods that are not of the API.
    #[must_use]
    pub(crate) fn with(mut self, entries: &'static [Entry]) -> Self {
        self.entries.extend(entries.iter().map(|entry| (entry.path, entry)));
        self
    }

    /// The entry for a path; none if there is no such method.
    #[must_use]
    pub fn entry(&self, path: &str) -> Option<&'static Entry> {
        let service = path.rfind('/').map(|end| &path[..=end]);
        self.entries.get(path).or_else(|| self.entries.get(service?)).copied()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn pool() -> DescriptorPool {
        DescriptorPool::decode(proto::FILE_DESCRIPTOR_SET).unwrap()
    }

    #[test]
    fn every_method_has_an_entry_and_every_entry_a_method() {
        Policy::check(POLICY, &pool()).unwrap();
    }

    #[test]
    fn streams_are_marked_as_the_api_says() {
        for service in pool().services() {
            for method in service.methods() {
                let path = format!("/{}/{}", service.full_name(), method.name());
                let entry = Policy::check(POLICY, &pool()).unwrap().entry(&path).unwrap();
                assert_eq!(entry.is_stream, method.is_server_streaming(), "{path}");
            }
        }
    }

    #[test]
    fn a_method_without_entry_stops_the_start() {
        let error = Policy::check(&POLICY[1..], &pool()).unwrap_err();
        assert!(matches!(error, Error::MethodWithoutPolicy { method } if method == POLICY[0].path));
    }

    #[test]
    fn an_entry_without_method_stops_the_start() {
        static ENTRIES: std::sync::LazyLock<Vec<Entry>> = std::sync::LazyLock::new(|| {
            let table = POLICY.iter().map(|e| Entry { path: e.path, ..*e });
            table.chain([unary("/opshub.v1.AdminService/Nothing", ADMINS)]).collect()
        });
        let error = Policy::check(&ENTRIES, &pool()).unwrap_err();
        assert!(matches!(error, Error::PolicyWithoutMethod { .. }));
    }

    #[test]
    fn unknown_paths_have_no_entry() {
        let policy = Policy::check(POLICY, &pool()).unwrap();
        for path in
            ["", "/", "/opshub.v1.AdminService/", "/opshub.v1.AdminService/Nothing", "/other/Method", "nonsense"]
        {
            assert!(policy.entry(path).is_none(), "{path}");
        }
        assert_eq!(policy.entry("/grpc.health.v1.Health/Check").unwrap().access, Access::Open);
    }
}
