//! The hash of a file from the values of its chunks, in whatever order they come (BLAKE3 paper, section 2.1).

use std::collections::BTreeMap;

use blake3::hazmat::{HasherExt as _, Mode, merge_subtrees_non_root, merge_subtrees_root};

/// Bytes of a chunk, but for the last one of a file. A whole subtree of BLAKE3, whose own chunks have 1,024; and with what is said
/// about it one message that every browser takes.
pub const CHUNK: u64 = 64 * 1024;

/// What a chunk is checked with: the chaining value of its subtree, or of a file of one chunk the hash.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Value([u8; 32]);

impl Value {
    /// As it was sent.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// As it is sent.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl std::fmt::Debug for Value {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Value({})", blake3::Hash::from_bytes(self.0).to_hex())
    }
}

/// How a file of a certain size is divided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Chunks {
    size: u64,
}

impl Chunks {
    /// Of a file of so many bytes.
    pub const fn of(size: u64) -> Self {
        Self { size }
    }

    /// How many there are. An empty file has none.
    pub const fn count(self) -> u64 {
        self.size.div_ceil(CHUNK)
    }

    /// Where a chunk begins, in bytes.
    pub const fn start(self, number: u64) -> u64 {
        number * CHUNK
    }

    /// How many bytes a chunk has; none where there is no such chunk.
    pub fn length(self, number: u64) -> usize {
        let start = number.saturating_mul(CHUNK);
        self.size.saturating_sub(start).min(CHUNK) as usize
    }

    /// How many bytes these chunks have together.
    pub fn bytes(self, chunks: &crate::Ranges) -> u64 {
        let last = self.count().saturating_sub(1);
        let short = CHUNK - self.length(last) as u64;
        let missing = if chunks.contains(last) { short } else { 0 };
        (chunks.len() * CHUNK).saturating_sub(missing)
    }

    /// The value of a chunk with this content.
    ///
    /// # Panics
    ///
    /// Where the content does not have the length of that chunk, or is empty.
    pub fn value(self, number: u64, content: &[u8]) -> Value {
        assert!(!content.is_empty() && content.len() == self.length(number), "this is not that chunk");
        if self.count() == 1 {
            return Value(*blake3::hash(content).as_bytes());
        }
        let mut hasher = blake3::Hasher::new();
        hasher.set_input_offset(self.start(number)).update(content);
        Value(hasher.finalize_non_root())
    }
}

/// Values of a file's chunks on the way to its hash. Two neighbours that are there become one value, so that chunks which come more
/// or less in order take next to nothing.
#[derive(Clone, Debug)]
pub struct HashTree {
    chunks: Chunks,
    /// By how many times two became one, and the place among those.
    values: BTreeMap<(u32, u64), Value>,
    hash: Option<blake3::Hash>,
}

impl HashTree {
    /// Of a file of which no chunk is known.
    pub fn new(chunks: Chunks) -> Self {
        let hash = (chunks.count() == 0).then(|| blake3::hash(&[]));
        Self { chunks, values: BTreeMap::new(), hash }
    }

    /// Takes in the value of a chunk, each once.
    pub fn insert(&mut self, number: u64, value: Value) {
        debug_assert!(number < self.chunks.count());
        self.insert_at(0, number, value);
    }

    /// Takes in what another tree of the same file has, of chunks that are not in this one.
    pub fn absorb(&mut self, other: Self) {
        self.hash = self.hash.or(other.hash);
        for ((level, place), value) in other.values {
            self.insert_at(level, place, value);
        }
    }

    fn insert_at(&mut self, mut level: u32, mut place: u64, mut value: Value) {
        if self.chunks.count() == 1 {
            self.hash = Some(blake3::Hash::from_bytes(value.0));
            return;
        }
        while let Some(above) = self.merged(level, place, value) {
            let Merged::Value(merged) = above else { return };
            (level, place, value) = (level + 1, place / 2, merged);
        }
        self.values.insert((level, place), value);
    }

    /// The value of the node above one, where all that is below is known.
    fn merged(&mut self, level: u32, place: u64, value: Value) -> Option<Merged> {
        let beside = place ^ 1;
        if beside >= self.nodes(level) {
            // The last one of an odd number stands for itself a level higher.
            return Some(Merged::Value(value));
        }
        let other = self.values.remove(&(level, beside))?;
        let (left, right) = if place < beside { (value, other) } else { (other, value) };
        if self.nodes(level + 1) == 1 {
            self.hash = Some(merge_subtrees_root(&left.0, &right.0, Mode::Hash));
            return Some(Merged::Hash);
        }
        Some(Merged::Value(Value(merge_subtrees_non_root(&left.0, &right.0, Mode::Hash))))
    }

    fn nodes(&self, level: u32) -> u64 {
        self.chunks.count().div_ceil(1 << level)
    }

    /// The hash of the file, once all chunks are known.
    pub fn hash(&self) -> Option<blake3::Hash> {
        self.hash
    }
}

enum Merged {
    Value(Value),
    Hash,
}

#[cfg(test)]
mod tests {
    use rand::seq::SliceRandom as _;
    use rand::{RngExt as _, SeedableRng as _};
    use rand_pcg::Pcg64;

    use super::*;

    fn content(size: u64, seed: u64) -> Vec<u8> {
        let mut rng = Pcg64::seed_from_u64(seed);
        (0..size).map(|_| rng.random()).collect()
    }

    #[test]
    fn chunks_in_any_order_have_the_hash_of_the_whole() {
        for size in [
            0,
            1,
            CHUNK - 1,
            CHUNK,
            CHUNK + 1,
            2 * CHUNK,
            2 * CHUNK + 1,
            3 * CHUNK,
            5 * CHUNK + 7,
            16 * CHUNK,
            37 * CHUNK - 1,
        ] {
            let (content, chunks) = (content(size, size), Chunks::of(size));
            let mut tree = HashTree::new(chunks);
            let mut order: Vec<u64> = (0..chunks.count()).collect();
            order.shuffle(&mut Pcg64::seed_from_u64(size));
            let mut apart = HashTree::new(chunks);
            for number in order.split_off(order.len() / 2) {
                let start = chunks.start(number) as usize;
                apart.insert(number, chunks.value(number, &content[start..start + chunks.length(number)]));
            }
            tree.absorb(apart);
            for number in order {
                assert_eq!(tree.hash(), None);
                let start = chunks.start(number) as usize;
                tree.insert(number, chunks.value(number, &content[start..start + chunks.length(number)]));
            }
            assert_eq!(tree.hash(), Some(blake3::hash(&content)), "{size} bytes");
        }
    }

    #[test]
    fn a_file_in_order_takes_no_memory_to_speak_of() {
        let mut tree = HashTree::new(Chunks::of(1_000_000 * CHUNK));
        for number in 0..1_000_000 {
            tree.insert(number, Value([7; 32]));
            assert!(tree.values.len() <= 20);
        }
        assert!(tree.hash().is_some() && tree.values.is_empty());
    }

    #[test]
    fn the_bytes_of_some_chunks_are_counted_with_the_short_one_at_the_end() {
        let chunks = Chunks::of(3 * CHUNK + 5);
        assert_eq!((chunks.count(), chunks.length(3), chunks.length(4)), (4, 5, 0));
        assert_eq!(chunks.bytes(&[0, 3].into_iter().collect()), CHUNK + 5);
        assert_eq!(chunks.bytes(&crate::Ranges::below(4)), 3 * CHUNK + 5);
        assert_eq!(Chunks::of(0).bytes(&crate::Ranges::default()), 0);
    }
}
