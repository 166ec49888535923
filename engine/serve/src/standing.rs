//! Whether a process reaches what it stands on: the log that it writes or reads, and the rows.
//!
//! A process that is cut off goes on answering reads from what it has, and each answer tells how fresh that
//! is; what is written is refused until the servers answer again. So it lives, and is not to be ended: it
//! says that it does not serve, and what is missing.

use std::sync::Arc;

use tokio::sync::watch;

use crate::metrics;

/// What a process may be cut off from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// The servers of the log, or, for one who follows, the owner's word in it.
    Log,
    /// The servers of the rows.
    Rows,
}

/// Every part, as people and as metrics name it.
const PARTS: [(Part, &str, &str); 2] = [(Part::Log, "the log", "log"), (Part::Rows, "the rows", "rows")];

/// What a process reaches. Clones know the same.
#[derive(Debug, Clone)]
pub struct Standing(Arc<watch::Sender<[bool; PARTS.len()]>>);

impl Default for Standing {
    /// Everything is reached.
    fn default() -> Self {
        Standing(Arc::new(watch::Sender::new([true; PARTS.len()])))
    }
}

impl Standing {
    /// Tells the metric how it stands, which else hears of changes only.
    pub fn tell(&self) {
        for ((_, _, label), is_reached) in PARTS.iter().zip(*self.0.borrow()) {
            metrics::REACHED.set(&[label], f64::from(u8::from(is_reached)));
        }
    }

    /// Notes whether a part was reached when it was asked last.
    pub fn note(&self, part: Part, is_reached: bool) {
        let place = PARTS.iter().position(|(one, _, _)| *one == part).expect("every part stands in the table");
        let has_changed = self.0.send_if_modified(|reached| {
            let before = std::mem::replace(&mut reached[place], is_reached);
            before != is_reached
        });
        if has_changed {
            metrics::REACHED.set(&[PARTS[place].2], f64::from(u8::from(is_reached)));
        }
        if has_changed && is_reached {
            tracing::info!(part = PARTS[place].1, "reached again");
        } else if has_changed {
            tracing::warn!(part = PARTS[place].1, "not reached: reads go on with what is here");
        }
    }

    /// What is not reached, in words; empty if nothing is missing.
    #[must_use]
    pub fn lacks(&self) -> String {
        let reached = *self.0.borrow();
        let lacking = PARTS.iter().zip(reached).filter(|(_, is_reached)| !is_reached).map(|((_, name, _), _)| *name);
        lacking.collect::<Vec<_>>().join(" and ")
    }

    /// Whether everything is reached.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.0.borrow().iter().all(|is_reached| *is_reached)
    }

    /// Waits until whether everything is reached is other than `was`.
    pub async fn changes(&self, was: bool) {
        let mut reached = self.0.subscribe();
        // The sender lives as long as this.
        let _ = reached.wait_for(|reached| reached.iter().all(|it| *it) != was).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_is_missing_is_told_until_it_is_there_again() {
        let standing = Standing::default();
        assert_eq!((standing.is_whole(), standing.lacks()), (true, String::new()));
        standing.note(Part::Rows, false);
        standing.changes(true).await;
        standing.clone().note(Part::Log, false);
        assert_eq!((standing.is_whole(), standing.lacks()), (false, "the log and the rows".to_owned()));
        standing.note(Part::Rows, true);
        assert_eq!((standing.is_whole(), standing.lacks()), (false, "the log".to_owned()));
        standing.note(Part::Log, true);
        standing.changes(false).await;
        assert!(standing.is_whole());
    }
}
