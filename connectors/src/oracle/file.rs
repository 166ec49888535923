//! Change envelopes from JSON-lines files.
