//! Stories: facts, clock steps, calls and faults in order, with what the hub must make of them.
//!
//! A story is played in story time against the real engine and a real store, without sleeping, so
//! a rule or a threshold can be tried on months of history in milliseconds. [`Story`] is the file
//! format, [`plan`] turns it into facts and instants, [`stage`] plays it, [`check`] compares.

pub mod asked;
pub mod check;
pub mod deliver;
pub mod expect;
mod fact;
mod home;
mod load;
mod native;
pub mod plan;
mod play;
mod report;
pub mod stage;
pub mod step;
pub mod story;
pub mod time;
mod words;

pub use load::{Loaded, load, schema};
pub use play::{Extra, play, play_all};
pub use report::{Difference, Outcome, Report};
pub use story::Story;

/// Why a story cannot be played. What the hub does wrong is never an error but a [`Difference`].
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file says something that is not a story.
    #[error("read story {file}{}: {why}", line.map(|line| format!(", line {line}")).unwrap_or_default())]
    Format {
        /// The file.
        file: String,
        /// The line, where it is known; counts from 1.
        line: Option<usize>,
        /// What is wrong.
        why: String,
    },
    /// A file that cannot be read.
    #[error("read {file}: {why}")]
    Read {
        /// The file or folder.
        file: String,
        /// Why not.
        why: std::io::Error,
    },
    /// The store or the engine under a story failed.
    #[error("play story {story}: {why}")]
    Play {
        /// The story.
        story: String,
        /// What failed.
        why: anyhow::Error,
    },
}
