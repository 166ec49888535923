//! Points on the map: by distance.

use super::{Comparison, Subject, bits};
use crate::feature::{Feature, Level, Levels};
use crate::standard::Part;

pub(super) const COMPARISON: Comparison = Comparison { needs: bits([Part::Geo]), sets: &[Feature::Geo], compare };

/// Metres of a degree along a meridian.
const METRES_OF_DEGREE: f64 = 111_195.0;

/// Distances in metres up to which points are one, neighbours, of one town, of one region.
const BOUNDS: [(f64, Level); 4] =
    [(60.0, Level::Exact), (500.0, Level::Close), (5_000.0, Level::Near), (50_000.0, Level::Partial)];

fn compare(left: &Subject, right: &Subject, levels: &mut Levels) {
    let points = (point(left), point(right));
    if let (Some(a), Some(b)) = points {
        let metres = distance_metres(a, b);
        let level = BOUNDS.iter().find(|(bound, _)| metres <= *bound).map_or(Level::Different, |(_, level)| *level);
        levels.set(Feature::Geo, level);
    }
}

fn point(subject: &Subject) -> Option<(f64, f64)> {
    let (latitude, longitude) = subject.standard.text(Part::Geo).split_once(' ')?;
    Some((latitude.parse().ok()?, longitude.parse().ok()?))
}

/// Distance as on a flat map at the mean latitude: exact enough up to the last bound.
fn distance_metres(a: (f64, f64), b: (f64, f64)) -> f64 {
    let north = a.0 - b.0;
    let around = (a.1 - b.1).abs();
    let east = around.min(360.0 - around) * ((a.0 + b.0) / 2.0).to_radians().cos();
    (north * north + east * east).sqrt() * METRES_OF_DEGREE
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compare::testing::check;
    use crate::kind::Kind;

    #[test]
    fn points() {
        let pairs = |a: (&'static str, &'static str), b: (&'static str, &'static str), level| {
            let of = |(latitude, longitude)| [(Kind::Latitude, latitude), (Kind::Longitude, longitude)];
            check(&of(a), &of(b), Feature::Geo, level);
        };
        pairs(("52.5200", "13.4050"), ("52.5201", "13.4051"), Level::Exact);
        pairs(("52.5200", "13.4050"), ("52.5200", "13.4110"), Level::Close);
        pairs(("52.5200", "13.4050"), ("52.5500", "13.4050"), Level::Near);
        pairs(("52.5200", "13.4050"), ("52.4000", "13.0600"), Level::Partial);
        pairs(("52.5200", "13.4050"), ("48.1400", "11.5800"), Level::Different);
        pairs(("0", "179.9999"), ("0", "-179.9999"), Level::Exact);
        pairs(("95", "0"), ("95", "0"), Level::Silent);
    }
}
