//! A digest as words, to be read over the phone: one word for each of its first bytes.

use sha2::{Digest as _, Sha256};

/// How many bytes, and so words, are read: 64 bits. Whoever wants another key with the same words tries 2^64 of them.
const COUNT: usize = 8;

/// The words of some text or bytes: those of its SHA-256.
pub(crate) fn of(bytes: &[u8]) -> String {
    let digest = Sha256::digest(bytes);
    let words = digest.iter().take(COUNT).filter_map(|byte| WORDS.get(usize::from(*byte)).copied());
    words.collect::<Vec<_>>().join(" ")
}

/// A word for each value of a byte. Plain words of three to six letters; no two differ in one letter only.
#[rustfmt::skip]
const WORDS: [&str; 256] = [
    "acorn", "actor", "adult", "album", "alley", "amber", "anchor", "angle", "apple", "arctic", "armor", "arrow",
    "attic", "autumn", "avenue", "axis", "bacon", "badge", "bagel", "bamboo", "banjo", "barrel", "beard", "bonus",
    "border", "bottle", "brave", "bread", "brick", "bridge", "bronze", "bubble", "bucket", "bundle", "butter",
    "button", "cabin", "camel", "candle", "carpet", "castle", "cedar", "cellar", "cement", "cherry", "circle",
    "citrus", "clever", "cliff", "clock", "column", "copper", "coral", "corner", "cotton", "cousin", "coyote",
    "cradle", "cream", "crown", "cycle", "daisy", "daring", "decade", "deer", "delta", "denim", "desert", "dinner",
    "doctor", "donkey", "double", "dragon", "dune", "easel", "echo", "effort", "elbow", "eleven", "empire", "enjoy",
    "equal", "escape", "estate", "exit", "falcon", "family", "farmer", "fence", "fiddle", "filter", "flame", "fog",
    "forest", "fossil", "frozen", "fruit", "galaxy", "gate", "gentle", "giant", "glove", "goat", "gold", "grape",
    "gravel", "guitar", "harbor", "hazel", "hockey", "horse", "hotel", "hunter", "igloo", "index", "island", "jewel",
    "jigsaw", "jungle", "kayak", "kettle", "kitten", "kiwi", "ladder", "lagoon", "lamp", "laptop", "lava", "lawyer",
    "lemon", "linen", "lizard", "lumber", "lunar", "mango", "maple", "marble", "market", "medal", "mentor", "motor",
    "muffin", "museum", "napkin", "nature", "needle", "nephew", "nickel", "noon", "nutmeg", "oak", "oasis", "oboe",
    "ocean", "office", "onion", "orange", "orchid", "organ", "oven", "oyster", "paddle", "palace", "paper", "parrot",
    "pasta", "peanut", "pebble", "pencil", "piano", "picnic", "pigeon", "pilot", "pirate", "planet", "plaza", "plum",
    "pocket", "poem", "polar", "pony", "potato", "powder", "puzzle", "quartz", "queen", "quiet", "rabbit", "radar",
    "raven", "razor", "reef", "ribbon", "river", "rodeo", "ruby", "rug", "salmon", "sandal", "satin", "scarf",
    "school", "seven", "shadow", "sister", "sleeve", "soccer", "soda", "spider", "spoon", "square", "squid", "statue",
    "storm", "swan", "syrup", "tailor", "teapot", "temple", "tennis", "throne", "thumb", "tiger", "toast", "tomato",
    "topaz", "tower", "train", "trophy", "tulip", "tunnel", "turtle", "twelve", "twin", "uncle", "upper", "urban",
    "vapor", "velvet", "vessel", "violin", "volume", "voyage", "wagon", "walnut", "walrus", "water", "whale", "wheat",
    "window", "winter", "wonder", "yellow", "yogurt", "zebra", "zinc",
];

#[cfg(test)]
mod tests {
    use super::{WORDS, of};

    #[test]
    fn the_list_can_be_heard_and_spelt() {
        for (at, word) in WORDS.iter().enumerate() {
            assert!((3..=6).contains(&word.len()) && word.bytes().all(|b| b.is_ascii_lowercase()), "{word}");
            for other in &WORDS[at + 1..] {
                assert!(word < other, "{word} {other}: the list is sorted");
                assert!(strsim::levenshtein(word, other) > 1, "{word} and {other} differ in one letter");
            }
        }
    }

    #[test]
    fn the_words_are_those_of_the_first_bytes_of_the_digest() {
        // SHA-256 of "abc" begins with ba 78 16 bf 8f 01 cf ea.
        let expected = [0xba, 0x78, 0x16, 0xbf, 0x8f, 0x01, 0xcf, 0xea].map(|byte: usize| WORDS[byte]).join(" ");
        assert_eq!(of(b"abc"), expected);
    }
}
