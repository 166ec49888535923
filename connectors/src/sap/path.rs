//! Names of columns that lie deeper: `E1EDKA1[PARVW=AG].PARTN`, `../AUFNR`.
//!
//! A dot leads into a child segment or a related entity, brackets choose among several by one of
//! their fields, and `../` leads to the segment around.

use smallvec::SmallVec;

/// One step down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Step<'a> {
    /// Name of the child.
    pub name: &'a str,
    /// Field and value by which one of several is chosen.
    pub which: Option<(&'a str, &'a str)>,
}

/// A column's name taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Path<'a> {
    /// How many levels up it begins.
    pub up: usize,
    /// The steps down; the last one is the field.
    pub steps: SmallVec<[Step<'a>; 4]>,
}

impl<'a> Path<'a> {
    /// Takes a name apart. Any text is some name; one that is nonsense names nothing.
    #[must_use]
    pub fn of(column: &'a str) -> Self {
        let mut rest = column;
        let mut up = 0;
        while let Some(outer) = rest.strip_prefix("../") {
            up += 1;
            rest = outer;
        }
        Path { up, steps: rest.split('.').map(step).collect() }
    }
}

fn step(text: &str) -> Step<'_> {
    let which = text.strip_suffix(']').and_then(|text| text.split_once('['));
    match which.and_then(|(name, condition)| Some((name, condition.split_once('=')?))) {
        Some((name, (field, value))) => Step { name, which: Some((field, value)) },
        None => Step { name: text, which: None },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(column: &str, up: usize, expected: &[(&str, Option<(&str, &str)>)]) {
        let path = Path::of(column);
        let steps: Vec<_> = path.steps.iter().map(|step| (step.name, step.which)).collect();
        assert_eq!((path.up, steps.as_slice()), (up, expected), "{column}");
    }

    #[test]
    fn names_lead_up_and_down() {
        check("AUFNR", 0, &[("AUFNR", None)]);
        check("Z1KNA1X.SFACC", 0, &[("Z1KNA1X", None), ("SFACC", None)]);
        check("E1EDKA1[PARVW=AG].PARTN", 0, &[("E1EDKA1", Some(("PARVW", "AG"))), ("PARTN", None)]);
        check("../../AUFNR", 2, &[("AUFNR", None)]);
        check("", 0, &[("", None)]);
        check("A[B].C", 0, &[("A[B]", None), ("C", None)]);
    }
}
