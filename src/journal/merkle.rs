//! The Merkle tree of RFC 6962, section 2.1: a leaf is the exact bytes of a journal line, without its newline.
//!
//! Only the tree: what is signed over its root is in `checkpoint`, how one line is proved to a stranger in `prove`.

use sha2::{Digest as _, Sha256};

/// SHA-256, as bytes.
pub(crate) type Hash = [u8; 32];

/// Leaves in order, as hashes. Grows only.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tree {
    leaves: Vec<Hash>,
    /// Roots of the full subtrees, the largest first, each with its number of leaves.
    peaks: Vec<(u64, Hash)>,
}

impl Tree {
    /// The tree of these lines, each without its newline.
    pub(crate) fn of<'a>(lines: impl IntoIterator<Item = &'a [u8]>) -> Self {
        let mut tree = Self::default();
        lines.into_iter().for_each(|line| tree.push(line));
        tree
    }

    /// Adds a line, without its newline.
    pub(crate) fn push(&mut self, line: &[u8]) {
        self.push_leaf(leaf(line));
    }

    fn push_leaf(&mut self, mut hash: Hash) {
        let mut size = 1;
        self.leaves.push(hash);
        while let Some((_, left)) = self.peaks.pop_if(|(leaves, _)| *leaves == size) {
            hash = node(&left, &hash);
            size *= 2;
        }
        self.peaks.push((size, hash));
    }

    /// Number of leaves.
    pub(crate) fn size(&self) -> u64 {
        self.leaves.len() as u64
    }

    /// The root over all leaves.
    pub(crate) fn root(&self) -> Hash {
        let mut peaks = self.peaks.iter().rev();
        let last = peaks.next().map_or_else(|| Sha256::digest([]).into(), |(_, hash)| *hash);
        peaks.fold(last, |right, (_, left)| node(left, &right))
    }

    /// The root over the first leaves; none where there are fewer.
    pub(crate) fn root_at(&self, size: u64) -> Option<Hash> {
        Some(root(self.leaves.get(..usize::try_from(size).ok()?)?))
    }

    /// How many of the first leaves have this root; none where no number of them has.
    pub(crate) fn size_under(&self, root: &Hash) -> Option<u64> {
        let mut grown = Self::default();
        for leaf in &self.leaves {
            grown.push_leaf(*leaf);
            if grown.root() == *root {
                return Some(grown.size());
            }
        }
        None
    }

    /// The audit path of a leaf in the tree of the first `size` leaves, from the leaf up; none where there is no
    /// such leaf.
    pub(crate) fn inclusion(&self, index: u64, size: u64) -> Option<Vec<Hash>> {
        let leaves = self.leaves.get(..usize::try_from(size).ok()?)?;
        let index = usize::try_from(index).ok().filter(|index| *index < leaves.len())?;
        let mut path = Vec::new();
        climb(leaves, index, &mut path);
        Some(path)
    }
}

/// The hash of a leaf.
pub(crate) fn leaf(line: &[u8]) -> Hash {
    Sha256::new().chain_update([0]).chain_update(line).finalize().into()
}

fn node(left: &Hash, right: &Hash) -> Hash {
    Sha256::new().chain_update([1]).chain_update(left).chain_update(right).finalize().into()
}

fn root(leaves: &[Hash]) -> Hash {
    match leaves {
        [] => Sha256::digest([]).into(),
        [one] => *one,
        more => {
            let (left, right) = more.split_at(split(more.len()));
            node(&root(left), &root(right))
        }
    }
}

/// The largest power of two below a number of leaves, of which there are at least two.
fn split(leaves: usize) -> usize {
    1 << (leaves - 1).ilog2()
}

fn climb(leaves: &[Hash], index: usize, path: &mut Vec<Hash>) {
    if leaves.len() < 2 {
        return;
    }
    let at = split(leaves.len());
    let (left, right) = leaves.split_at(at);
    if index < at {
        climb(left, index, path);
        path.push(root(right));
    } else {
        climb(right, index - at, path);
        path.push(root(left));
    }
}

