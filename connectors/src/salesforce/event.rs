//! Avro records as change events carry them, within a budget.
//!
//! The event bus sends one bare datum per event, written by the schema that the event names. The
//! reader here knows what such schemas are made of, and gives up on anything that would take more
//! memory or depth than an event can honestly need.

use std::collections::HashMap;
use std::sync::Arc;

use apache_avro::Schema;

use super::bitmap::SchemaField;

/// Most values of one datum.
const VALUES_MAX: usize = 100_000;
/// Deepest nesting of one datum.
const DEPTH_MAX: usize = 32;

/// What is wrong with a schema or a datum.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct AvroError(pub &'static str);

/// A value of a datum.
#[derive(Debug, Clone, PartialEq)]
pub enum Avro {
    /// Nothing.
    Null,
    /// Truth value.
    Bool(bool),
    /// Whole number.
    Long(i64),
    /// Floating point number, exact text by its shortest form.
    Double(f64),
    /// Text or the symbol of an enumeration.
    Text(String),
    /// Bytes.
    Bytes(Vec<u8>),
    /// List.
    Array(Vec<Avro>),
    /// Record, in the order of the schema.
    Record(Arc<Vec<SchemaEntry>>, Vec<Avro>),
}

/// A field of a record schema.
#[derive(Debug, Clone, PartialEq)]
pub struct SchemaEntry {
    /// Name.
    pub name: String,
    node: Node,
}

#[derive(Debug, Clone, PartialEq)]
enum Node {
    Null,
    Bool,
    Long,
    Float,
    Double,
    Bytes,
    Text,
    Fixed(usize),
    Symbols(Arc<Vec<String>>),
    Array(Box<Node>),
    Map(Box<Node>),
    Union(Vec<Node>),
    Record(Arc<Vec<SchemaEntry>>),
}

/// A schema of the event bus, ready to read datums.
#[derive(Debug, Clone)]
pub struct EventSchema {
    fields: Arc<Vec<SchemaEntry>>,
    /// Fields and members by name, for the bitmaps.
    pub shape: Vec<SchemaField>,
}

impl EventSchema {
    /// Reads a schema. Recursive ones are refused: an event has none, and an attacker would.
    pub fn parse(json: &str) -> Result<Self, AvroError> {
        let schema = Schema::parse_str(json).map_err(|_| AvroError("a schema was not understood"))?;
        let mut known = HashMap::new();
        let Node::Record(fields) = compile(&schema, &mut known, 0)? else {
            return Err(AvroError("the schema of an event is a record"));
        };
        let shape = fields.iter().map(|f| SchemaField { name: f.name.clone(), members: members(&f.node) }).collect();
        Ok(EventSchema { fields, shape })
    }

    /// Reads one datum and nothing after it.
    pub fn read(&self, datum: &[u8]) -> Result<Avro, AvroError> {
        let mut reader = Reader { bytes: datum, budget: VALUES_MAX };
        let record = reader.value(&Node::Record(Arc::clone(&self.fields)), 0)?;
        if reader.bytes.is_empty() { Ok(record) } else { Err(AvroError("bytes after the datum")) }
    }
}

impl Avro {
    /// The field `name` of a record.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Avro> {
        let Avro::Record(fields, values) = self else { return None };
        values.get(fields.iter().position(|f| f.name == name)?)
    }

    /// Text.
    #[must_use]
    pub fn text(&self) -> Option<&str> {
        if let Avro::Text(text) = self { Some(text) } else { None }
    }

    /// Whole number.
    #[must_use]
    pub fn long(&self) -> Option<i64> {
        if let Avro::Long(long) = self { Some(*long) } else { None }
    }

    /// The texts of a list.
    #[must_use]
    pub fn texts(&self) -> Vec<&str> {
        if let Avro::Array(items) = self { items.iter().filter_map(Avro::text).collect() } else { Vec::new() }
    }
}

fn members(node: &Node) -> Vec<String> {
    match node {
        Node::Record(fields) => fields.iter().map(|f| f.name.clone()).collect(),
        Node::Union(branches) => branches.iter().map(members).find(|m| !m.is_empty()).unwrap_or_default(),
        Node::Null
        | Node::Bool
        | Node::Long
        | Node::Float
        | Node::Double
        | Node::Bytes
        | Node::Text
        | Node::Fixed(_)
        | Node::Symbols(_)
        | Node::Array(_)
        | Node::Map(_) => Vec::new(),
    }
}

