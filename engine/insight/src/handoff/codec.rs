//! The stored form of a transfer's life.

use ontology::codec::{Corrupt, Cursor, put_bytes, put_i64, put_u64};
use ontology::{CustomerId, EntityKey, EntityKind, Evidence, Field, LogPos, Millis, Version, Vocabulary};

use super::memory::{GapAlert, HandoffState, TransferMemory};
use super::package::{Advice, IdentityChange, Narrative, Package, PackageContent, Part, Recommendation};
use super::section::{Item, Line, Missing, Section, SectionName, SectionStatus};

/// First byte of the stored form.
const FORMAT: u8 = 1;

impl TransferMemory {
    /// Appends the stored form.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.push(FORMAT);
        put_key(out, &self.transfer);
        put_option(out, self.case.as_ref(), put_key);
        put_bytes(out, self.from_team.as_bytes());
        put_bytes(out, self.to_team.as_bytes());
        put_i64(out, self.initiated_at.0);
        out.push(self.state.code());
        put_list(out, &self.versions, put_package);
        put_u64(out, u64::from(self.readable_from));
        put_time(out, self.hold_until);
        put_time(out, self.released_at);
        put_u64(out, u64::from(self.released_version));
        put_option(out, self.was_complete.as_ref(), |out, is_complete| out.push(u8::from(*is_complete)));
        put_option(out, self.gap_alert.as_ref(), |out, alert| {
            put_i64(out, alert.raised_at.0);
            put_time(out, alert.resolved_at);
        });
        put_time(out, self.escalated_at);
        put_time(out, self.accepted_at);
        put_time(out, self.closed_at);
        put_option(out, self.superseded_by.as_ref(), put_key);
    }

    /// Reads the stored form.
    ///
    /// # Errors
    /// When the bytes are not what [`TransferMemory::encode`] wrote.
    pub fn decode(cursor: &mut Cursor<'_>) -> Result<Self, Corrupt> {
        if cursor.byte()? != FORMAT {
            return Err(Corrupt("a transfer of a known format"));
        }
        Ok(TransferMemory {
            transfer: key(cursor)?,
            case: option(cursor, key)?,
            from_team: cursor.compact()?,
            to_team: cursor.compact()?,
            initiated_at: Millis(cursor.i64()?),
            state: word::<HandoffState>(cursor)?,
            versions: list(cursor, package)?,
            readable_from: small(cursor)?,
            hold_until: time(cursor)?,
            released_at: time(cursor)?,
            released_version: small(cursor)?,
            was_complete: option(cursor, |cursor| Ok(cursor.byte()? != 0))?,
            gap_alert: option(cursor, |cursor| {
                Ok(GapAlert { raised_at: Millis(cursor.i64()?), resolved_at: time(cursor)? })
            })?,
            escalated_at: time(cursor)?,
            accepted_at: time(cursor)?,
            closed_at: time(cursor)?,
            superseded_by: option(cursor, key)?,
        })
    }
}

fn put_package(out: &mut Vec<u8>, package: &Package) {
    put_u64(out, u64::from(package.version));
    put_bytes(out, package.customer.0.as_bytes());
    put_i64(out, package.as_of.0);
    put_u64(out, package.log_pos.0);
    put_option(out, package.identity_changed.as_ref(), |out, change| out.push(change.code()));
    put_list(out, &package.content.sections, put_section);
    put_bytes(out, package.content.narrative.team.as_bytes());
    put_list(out, &package.content.narrative.parts, |out, part| {
        out.push(part.section.code());
        put_bytes(out, part.text.as_bytes());
        put_bytes(out, part.text_without_money.as_bytes());
    });
    put_list(out, &package.content.recommendations, |out, recommendation| {
        out.push(recommendation.code.code());
        put_bytes(out, recommendation.reason.as_bytes());
        put_list(out, &recommendation.evidence, put_evidence);
    });
    put_list(out, &package.content.members, put_key);
}

fn package(cursor: &mut Cursor<'_>) -> Result<Package, Corrupt> {
    Ok(Package {
        version: small(cursor)?,
        customer: CustomerId(cursor.compact()?),
        as_of: Millis(cursor.i64()?),
        log_pos: LogPos(cursor.u64()?),
        identity_changed: option(cursor, word::<IdentityChange>)?,
        content: PackageContent {
            sections: list(cursor, section)?,
            narrative: Narrative { team: cursor.compact()?, parts: list(cursor, part)? },
            recommendations: list(cursor, |cursor| {
                Ok(Recommendation {
                    code: word::<Advice>(cursor)?,
                    reason: cursor.compact()?,
                    evidence: list(cursor, evidence)?,
                })
            })?,
            members: list(cursor, key)?,
        },
    })
}

fn part(cursor: &mut Cursor<'_>) -> Result<Part, Corrupt> {
    Ok(Part { section: word::<SectionName>(cursor)?, text: cursor.compact()?, text_without_money: cursor.compact()? })
}

