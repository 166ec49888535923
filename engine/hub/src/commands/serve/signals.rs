//! What asks a hub to end.

use tokio::sync::oneshot;

use crate::commands::Ending;

/// What ends the hub: an interrupt from the terminal, or the word or the end of whoever runs it.
pub(super) struct Signals {
    ending: Ending,
    /// Resolves when standard input has ended; none if that does not matter, or not any more.
    input_end: Option<oneshot::Receiver<()>>,
}

impl Signals {
    /// Listens from here on.
    pub(super) fn new(until_input_ends: bool) -> std::io::Result<Self> {
        Ok(Signals { ending: Ending::new()?, input_end: until_input_ends.then(input_end).transpose()? })
    }

    /// Waits for the next of them.
    pub(super) async fn next(&mut self) {
        let input_ends = async {
            match &mut self.input_end {
                // A sender that is gone has heard the end, too.
                Some(end) => drop(end.await),
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = self.ending.asked() => {}
            () = input_ends => self.input_end = None,
        }
    }
}

/// Reads standard input to its end, on a thread that may wait for ever.
fn input_end() -> std::io::Result<oneshot::Receiver<()>> {
    let (tell, told) = oneshot::channel();
    std::thread::Builder::new().name("opshub-input".to_owned()).spawn(move || {
        // What is said there does not matter, and one that cannot be read has ended.
        let _ = std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
        let _ = tell.send(());
    })?;
    Ok(told)
}
