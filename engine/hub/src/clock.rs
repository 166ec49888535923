//! Clocks. The hub's own is the wall; the demo and tests run on story time.

use std::sync::Mutex;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use connectors::Clock;
use ontology::Millis;

/// How far the machine's clock may be from steady time before it counts as having jumped. Below, its
/// steps are taken over at once.
const JUMP_MS: i64 = 5_000;
/// Up to this distance time goes towards a clock that jumped, at half or double its pace. Farther away
/// nobody knows which of the two is right, and time goes on as if nothing had happened.
const REACH_MS: i64 = Millis::HOUR_MS;

/// The machine's clock, made steady: time never goes back and never jumps, whatever is done to the
/// clock. What time has passed cannot be taken back: timers have fired, and facts are stamped.
#[derive(Debug, Default)]
pub struct WallClock(Mutex<Steady>);

impl Clock for WallClock {
    fn now(&self) -> Millis {
        // The one place where the hub reads the time of day; everything else is told.
        #[allow(clippy::disallowed_methods, reason = "the outermost layer is where time enters")]
        let (since_epoch, now) = (SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default(), Instant::now());
        let wall = Millis(i64::try_from(since_epoch.as_millis()).unwrap_or(i64::MAX));
        let mut steady = self.0.lock().expect("no holder of the clock panics");
        let begun = *steady.begun.get_or_insert(now);
        let running_ms = i64::try_from(now.duration_since(begun).as_millis()).unwrap_or(i64::MAX);
        let (time, heard) = steady.read(wall, running_ms);
        match heard {
            Heard::Fits => {}
            Heard::Jumped(apart_ms) => {
                tracing::warn!(
                    apart_ms,
                    "the machine's clock has jumped; time goes on at a steady pace: see `opshub doctor`"
                );
            }
            Heard::FitsAgain => tracing::info!("the machine's clock fits again"),
        }
        if heard != Heard::Fits || steady.has_jumped {
            serve::metrics::CLOCK_APART_SECONDS.set(&[], seconds(wall.since(time)));
        }
        time
    }
}

#[allow(clippy::cast_precision_loss, reason = "a distance for a gauge")]
fn seconds(ms: i64) -> f64 {
    ms as f64 / 1_000.0
}

/// Time that passes at the pace of a clock that nobody sets, near the one that people set.
#[derive(Debug, Default)]
struct Steady {
    begun: Option<Instant>,
    /// The newest time told, and for how long the process had been running then.
    told: Option<(Millis, i64)>,
    has_jumped: bool,
}

/// What a look at the machine's clock showed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Heard {
    /// Nothing new.
    Fits,
    /// It is this many milliseconds ahead of steady time now.
    Jumped(i64),
    /// It is near steady time once more.
    FitsAgain,
}

