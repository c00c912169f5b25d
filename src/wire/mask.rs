//! Masking (RFC 6455 section 5.3): XOR with a repeated four-byte key.
//!
//! Works on 64-bit words in loops that the compiler vectorises; at most seven bytes remain.

/// Masks or unmasks `bytes` in place. `phase` is the offset of `bytes[0]` in the payload.
#[inline]
pub fn mask_in_place(bytes: &mut [u8], key: [u8; 4], phase: usize) {
    let pattern = pattern(key, phase);
    let (words, rest) = bytes.as_chunks_mut::<8>();
    for word in words {
        *word = (u64::from_le_bytes(*word) ^ pattern).to_le_bytes();
    }
    for (byte, key) in rest.iter_mut().zip(pattern.to_le_bytes()) {
        *byte ^= key;
    }
}

/// Copies `src` to `dst` and masks it in the same pass.
///
/// # Panics
/// If the lengths differ.
#[inline]
pub fn mask_copy(dst: &mut [u8], src: &[u8], key: [u8; 4], phase: usize) {
    assert_eq!(dst.len(), src.len(), "source and destination have the same length");
    let pattern = pattern(key, phase);
    let (dst_words, dst_rest) = dst.as_chunks_mut::<8>();
    let (src_words, src_rest) = src.as_chunks::<8>();
    for (dst, src) in dst_words.iter_mut().zip(src_words) {
        *dst = (u64::from_le_bytes(*src) ^ pattern).to_le_bytes();
    }
    for ((dst, src), key) in dst_rest.iter_mut().zip(src_rest).zip(pattern.to_le_bytes()) {
        *dst = *src ^ key;
    }
}

/// Returns the key twice, rotated by `phase`; its bytes in memory order are those of a little-endian number.
#[inline]
fn pattern(key: [u8; 4], phase: usize) -> u64 {
    let key = u32::from_le_bytes(key).rotate_right(8 * (phase % 4) as u32);
    u64::from(key) << 32 | u64::from(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn oracle(src: &[u8], key: [u8; 4], phase: usize) -> Vec<u8> {
        src.iter().enumerate().map(|(i, byte)| byte ^ key[(phase + i) % 4]).collect()
    }

    #[test]
    fn both_functions_match_naive_loop_at_every_length_phase_and_alignment() {
        let key = [0x12, 0xFE, 0x00, 0x81];
        let source: Vec<u8> = (0..400u32).map(|i| (i * 167 + 13) as u8).collect();
        for length in 0..300 {
            for phase in [0, 1, 2, 3, 4, 7, 1_000_001] {
                for start in 0..9 {
                    let src = &source[start..start + length];
                    let expected = oracle(src, key, phase);

                    let mut in_place = source.clone();
                    mask_in_place(&mut in_place[start..start + length], key, phase);
                    assert_eq!(in_place[start..start + length], expected);
                    assert_eq!(in_place[..start], source[..start]);
                    assert_eq!(in_place[start + length..], source[start + length..]);

                    let mut copy = vec![0; length + 11];
                    mask_copy(&mut copy[11 - start..11 - start + length], src, key, phase);
                    assert_eq!(copy[11 - start..11 - start + length], expected);
                }
            }
        }
    }

    #[test]
    fn masking_in_pieces_equals_masking_at_once() {
        let key = [9, 8, 7, 6];
        let source: Vec<u8> = (0..=255).collect();
        let whole = oracle(&source, key, 0);
        for cut in 0..=source.len() {
            let mut pieces = source.clone();
            let (head, tail) = pieces.split_at_mut(cut);
            mask_in_place(head, key, 0);
            mask_in_place(tail, key, cut);
            assert_eq!(pieces, whole);
        }
    }
}
