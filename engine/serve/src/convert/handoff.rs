//! Handoffs with one version of their package.

use insight::handoff::{Package, Section, SectionStatus};
use ontology::entity::Transfer;
use ontology::{Evidence, Vocabulary};
use pipeline::TransferView;
use proto::v1;

use super::common::{evidence, source_ref, time};
use super::derived::customer_name;
use super::word;
use crate::token::position_token;
use crate::view::{CustomerView, etag_of};

/// Which version of a package to show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Version {
    /// The newest.
    Newest,
    /// This one; versions that were retracted are for auditors only (spec 6.8).
    Number {
        /// Counts from 1.
        number: u32,
        /// Whether the reader may see a retracted one.
        is_auditor: bool,
    },
}

/// Handoffs of a customer, with their newest package.
#[must_use]
pub fn handoffs(view: &CustomerView) -> Vec<v1::Handoff> {
    view.transfers.iter().map(|transfer| with_version(view, transfer, transfer.memory.newest())).collect()
}

/// A version of a package that the reader was not given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VersionUnknown {
    /// The version that was asked for.
    pub number: u32,
    /// The versions that this reader may read, oldest first.
    pub readable: Vec<u32>,
}

/// A handoff with one version of its package.
///
/// # Errors
/// If there is no such version for this reader.
pub fn handoff(view: &CustomerView, transfer: &TransferView, version: Version) -> Result<v1::Handoff, VersionUnknown> {
    let memory = &transfer.memory;
    let package = match version {
        Version::Newest => memory.newest(),
        Version::Number { number, is_auditor } => {
            let readable = memory.versions.iter().filter(|one| is_auditor || memory.is_readable(one.version));
            let found = readable.clone().find(|package| package.version == number);
            let unknown = || VersionUnknown { number, readable: readable.map(|package| package.version).collect() };
            Some(found.ok_or_else(unknown)?)
        }
    };
    Ok(with_version(view, transfer, package))
}

fn with_version(view: &CustomerView, transfer: &TransferView, package: Option<&Package>) -> v1::Handoff {
    let memory = &transfer.memory;
    let entity = view.composite.entities().find(|entity| entity.key == transfer.key);
    let request = entity.map(|entity| Transfer::read(&**entity));
    let text = |value: Option<&str>| value.unwrap_or_default().to_owned();
    let wire = v1::Handoff {
        name: format!("handoffs/{}", transfer.key.id),
        state: word(memory.state),
        case_id: memory.case.as_ref().map(|case| case.id.to_string()).unwrap_or_default(),
        customer: customer_name(view),
        from_team: memory.from_team.to_string(),
        to_team: memory.to_team.to_string(),
        agent_id: text(request.and_then(|request| request.accepted_by)),
        reason: text(request.and_then(|request| request.reason)),
        initiate_time: time(memory.initiated_at),
        hold_until_time: memory.hold_until.and_then(time),
        release_time: memory.released_at.and_then(time),
        accept_time: memory.accepted_at.and_then(time),
        position: position_token(view.position()),
        etag: etag_of(&(memory.state, memory.versions.len(), memory.released_version)),
        ..v1::Handoff::default()
    };
    match package {
        Some(package) => with_package(wire, package),
        None => wire,
    }
}

fn with_package(wire: v1::Handoff, package: &Package) -> v1::Handoff {
    let content = &package.content;
    let (present, required) = content.completeness();
    let advice = |advice: &insight::handoff::Recommendation| v1::Recommendation {
        code: advice.code.name().to_owned(),
        reason: advice.reason.to_string(),
        evidence: advice.evidence.iter().map(evidence).collect(),
    };
    v1::Handoff {
        package_version: i32::try_from(package.version).unwrap_or(i32::MAX),
        narrative: content.narrative.text(),
        sections: content.sections.iter().map(section).collect(),
        recommendations: content.recommendations.iter().map(advice).collect(),
        completeness: if required == 0 { 1.0 } else { present as f64 / required as f64 },
        gaps: content.gaps().map(|section| section.name.name().to_owned()).collect(),
        identity_changed: package.identity_changed.map(|change| change.name().to_owned()).unwrap_or_default(),
        evidence: content.evidence().map(|one: &Evidence| evidence(one)).collect(),
        ..wire
    }
}

fn section(section: &Section) -> v1::HandoffSection {
    let status = match section.status {
        SectionStatus::Present => v1::SectionStatus::Present,
        SectionStatus::ConfirmedEmpty { .. } => v1::SectionStatus::ConfirmedEmpty,
        SectionStatus::Stale => v1::SectionStatus::Stale,
        SectionStatus::Unavailable(_) => v1::SectionStatus::Unavailable,
        SectionStatus::Restricted => v1::SectionStatus::Restricted,
    };
    let item = |item: &insight::handoff::Item| v1::SectionItem {
        record: Some(source_ref(&item.entity)),
        lines: item
            .lines
            .iter()
            .map(|line| v1::SectionLine {
                field: line.field.name().to_owned(),
                time: line.at.and_then(time),
                text: line.text.to_string(),
            })
            .collect(),
    };
    v1::HandoffSection {
        name: section.name.name().to_owned(),
        status: status.into(),
        reason: section.status.reason().to_owned(),
        items: section.items.iter().map(item).collect(),
    }
}
