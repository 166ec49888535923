//! A bar on a terminal, and nothing elsewhere.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use offline::Progress;

/// How often the bar moves while nothing is told.
const TICK: Duration = Duration::from_millis(120);

/// The bar of one command, on standard error.
#[derive(Debug)]
pub(super) struct Bar(ProgressBar);

impl Bar {
    pub(super) fn start() -> Self {
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
        let style = ProgressStyle::with_template("{spinner} {msg}  {elapsed}").expect("the template is a constant");
        bar.set_style(style);
        bar.enable_steady_tick(TICK);
        Bar(bar)
    }

    pub(super) fn tell(&self, step: Progress) {
        self.0.set_message(match step {
            Progress::Read(records) => format!("{records} records"),
            Progress::Resolving => "deciding the last records".to_owned(),
            Progress::Counting => "comparing pairs".to_owned(),
            Progress::Fitting => "fitting chances".to_owned(),
        });
    }

    pub(super) fn end(self) {
        self.0.finish_and_clear();
    }
}