impl Steady {
    /// The time, when the machine's clock shows `wall` and the process has run for `running_ms`.
    fn read(&mut self, wall: Millis, running_ms: i64) -> (Millis, Heard) {
        let Some((last, at_ms)) = self.told else {
            self.told = Some((wall, running_ms));
            return (wall, Heard::Fits);
        };
        let passed_ms = (running_ms - at_ms).max(0);
        let apart_ms = wall.0.saturating_sub(last.0.saturating_add(passed_ms));
        let has_jumped = apart_ms.abs() > JUMP_MS;
        let time = if !has_jumped {
            wall.max(last)
        } else if apart_ms.abs() <= REACH_MS {
            // Of the running time, so that halves of single milliseconds add up.
            let half_ms = running_ms / 2 - at_ms / 2;
            last + (passed_ms + apart_ms.clamp(-half_ms, passed_ms))
        } else {
            last + passed_ms
        };
        let heard = match (std::mem::replace(&mut self.has_jumped, has_jumped), has_jumped) {
            (false, true) => Heard::Jumped(apart_ms),
            (true, false) => Heard::FitsAgain,
            (false, false) | (true, true) => Heard::Fits,
        };
        self.told = Some((time, running_ms));
        (time, heard)
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
    use sim::Chance;

    use super::*;

    const NOON: Millis = Millis(1_773_144_000_000);

    /// Time told after each of these looks at the clock: what it shows, and how long the process runs.
    fn times(looks: &[(i64, i64)]) -> Vec<i64> {
        let mut steady = Steady::default();
        looks.iter().map(|(wall, running_ms)| steady.read(NOON + *wall, *running_ms).0.since(NOON)).collect()
    }

    #[test]
    fn small_steps_are_taken_over_and_time_never_goes_back() {
        assert_eq!(times(&[(0, 0), (1_000, 1_000), (6_000, 1_000), (3_000, 1_500)]), [0, 1_000, 6_000, 6_000]);
        assert_eq!(times(&[(0, 0), (5_000, 0)]), [0, 5_000]);
        assert_eq!(times(&[(0, 0), (5_001, 0)]), [0, 0], "one millisecond more is a jump");
    }

    #[test]
    fn time_goes_towards_a_clock_that_jumped_a_little() {
        // Ten seconds ahead: at double pace, until it is near.
        assert_eq!(times(&[(0, 0), (10_000, 0), (12_000, 2_000), (17_000, 7_000)]), [0, 0, 4_000, 14_000]);
        assert_eq!(times(&[(0, 0), (10_000, 0), (16_000, 6_000), (17_000, 7_000)]), [0, 0, 12_000, 17_000], "near");
        // Ten seconds back: at half its pace.
        assert_eq!(times(&[(0, 0), (-10_000, 0), (-8_000, 2_000)]), [0, 0, 1_000]);
        let each_millisecond: Vec<(i64, i64)> = (0..=2_000).map(|at| (at - 10_000 * at.min(1), at)).collect();
        assert_eq!(times(&each_millisecond).last(), Some(&1_000));
    }

    #[test]
    fn nothing_is_concluded_from_a_clock_that_jumped_by_years() {
        let years = 10 * 365 * Millis::DAY_MS;
        assert_eq!(times(&[(0, 0), (years, 1_000), (years + 1_000, 2_000), (3_000, 3_000)]), [0, 1_000, 2_000, 3_000]);
        assert_eq!(times(&[(0, 0), (-years, 1_000), (2_000, 2_000)]), [0, 1_000, 2_000]);
    }

    #[test]
    fn a_jump_is_told_once() {
        let mut steady = Steady::default();
        let looks = [(0, 0), (2 * Millis::HOUR_MS, 1), (2 * Millis::HOUR_MS + 1, 2), (3, 3), (4, 4)];
        let heard: Vec<Heard> = looks.iter().map(|(wall, running)| steady.read(NOON + *wall, *running).1).collect();
        let jumped = Heard::Jumped(2 * Millis::HOUR_MS - 1);
        assert_eq!(heard, [Heard::Fits, jumped, Heard::Fits, Heard::FitsAgain, Heard::Fits]);
    }

    #[test]
    fn whatever_is_done_to_the_clock_time_keeps_its_pace() {
        for seed in 0..500 {
            let mut chance = Chance::of(seed);
            let mut steady = Steady::default();
            let (mut offset, mut running_ms) = (0, 0);
            let (mut last, _) = steady.read(NOON, 0);
            for _ in 0..200 {
                let passed_ms = chance.between(0, 20_000);
                running_ms += passed_ms;
                if chance.is(10) {
                    let hour = Millis::HOUR_MS;
                    offset += [-hour, hour, 2 * hour, -2 * hour, 87_600 * hour, -87_600 * hour][chance.below(6)];
                }
                let (time, _) = steady.read(NOON + (running_ms + offset), running_ms);
                let step_ms = time.since(last);
                assert!((0..=2 * passed_ms + JUMP_MS).contains(&step_ms), "seed {seed}: {step_ms} of {passed_ms}");
                last = time;
            }
        }
    }

    #[test]
    fn story_time_jumps_forward_only() {
        let clock = StoryClock::standing(Millis(10));
        clock.advance_to(Millis(5));
        assert_eq!(clock.now(), Millis(10));
        clock.advance_to(Millis(50));
        assert_eq!(clock.now(), Millis(50));
    }
}
