//! Sets of small numbers.

/// A set of the numbers below a bound.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Bits(Vec<u64>);

impl Bits {
    /// The empty set.
    pub(crate) fn new(bound: usize) -> Self {
        Self(vec![0; bound.div_ceil(64)])
    }

    pub(crate) fn set(&mut self, number: usize) {
        self.0[number / 64] |= 1 << (number % 64);
    }

    pub(crate) fn clear(&mut self, number: usize) {
        self.0[number / 64] &= !(1 << (number % 64));
    }

    pub(crate) fn get(&self, number: usize) -> bool {
        self.0[number / 64] & (1 << (number % 64)) != 0
    }

    /// Whether everything in this set is in another one of the same bound.
    pub(crate) fn is_subset(&self, other: &Self) -> bool {
        self.0.iter().zip(&other.0).all(|(mine, others)| mine & !others == 0)
    }

    /// The set in the least room: without the full words at its beginning and the empty ones at its end.
    pub(crate) fn window(&self) -> Window {
        let start = self.0.iter().take_while(|word| **word == u64::MAX).count();
        let end = self.0.iter().rposition(|word| *word != 0).map_or(0, |last| last + 1);
        Window {
            start,
            words: self.0.get(start..end).unwrap_or_default().into(),
        }
    }
}

/// What tells a set from all others of its bound.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Window {
    start: usize,
    words: Box<[u64]>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_tell_sets_apart() {
        let of = |numbers: &[usize]| {
            let mut bits = Bits::new(200);
            numbers.iter().for_each(|number| bits.set(*number));
            bits
        };
        let first_words: Vec<_> = (0..128).collect();
        let mut sets = vec![of(&[]), of(&[0]), of(&[199]), of(&[64]), of(&first_words)];
        sets.push(of(&first_words[..64]));
        sets.push(of(&[&first_words[..], &[130]].concat()));
        for (index, one) in sets.iter().enumerate() {
            for (other_index, other) in sets.iter().enumerate() {
                assert_eq!(
                    one.window() == other.window(),
                    index == other_index,
                    "{one:?} {other:?}"
                );
            }
        }
        let mut cleared = of(&[5, 70]);
        cleared.clear(70);
        assert_eq!(cleared.window(), of(&[5]).window());
        assert!(cleared.get(5) && !cleared.get(70));
        assert!(cleared.is_subset(&of(&[5, 70])) && !of(&[5, 70]).is_subset(&cleared));
    }
}
