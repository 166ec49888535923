//! Which shard a key belongs to, and running one piece of work per shard.

use ontology::{EntityKey, Vocabulary};

/// FNV-1a over the key: the same on every machine and in every run, because partitions outlive both.
#[must_use]
pub fn shard_of(key: &EntityKey, shards: usize) -> usize {
    if shards == 1 {
        return 0;
    }
    let bytes = std::iter::once(key.kind.code()).chain(key.id.bytes());
    let hash =
        bytes.fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
    usize::try_from(hash % shards as u64).expect("a remainder of a usize fits in it")
}

/// Below this many inputs a thread costs more than it saves.
const INPUTS_PER_THREAD_MIN: usize = 64;

/// Runs `work` once per shard with that shard's input, on threads where it pays by what `len_of`
/// says of the inputs, and returns the results in shard order.
pub fn run<S: Send, I: Send, O: Send>(
    shards: &mut [S],
    inputs: Vec<I>,
    len_of: impl Fn(&I) -> usize,
    work: impl Fn(usize, &mut S, I) -> O + Sync,
) -> Vec<O> {
    let total: usize = inputs.iter().map(len_of).sum();
    if shards.len() == 1 || total < INPUTS_PER_THREAD_MIN * 2 {
        return shards.iter_mut().zip(inputs).enumerate().map(|(i, (shard, input))| work(i, shard, input)).collect();
    }
    std::thread::scope(|scope| {
        let work = &work;
        let threads: Vec<_> = shards
            .iter_mut()
            .zip(inputs)
            .enumerate()
            .map(|(i, (shard, input))| scope.spawn(move || work(i, shard, input)))
            .collect();
        threads.into_iter().map(|thread| thread.join().expect("a shard does not panic")).collect()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use ontology::EntityKind;

    #[test]
    fn keys_spread_over_shards_and_stay_there() {
        let mut counts = [0; 4];
        for i in 0..4_000 {
            counts[shard_of(&EntityKey::new(EntityKind::Case, format!("SF-{i}")), 4)] += 1;
        }
        assert!(counts.iter().all(|count| (800..1_200).contains(count)), "{counts:?}");
    }

    #[test]
    fn results_come_in_shard_order_with_and_without_threads() {
        for inputs in [1, 500] {
            let mut shards = [10, 20, 30];
            let given = (0..3).map(|_| vec![1; inputs]).collect();
            let sums = run(&mut shards, given, Vec::len, |i, shard, input: Vec<i32>| (i, *shard, input.len()));
            assert_eq!(sums, [(0, 10, inputs), (1, 20, inputs), (2, 30, inputs)]);
        }
    }
}