/// The root that an audit path leads to (RFC 9162, section 2.1.3.2); none where the path has not the right length.
pub(crate) fn climbed(leaf: Hash, index: u64, size: u64, path: &[Hash]) -> Option<Hash> {
    if index >= size {
        return None;
    }
    let (mut at, mut last, mut hash) = (index, size - 1, leaf);
    for sibling in path {
        if last == 0 {
            return None;
        }
        if at & 1 == 1 || at == last {
            hash = node(sibling, &hash);
            while at & 1 == 0 && at != 0 {
                at >>= 1;
                last >>= 1;
            }
        } else {
            hash = node(&hash, sibling);
        }
        at >>= 1;
        last >>= 1;
    }
    (last == 0).then_some(hash)
}

#[cfg(test)]
mod tests {
    use ct_merkle::mem_backed_tree::MemoryBackedTree;
    use proptest::prelude::*;
    use sha2::Sha256;

    use super::{Tree, climbed, leaf};
    use crate::journal::hash::hex;

    fn lines(count: usize) -> Vec<Vec<u8>> {
        (0..count).map(|n| format!("line {n} {}", "x".repeat(n % 7)).into_bytes()).collect()
    }

    fn tree(count: usize) -> Tree {
        Tree::of(lines(count).iter().map(Vec::as_slice))
    }

    #[test]
    fn published_vectors() {
        // github.com/google/certificate-transparency, merkletree tests: empty tree, one empty leaf, eight leaves.
        let hex_of = |text: &str| -> Vec<u8> {
            (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
        };
        let leaves =
            ["", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"]
                .map(hex_of);
        let root = |count: usize| hex(&Tree::of(leaves[..count].iter().map(Vec::as_slice)).root());
        assert_eq!(root(0), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
        assert_eq!(root(1), "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d");
        assert_eq!(root(2), "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125");
        assert_eq!(root(8), "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328");
    }

    #[test]
    fn roots_and_paths_are_those_of_another_implementation() {
        let mut oracle: MemoryBackedTree<Sha256, Vec<u8>> = MemoryBackedTree::new();
        let all = lines(70);
        let ours = tree(70);
        for (n, line) in all.iter().enumerate() {
            oracle.push(line.clone());
            let root = oracle.root();
            let theirs: &[u8] = root.as_bytes();
            assert_eq!(ours.root_at(n as u64 + 1).unwrap().as_slice(), theirs);
            assert_eq!(tree(n + 1).root().as_slice(), theirs);
            for at in 0..=n {
                let path = ours.inclusion(at as u64, n as u64 + 1).unwrap().concat();
                assert_eq!(path, oracle.prove_inclusion(at).as_bytes(), "leaf {at} of {}", n + 1);
            }
        }
    }

    proptest! {
        #[test]
        fn a_path_leads_to_the_root_and_no_other_leaf_has_it(count in 1_usize..60, a in any::<prop::sample::Index>(), b in any::<prop::sample::Index>()) {
            let (a, b) = (a.index(count), b.index(count));
            let tree = tree(count);
            let size = count as u64;
            let path = tree.inclusion(a as u64, size).unwrap();
            let line = &lines(count)[b];
            let led = climbed(leaf(line), a as u64, size, &path);
            prop_assert_eq!(led == Some(tree.root()), a == b);
            let mut longer = path.clone();
            longer.push([7; 32]);
            prop_assert_eq!(climbed(leaf(line), a as u64, size, &longer), None);
            if let Some((_, shorter)) = path.split_last() {
                prop_assert_eq!(climbed(leaf(line), a as u64, size, shorter), None);
            }
        }
    }

    #[test]
    fn there_is_no_proof_of_what_is_not_there() {
        let tree = tree(3);
        assert_eq!(tree.inclusion(3, 3), None);
        assert_eq!(tree.inclusion(0, 4), None);
        assert_eq!(tree.root_at(4), None);
        assert_eq!(climbed([0; 32], 3, 3, &[]), None);
        assert_eq!(tree.size(), 3);
    }
}
