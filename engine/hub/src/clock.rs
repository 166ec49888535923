//! Clocks. The hub's own is the wall; the demo and tests run on story time.

use std::sync::Mutex;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use connectors::Clock;
use ontology::Millis;

/// The wall clock, never going back: engine time is the largest of what was seen so far.
#[derive(Debug)]
pub struct WallClock(Mutex<Millis>);

impl Default for WallClock {
    fn default() -> Self {
        WallClock(Mutex::new(Millis::MIN))
    }
}

impl Clock for WallClock {
    fn now(&self) -> Millis {
        // The one place where the hub reads the time of day; everything else is told.
        #[allow(clippy::disallowed_methods, reason = "the outermost layer is where time enters")]
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let wall = Millis(i64::try_from(since_epoch.as_millis()).unwrap_or(i64::MAX));
        let mut last = self.0.lock().expect("no holder of the clock panics");
        *last = wall.max(*last);
        *last
    }
}

/// Story time: stands still, jumps, or runs at a multiple of real time.
#[derive(Debug)]
pub struct StoryClock(Mutex<Story>);

#[derive(Debug)]
struct Story {
    /// Story time at `since`.
    at: Millis,
    /// Real time from which it runs; none while it stands still.
    since: Option<Instant>,
    speed: f64,
}

impl StoryClock {
    /// A clock that stands still at `at`.
    #[must_use]
    pub fn standing(at: Millis) -> Self {
        StoryClock(Mutex::new(Story { at, since: None, speed: 1.0 }))
    }

    /// Moves a standing clock forward to `at`; never back.
    pub fn advance_to(&self, at: Millis) {
        let mut story = self.lock();
        story.at = at.max(story.at);
    }

    /// Lets story time run from here at `speed` story seconds a second.
    #[allow(clippy::disallowed_methods, reason = "the outermost layer is where time enters")]
    pub fn run(&self, speed: f64) {
        let mut story = self.lock();
        story.at = read(&story);
        story.speed = speed;
        story.since = Some(Instant::now());
    }

    /// Lets it stand still at `at`, or where it is if that is later.
    pub fn stand_at(&self, at: Millis) {
        let mut story = self.lock();
        story.at = at.max(story.at);
        story.since = None;
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Story> {
        self.0.lock().expect("no holder of the clock panics")
    }
}

#[allow(clippy::cast_possible_truncation, reason = "a story lasts less than 2^53 milliseconds")]
fn read(story: &Story) -> Millis {
    match story.since {
        None => story.at,
        Some(since) => story.at + (since.elapsed().as_secs_f64() * 1_000.0 * story.speed) as i64,
    }
}

impl Clock for StoryClock {
    fn now(&self) -> Millis {
        read(&self.lock())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn story_time_jumps_forward_only() {
        let clock = StoryClock::standing(Millis(10));
        clock.advance_to(Millis(5));
        assert_eq!(clock.now(), Millis(10));
        clock.advance_to(Millis(50));
        assert_eq!(clock.now(), Millis(50));
    }
}
