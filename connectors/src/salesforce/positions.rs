//! The connector's places in the source, as they are stored with what came up to them.

use std::collections::BTreeMap;

use super::{audit, whole};

/// What was stored of the connector's places in the source.
#[derive(Debug, Clone, Default)]
pub struct Positions {
    /// Under the topic's name.
    pub stream: Option<Vec<u8>>,
    /// Under [`audit::position_name`] of the topic.
    pub audit: Option<Vec<u8>>,
    /// Under [`whole::position_name`] of the topic and each object of the mapping.
    pub whole: BTreeMap<String, Vec<u8>>,
}

impl Positions {
    /// What `position` gives under the names of the connector's places; `objects` are the mapping's.
    ///
    /// # Errors
    /// Those of `position`.
    pub fn stored<'a, E>(
        topic: &str,
        objects: impl Iterator<Item = &'a str>,
        position: impl Fn(&str) -> Result<Option<Vec<u8>>, E>,
    ) -> Result<Self, E> {
        let mut whole = BTreeMap::new();
        for object in objects {
            if let Some(columns) = position(&whole::position_name(topic, object))? {
                whole.insert(object.to_owned(), columns);
            }
        }
        Ok(Positions { stream: position(topic)?, audit: position(&audit::position_name(topic))?, whole })
    }
}
