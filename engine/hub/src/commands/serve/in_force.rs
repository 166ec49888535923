//! The configuration in force: what a running hub was started with, and what it took over since.
//!
//! Metrics tell a digest of it, so that somebody sees which processes hold by which keys, and whether a file
//! that was changed was read again.

use serve::auth::Callers;
use serve::metrics;
use sha2::{Digest as _, Sha256};

use crate::config::{self, ApiSection, ConfigFile};

/// Bytes of the digest that are told: as a number they fit a metric exactly.
const TOLD_BYTES: usize = 6;

/// The keys by which a hub runs, after file, environment and flags, defaults included. Secrets stand there by
/// reference.
pub(super) struct InForce(ConfigFile);

impl InForce {
    /// What a hub is started with.
    pub(super) fn new(file: ConfigFile) -> Self {
        let in_force = InForce(file);
        in_force.tell(true);
        in_force
    }

    /// Takes over who may call the API from what was `read` again, as at the start. What cannot be used changes
    /// nothing.
    pub(super) fn reload(&mut self, read: Result<ConfigFile, config::Error>, callers: &Callers) {
        let taken = read.map_err(anyhow::Error::from).and_then(|file| {
            let config = file.clone().resolve()?;
            callers.replace(config.api.authentication)?;
            Ok(file)
        });
        let is_taken = taken.is_ok();
        metrics::CONFIG_RELOADS.add(&[if is_taken { "taken" } else { "refused" }], 1);
        match taken {
            Ok(file) => {
                let ApiSection { tokens, jwt, callers, .. } = file.api;
                self.0.api = ApiSection { tokens, jwt, callers, ..std::mem::take(&mut self.0.api) };
                tracing::info!("the callers of the API were read again; other changes wait for a restart");
            }
            Err(error) => tracing::error!(error = format!("{error:#}"), "the callers of the API stay as they were"),
        }
        self.tell(is_taken);
    }

    fn tell(&self, is_taken: bool) {
        metrics::CONFIG_LAST_RELOAD.set(&[], f64::from(u8::from(is_taken)));
        #[allow(clippy::cast_precision_loss, reason = "48 bits are exact")]
        metrics::CONFIG_HASH.set(&[], self.hash() as f64);
    }

    /// The beginning of a digest of the keys.
    fn hash(&self) -> u64 {
        let digest = Sha256::digest(format!("{:?}", self.0));
        digest[..TOLD_BYTES].iter().fold(0, |hash, byte| (hash << 8) | u64::from(*byte))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use serve::auth::Authentication;

    use super::*;

    fn read(text: &str) -> Result<ConfigFile, config::Error> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("opshub.toml");
        std::fs::write(&path, text).unwrap();
        config::read(Some(&path), std::iter::empty())
    }

    #[test]
    fn the_digest_is_of_what_holds_and_the_outcome_of_the_last_reading() {
        let recorder = metrics::recorder().unwrap();
        let figure = |name: &str| {
            let page = recorder.handle().render();
            let line = page.lines().find(|line| line.starts_with(name)).unwrap();
            line.rsplit_once(' ').unwrap().1.parse::<f64>().unwrap()
        };
        let (hash, outcome) = (|| figure("opshub_config_hash "), || figure("opshub_config_last_reload_successful "));
        ::metrics::with_local_recorder(&recorder, || {
            let callers = Callers::new(Authentication::default());
            let mut in_force = InForce::new(read("").unwrap());
            let begun = hash();
            assert_eq!((outcome(), begun), (1.0, InForce::new(read("[engine]\nshards = 1\n").unwrap()).hash() as f64));
            in_force.reload(read("[api\n"), &callers);
            assert_eq!((outcome(), hash()), (0.0, begun), "what holds stays");
            in_force.reload(read("[engine]\nshards = 0\n"), &callers);
            assert_eq!((outcome(), hash()), (0.0, begun));
            in_force.reload(read("[engine]\nshards = 2\n"), &callers);
            assert_eq!((outcome(), hash()), (1.0, begun), "the shards wait for a restart");
            let secret = tempfile::NamedTempFile::new().unwrap();
            std::fs::write(secret.path(), "word").unwrap();
            let token = format!(
                "[[api.tokens]]\nname = \"desk\"\nroles = [\"agent\"]\ntoken = \"file:{}\"\n",
                secret.path().display()
            );
            in_force.reload(read(&token), &callers);
            let with_token = hash();
            assert!(outcome() == 1.0 && with_token != begun && with_token < 2_f64.powi(48));
            in_force.reload(read(""), &callers);
            assert_eq!((outcome(), hash()), (0.0, with_token), "nobody takes the place of somebody");
        });
    }
}