fn compile(schema: &Schema, known: &mut HashMap<String, Node>, depth: usize) -> Result<Node, AvroError> {
    if depth > DEPTH_MAX {
        return Err(AvroError("a schema is nested too deep"));
    }
    let node = match schema {
        Schema::Null => Node::Null,
        Schema::Boolean => Node::Bool,
        Schema::Int
        | Schema::Long
        | Schema::Date
        | Schema::TimeMillis
        | Schema::TimeMicros
        | Schema::TimestampMillis
        | Schema::TimestampMicros
        | Schema::TimestampNanos => Node::Long,
        Schema::Float => Node::Float,
        Schema::Double => Node::Double,
        Schema::Bytes => Node::Bytes,
        Schema::String => Node::Text,
        Schema::Array(array) => Node::Array(Box::new(compile(&array.items, known, depth + 1)?)),
        Schema::Map(map) => Node::Map(Box::new(compile(&map.types, known, depth + 1)?)),
        Schema::Union(union) => {
            let branches = union.variants().iter().map(|branch| compile(branch, known, depth + 1));
            Node::Union(branches.collect::<Result<_, _>>()?)
        }
        Schema::Enum(symbols) => {
            let node = Node::Symbols(Arc::new(symbols.symbols.clone()));
            known.insert(symbols.name.to_string(), node.clone());
            node
        }
        Schema::Fixed(fixed) => {
            known.insert(fixed.name.to_string(), Node::Fixed(fixed.size));
            Node::Fixed(fixed.size)
        }
        Schema::Record(record) => {
            let mut fields = Vec::with_capacity(record.fields.len());
            for field in &record.fields {
                let node = compile(&field.schema, known, depth + 1)?;
                fields.push(SchemaEntry { name: field.name.clone(), node });
            }
            let node = Node::Record(Arc::new(fields));
            known.insert(record.name.to_string(), node.clone());
            node
        }
        // A type is known once it is complete, so a type that names itself is not.
        Schema::Ref { name } => {
            known.get(&name.to_string()).cloned().ok_or(AvroError("a schema names a type that is not complete"))?
        }
        _ => return Err(AvroError("a schema has a type that events do not have")),
    };
    Ok(node)
}

struct Reader<'a> {
    bytes: &'a [u8],
    budget: usize,
}

impl Reader<'_> {
    fn value(&mut self, node: &Node, depth: usize) -> Result<Avro, AvroError> {
        if depth > DEPTH_MAX {
            return Err(AvroError("a datum is nested too deep"));
        }
        self.budget = self.budget.checked_sub(1).ok_or(AvroError("a datum has too many values"))?;
        Ok(match node {
            Node::Null => Avro::Null,
            Node::Bool => match self.take(1)?[0] {
                0 => Avro::Bool(false),
                1 => Avro::Bool(true),
                _ => return Err(AvroError("a truth value is neither")),
            },
            Node::Long => Avro::Long(self.long()?),
            Node::Float => Avro::Double(f64::from(f32::from_le_bytes(self.array()?))),
            Node::Double => Avro::Double(f64::from_le_bytes(self.array()?)),
            Node::Bytes => Avro::Bytes(self.block()?.to_vec()),
            Node::Text => Avro::Text(text(self.block()?)?),
            Node::Fixed(size) => Avro::Bytes(self.take(*size)?.to_vec()),
            Node::Symbols(symbols) => {
                let place = usize::try_from(self.long()?).map_err(|_| AvroError("a symbol is out of range"))?;
                Avro::Text(symbols.get(place).ok_or(AvroError("a symbol is out of range"))?.clone())
            }
            Node::Array(item) => Avro::Array(self.items(|reader| reader.value(item, depth + 1))?),
            Node::Map(item) => {
                self.items(|reader| {
                    reader.block()?;
                    reader.value(item, depth + 1)
                })?;
                Avro::Null
            }
            Node::Union(branches) => {
                let place = usize::try_from(self.long()?).map_err(|_| AvroError("a branch is out of range"))?;
                let branch = branches.get(place).ok_or(AvroError("a branch is out of range"))?;
                self.value(branch, depth + 1)?
            }
            Node::Record(fields) => {
                let mut values = Vec::with_capacity(fields.len());
                for field in fields.iter() {
                    values.push(self.value(&field.node, depth + 1)?);
                }
                Avro::Record(Arc::clone(fields), values)
            }
        })
    }

    /// The blocks of a list; a negative count is followed by the block's size.
    fn items(&mut self, mut item: impl FnMut(&mut Self) -> Result<Avro, AvroError>) -> Result<Vec<Avro>, AvroError> {
        let mut items = Vec::new();
        loop {
            let count = self.long()?;
            if count < 0 {
                self.long()?;
            }
            if count == 0 {
                return Ok(items);
            }
            let count = usize::try_from(count.unsigned_abs()).unwrap_or(usize::MAX);
            if count > self.budget {
                return Err(AvroError("a datum has too many values"));
            }
            for _ in 0..count {
                items.push(item(self)?);
            }
        }
    }

    fn take(&mut self, count: usize) -> Result<&[u8], AvroError> {
        if count > self.bytes.len() {
            return Err(AvroError("a datum ends early"));
        }
        let (taken, rest) = self.bytes.split_at(count);
        self.bytes = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], AvroError> {
        self.take(N)?.try_into().map_err(|_| AvroError("a datum ends early"))
    }

    fn block(&mut self) -> Result<&[u8], AvroError> {
        let length = usize::try_from(self.long()?).map_err(|_| AvroError("a length is negative"))?;
        self.take(length)
    }

    /// A zig-zag variable-length number.
    fn long(&mut self) -> Result<i64, AvroError> {
        let mut raw: u64 = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.take(1)?[0];
            raw |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok((raw >> 1).cast_signed() ^ -(raw & 1).cast_signed());
            }
        }
        Err(AvroError("a number is too long"))
    }
}

fn text(bytes: &[u8]) -> Result<String, AvroError> {
    std::str::from_utf8(bytes).map(str::to_owned).map_err(|_| AvroError("text is not utf-8"))
}
