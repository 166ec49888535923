//! Markers make cuts: a stage tells each shard of the next stage how far it has come, and the
//! next stage looks at the world as of the lowest of what it was told.

use ontology::{LogPos, Millis};

/// How far one shard of a stage has come. Sent with every batch, also an empty one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Marker {
    /// The shard that sends it.
    pub shard: usize,
    /// Everything up to here is applied.
    pub position: LogPos,
    /// Ingest time of the input at `position`.
    pub ingested_at: Millis,
}

/// The newest markers of all shards of the stage before.
#[derive(Debug, Clone)]
pub struct Markers(Vec<Marker>);

impl Markers {
    /// Nothing received yet from any of `shards` shards.
    #[must_use]
    pub fn new(shards: usize) -> Self {
        Markers((0..shards).map(|shard| Marker { shard, position: LogPos(0), ingested_at: Millis::MIN }).collect())
    }

    /// Takes a marker. One that is not newer than what the shard said before changes nothing.
    pub fn receive(&mut self, marker: Marker) {
        let known = &mut self.0[marker.shard];
        if (marker.position, marker.ingested_at) > (known.position, known.ingested_at) {
            *known = marker;
        }
    }

    /// The cut: what every shard has come past.
    #[must_use]
    pub fn cut(&self) -> (LogPos, Millis) {
        let lowest = self.0.iter().min_by_key(|marker| (marker.position, marker.ingested_at));
        lowest.map_or((LogPos(0), Millis::MIN), |marker| (marker.position, marker.ingested_at))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cut_is_the_lowest_marker_and_never_goes_back() {
        let marker = |shard, position| Marker { shard, position: LogPos(position), ingested_at: Millis(0) };
        let mut markers = Markers::new(2);
        markers.receive(marker(0, 5));
        assert_eq!(markers.cut().0, LogPos(0));
        markers.receive(marker(1, 3));
        assert_eq!(markers.cut().0, LogPos(3));
        markers.receive(marker(1, 2));
        assert_eq!(markers.cut().0, LogPos(3));
        markers.receive(marker(1, 9));
        assert_eq!(markers.cut().0, LogPos(5));
    }
}
