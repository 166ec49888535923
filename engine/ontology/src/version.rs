//! Versions order what a source said; clocks do not.

use compact_str::CompactString;

use crate::time::Millis;

/// A source's version of one row: an ordered tuple whose parts mean what spec section 3 says for
/// that system. Unused parts are zero or empty, so tuples of one source always compare part by part.
///
/// | system | parts |
/// |---|---|
/// | Salesforce | commit timestamp ms, commit number, sequence number |
/// | Oracle, log capture | commit SCN, SCN, ordinal in the transaction |
/// | Oracle, AQ | last update ms, object version |
/// | Webex CC | event time ms, lifecycle rank, -, event id |
/// | people | decided at ms, -, -, actor and id |
/// | SAP | serialisation time, document number, -, document number if not numeric |
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Version {
    /// First part, compared first.
    pub major: u64,
    /// Second part.
    pub minor: u64,
    /// Third part.
    pub ordinal: u64,
    /// Text that breaks what ties are left.
    pub tail: CompactString,
}

impl Version {
    /// A version of three numbers.
    #[must_use]
    pub fn new(major: u64, minor: u64, ordinal: u64) -> Self {
        Version { major, minor, ordinal, tail: CompactString::const_new("") }
    }

    /// A version that ends in text.
    pub fn with_tail(major: u64, minor: u64, ordinal: u64, tail: impl AsRef<str>) -> Self {
        Version { major, minor, ordinal, tail: CompactString::new(tail) }
    }
}

impl std::fmt::Display for Version {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}.{}", self.major, self.minor, self.ordinal)?;
        if !self.tail.is_empty() {
            write!(f, ".{}", self.tail)?;
        }
        Ok(())
    }
}

/// What two values of one field are compared by: the source's version, then the mapping that read
/// it, then, for a refetched image, when it was read.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Stamp {
    /// The source's version.
    pub version: Version,
    /// Version of the mapping file that made the fact.
    pub mapping_version: u32,
    /// When a refetched image was read; [`Millis::MIN`] for a fact that came by itself.
    pub read_at: Millis,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stamp_compares_version_first_then_mapping_then_read_time() {
        let stamp = |major, mapping_version, read_at| Stamp {
            version: Version::new(major, 0, 0),
            mapping_version,
            read_at: Millis(read_at),
        };
        assert!(stamp(2, 0, 0) > stamp(1, 9, 9));
        assert!(stamp(1, 2, 0) > stamp(1, 1, 9));
        assert!(stamp(1, 1, 2) > stamp(1, 1, 1));
        assert_eq!(stamp(1, 1, 1), stamp(1, 1, 1));
    }
}