fn put_section(out: &mut Vec<u8>, section: &Section) {
    out.push(section.name.code());
    put_status(out, section.status);
    put_list(out, &section.items, |out, item| {
        put_key(out, &item.entity);
        put_list(out, &item.lines, |out, line| {
            out.push(line.field.code());
            put_time(out, line.at);
            put_bytes(out, line.text.as_bytes());
        });
        put_list(out, &item.evidence, put_evidence);
    });
}

fn section(cursor: &mut Cursor<'_>) -> Result<Section, Corrupt> {
    Ok(Section { name: word::<SectionName>(cursor)?, status: status(cursor)?, items: list(cursor, item)? })
}

fn item(cursor: &mut Cursor<'_>) -> Result<Item, Corrupt> {
    Ok(Item {
        entity: key(cursor)?,
        lines: list(cursor, |cursor| {
            Ok(Line { field: word::<Field>(cursor)?, at: time(cursor)?, text: cursor.compact()? })
        })?,
        evidence: list(cursor, evidence)?,
    })
}

fn put_status(out: &mut Vec<u8>, status: SectionStatus) {
    match status {
        SectionStatus::Present => out.push(0),
        SectionStatus::ConfirmedEmpty { is_without_counterpart } => {
            out.extend_from_slice(&[1, u8::from(is_without_counterpart)]);
        }
        SectionStatus::Stale => out.push(2),
        SectionStatus::Unavailable(missing) => out.extend_from_slice(&[3, missing.code()]),
        SectionStatus::Restricted => out.push(4),
    }
}

fn status(cursor: &mut Cursor<'_>) -> Result<SectionStatus, Corrupt> {
    Ok(match cursor.byte()? {
        0 => SectionStatus::Present,
        1 => SectionStatus::ConfirmedEmpty { is_without_counterpart: cursor.byte()? != 0 },
        2 => SectionStatus::Stale,
        3 => SectionStatus::Unavailable(word::<Missing>(cursor)?),
        4 => SectionStatus::Restricted,
        _ => return Err(Corrupt("the status of a section")),
    })
}

fn put_evidence(out: &mut Vec<u8>, evidence: &Evidence) {
    put_key(out, &evidence.entity);
    out.push(evidence.field.code());
    for text in [&evidence.value, &evidence.version.tail, &evidence.event_id] {
        put_bytes(out, text.as_bytes());
    }
    for number in [evidence.version.major, evidence.version.minor, evidence.version.ordinal, evidence.log_pos.0] {
        put_u64(out, number);
    }
}

fn evidence(cursor: &mut Cursor<'_>) -> Result<Evidence, Corrupt> {
    let (entity, field) = (key(cursor)?, word::<Field>(cursor)?);
    let (value, tail, event_id) = (cursor.compact()?, cursor.compact()?, cursor.compact()?);
    let version = Version { major: cursor.u64()?, minor: cursor.u64()?, ordinal: cursor.u64()?, tail };
    Ok(Evidence { entity, field, value, version, event_id, log_pos: LogPos(cursor.u64()?) })
}

fn put_key(out: &mut Vec<u8>, key: &EntityKey) {
    out.push(key.kind.code());
    put_bytes(out, key.id.as_bytes());
}

fn key(cursor: &mut Cursor<'_>) -> Result<EntityKey, Corrupt> {
    Ok(EntityKey { kind: word::<EntityKind>(cursor)?, id: cursor.compact()? })
}

fn put_time(out: &mut Vec<u8>, at: Option<Millis>) {
    put_option(out, at.as_ref(), |out, at| put_i64(out, at.0));
}

fn time(cursor: &mut Cursor<'_>) -> Result<Option<Millis>, Corrupt> {
    option(cursor, |cursor| Ok(Millis(cursor.i64()?)))
}

fn put_option<T>(out: &mut Vec<u8>, value: Option<&T>, put: impl Fn(&mut Vec<u8>, &T)) {
    out.push(u8::from(value.is_some()));
    if let Some(value) = value {
        put(out, value);
    }
}

fn option<T>(
    cursor: &mut Cursor<'_>,
    read: impl Fn(&mut Cursor<'_>) -> Result<T, Corrupt>,
) -> Result<Option<T>, Corrupt> {
    match cursor.byte()? {
        0 => Ok(None),
        1 => read(cursor).map(Some),
        _ => Err(Corrupt("an optional value")),
    }
}

fn put_list<T>(out: &mut Vec<u8>, items: &[T], put: impl Fn(&mut Vec<u8>, &T)) {
    put_u64(out, items.len() as u64);
    for item in items {
        put(out, item);
    }
}

fn list<T>(cursor: &mut Cursor<'_>, read: impl Fn(&mut Cursor<'_>) -> Result<T, Corrupt>) -> Result<Vec<T>, Corrupt> {
    let count = cursor.u64()?;
    // Grown item by item: a damaged count must not decide how much memory is taken.
    (0..count).map(|_| read(cursor)).collect()
}

fn word<V: Vocabulary>(cursor: &mut Cursor<'_>) -> Result<V, Corrupt> {
    V::from_code(cursor.byte()?).ok_or(Corrupt("a word of its vocabulary"))
}

fn small(cursor: &mut Cursor<'_>) -> Result<u32, Corrupt> {
    u32::try_from(cursor.u64()?).map_err(|_| Corrupt("a small number"))
}
