//! Writes the stream workload to stdout and, to stderr, the answer of the job over it.
//!
//! ```sh
//! cargo run --release -p opshub-benches --example workload -- 5000 100000 7 > events.jsonl
//! ```
//! Further arguments: the exponent and the shift of the skew; `1 0` makes one customer hot.

use std::io::Write;

use benches::stream::{Workload, checksum, reference};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [customers, events, seed, skew @ ..] = arguments.as_slice() else {
        return Err("say customers, events and seed, then perhaps exponent and shift of the skew".into());
    };
    let mut workload = Workload::new(customers.parse()?, events.parse()?, seed.parse()?);
    if let [exponent, shift] = skew {
        (workload.zipf_s, workload.zipf_q) = (exponent.parse()?, shift.parse()?);
    }
    let bytes = workload.to_bytes();
    std::io::stdout().write_all(&bytes)?;
    eprintln!("answer {}", checksum(reference::fold(&bytes)?));
    Ok(())
}
