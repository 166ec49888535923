//! Trying a source out before it is relied on: credentials, permissions, clock, one event end to end.

/// One thing that was tried.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trial {
    /// What, for example `login`.
    pub what: String,
    /// What was found, or what is wrong in the vendor's words and what to do about it.
    pub result: Result<String, String>,
}

impl Trial {
    /// It went well.
    pub fn good(what: impl Into<String>, found: impl Into<String>) -> Self {
        Trial { what: what.into(), result: Ok(found.into()) }
    }

    /// Something is wrong.
    pub fn bad(what: impl Into<String>, wrong: impl Into<String>) -> Self {
        Trial { what: what.into(), result: Err(wrong.into()) }
    }
}
