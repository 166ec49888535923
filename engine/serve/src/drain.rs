//! Going away: one switch that everything long-lived listens to.

use tokio::sync::watch;

/// Tells whether the server is going away. Clones share the switch.
#[derive(Debug, Clone)]
pub struct Drain {
    switch: watch::Receiver<bool>,
}

/// Turns the switch.
#[derive(Debug)]
pub struct DrainSwitch(watch::Sender<bool>);

impl Drain {
    /// A switch that is off, and what listens to it.
    #[must_use]
    pub fn new() -> (DrainSwitch, Drain) {
        let (sender, switch) = watch::channel(false);
        (DrainSwitch(sender), Drain { switch })
    }

    /// Whether the server is going away.
    #[must_use]
    pub fn is_draining(&self) -> bool {
        *self.switch.borrow()
    }

    /// Waits until the server goes away; also ends when nobody can turn the switch any more.
    pub async fn draining(&self) {
        let mut switch = self.switch.clone();
        // An error means the switch is gone, and so is the server.
        let _ = switch.wait_for(|is_draining| *is_draining).await;
    }
}

impl DrainSwitch {
    /// Begins to go away.
    pub fn begin(&self) {
        self.0.send_replace(true);
    }
}
