//! Native payloads and mappings of a story.

use std::path::Path;

use connectors::Mapping;
use ontology::{Field, System};

use super::fact::word;
use super::step::{MappingPart, NativePart};

/// Longest payload that a story may make, in bytes.
const REPEAT_BYTES_MAX: usize = 16 << 20;

/// A payload, ready to be decoded.
#[derive(Debug, Clone)]
pub struct Payload {
    /// The system.
    pub system: System,
    /// The bytes.
    pub raw: Vec<u8>,
    /// Whether each line is a payload of its own.
    pub is_lines: bool,
}

/// The payload that a story describes; files lie in `folder`.
pub fn payload(part: &NativePart, folder: &Path) -> Result<Payload, String> {
    let raw = match (&part.body, &part.file, &part.repeat) {
        (Some(body), None, None) => body.clone().into_bytes(),
        (None, Some(file), None) => read(folder, file)?,
        (None, None, Some(repeat)) => {
            if repeat.text.is_empty() || repeat.bytes > REPEAT_BYTES_MAX {
                return Err(format!("repeat: expected a text and at most {REPEAT_BYTES_MAX} bytes"));
            }
            repeat.text.bytes().cycle().take(repeat.bytes).collect()
        }
        _ => return Err("native: expected one of body, file, repeat".to_owned()),
    };
    Ok(Payload { system: word("a system", &part.system)?, raw, is_lines: part.lines })
}

/// The mapping that a story puts in place of `current`.
pub fn mapping(part: &MappingPart, folder: &Path, current: &Mapping) -> Result<Mapping, String> {
    if let Some(file) = &part.file {
        let text = String::from_utf8(read(folder, file)?).map_err(|_| format!("{file}: expected UTF-8"))?;
        let mapping = Mapping::parse(&text).map_err(|error| format!("{file}: {error}"))?;
        return if mapping.system == current.system {
            Ok(mapping)
        } else {
            Err(format!("{file}: another system's mapping"))
        };
    }
    let (Some(object), Some(field)) = (&part.object, &part.field) else {
        return Err("mapping: expected a file, or object, field and from".to_owned());
    };
    if part.from.is_empty() {
        return Err("mapping: expected columns in from".to_owned());
    }
    let field = word::<Field>("a field", field)?;
    let mut mapping = current.clone();
    let found = mapping.objects.iter_mut().find(|known| known.name.eq_ignore_ascii_case(object));
    let maps = &mut found.ok_or_else(|| format!("mapping: no object {object}"))?.fields;
    let map = maps.iter_mut().find(|map| map.to == field);
    map.ok_or_else(|| format!("mapping: {object} fills no such field"))?.from.clone_from(&part.from);
    mapping.version += 1;
    Ok(mapping)
}

/// The system whose mapping a step replaces.
pub fn mapped_system(part: &MappingPart) -> Result<System, String> {
    let system = word("a system", &part.system)?;
    Mapping::shipped(system).map(|_| system).ok_or_else(|| format!("mapping: {} has no connector", part.system))
}

fn read(folder: &Path, file: &str) -> Result<Vec<u8>, String> {
    let path = folder.join(file);
    std::fs::read(&path).map_err(|why| format!("{}: {why}", path.display()))
}
