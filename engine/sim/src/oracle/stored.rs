//! The stored form of a row and an entity, written anew. The leaf rules read entities, and an
//! entity can only be had from its bytes or from the record stage that is under test.

use ontology::codec::{put_bytes, put_i64, put_u64};
use ontology::{EntityKey, Fact, Millis, Vocabulary};
use state::Entity;

use super::course::{course_of, tracked};
use super::row::Row;

const NOWHERE: u8 = u8::MAX;

/// The entity that these rows make up, as the rules read it.
///
/// # Panics
/// When the stored form is not what is written here: then one of the two has moved on.
#[must_use]
pub fn entity_of(key: &EntityKey, rows: &[Row<'_>]) -> Entity {
    let mut out = vec![key.kind.code()];
    put_bytes(&mut out, key.id.as_bytes());
    put_u64(&mut out, rows.len() as u64);
    for row in rows {
        put_bytes(&mut out, &row_bytes(key, row));
    }
    Entity::decode(&out).expect("the stored form of an entity is the one that is written here")
}

fn row_bytes(key: &EntityKey, row: &Row<'_>) -> Vec<u8> {
    let mut deliveries = Deliveries::default();
    let cells = cells_bytes(row, &mut deliveries);
    let marks =
        [row.revived(), row.deleted(), row.gap()].map(|fact| fact.map_or(NOWHERE, |fact| deliveries.place_of(fact)));
    for gap in row.earlier_gaps() {
        deliveries.place_of(gap);
    }
    let mut out = u32::try_from(cells.len()).expect("a row of a test is short").to_le_bytes().to_vec();
    out.extend(cells);
    out.push(row.key.system.code());
    put_bytes(&mut out, row.key.object.as_bytes());
    put_bytes(&mut out, row.key.record_id.as_bytes());
    out.extend(marks);
    out.push(u8::try_from(deliveries.0.len()).expect("a row of a test rests on few deliveries"));
    for fact in &deliveries.0 {
        provenance(fact, &mut out);
    }
    for field in tracked(key.kind) {
        for stretch in course_of(row, key.kind, *field) {
            out.push(field.code());
            match stretch.value {
                None => out.push(0),
                Some(value) => {
                    out.push(2);
                    value.encode(&mut out);
                }
            }
            provenance(stretch.by, &mut out);
        }
    }
    out
}

/// Count and width of ends, then fields, then ends, then what the fields hold.
fn cells_bytes<'a>(row: &Row<'a>, deliveries: &mut Deliveries<'a>) -> Vec<u8> {
    let (mut fields, mut ends, mut entries) = (Vec::new(), Vec::new(), Vec::new());
    for cell in row.cells() {
        fields.push(cell.field.code());
        entries.push(deliveries.place_of(cell.from) | if cell.is_conflict { 0x80 } else { 0 });
        cell.value.encode(&mut entries);
        ends.extend(u16::try_from(entries.len()).expect("a row of a test is short").to_le_bytes());
    }
    let count = u8::try_from(fields.len()).expect("fields have codes below 256, each once");
    [vec![count, 2], fields, ends, entries].concat()
}

/// Deliveries that a row rests on, each once.
#[derive(Default)]
struct Deliveries<'a>(Vec<&'a Fact>);

impl<'a> Deliveries<'a> {
    fn place_of(&mut self, fact: &'a Fact) -> u8 {
        let same = |known: &&Fact| known.stamp() == fact.stamp() && known.event_id == fact.event_id;
        let place = self.0.iter().position(same).unwrap_or_else(|| {
            self.0.push(fact);
            self.0.len() - 1
        });
        u8::try_from(place).expect("a row of a test rests on few deliveries")
    }
}

fn provenance(fact: &Fact, out: &mut Vec<u8>) {
    let (stamp, event_time) = (fact.stamp(), fact.event_time());
    put_u64(out, stamp.version.major);
    put_u64(out, stamp.version.minor);
    put_u64(out, stamp.version.ordinal);
    put_bytes(out, stamp.version.tail.as_bytes());
    let is_read = stamp.read_at != Millis::MIN;
    put_u64(out, u64::from(stamp.mapping_version) << 2 | u64::from(fact.has_clock_skew()) << 1 | u64::from(is_read));
    if is_read {
        put_i64(out, stamp.read_at.0);
    }
    put_bytes(out, fact.event_id.as_bytes());
    put_i64(out, event_time.0);
    put_i64(out, fact.observed_at.0.wrapping_sub(event_time.0));
    put_i64(out, fact.ingested_at.0.wrapping_sub(event_time.0));
    put_u64(out, fact.log_pos.0);
}
