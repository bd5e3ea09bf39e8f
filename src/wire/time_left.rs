//! How long an asker still waits, in the two bytes that a routed head has for it.

/// Bits of the mantissa: times up to 2047 ms are exact, longer ones to within a thousandth, never too short.
const MANTISSA: u32 = 11;

/// Milliseconds that whoever asks goes on waiting from the moment the question is sent: a mantissa in the lower 11 bits,
/// to be shifted left by the upper 5.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TimeLeft(pub u16);

impl TimeLeft {
    /// For ever, or nobody waits.
    pub const NONE: Self = Self(0);

    /// At least so many milliseconds; 0 means one, for none would be for ever.
    pub fn from_millis(millis: u32) -> Self {
        let shift = (u32::BITS - millis.leading_zeros()).saturating_sub(MANTISSA);
        let mantissa = u64::from(millis.max(1)).div_ceil(1 << shift);
        // Rounding up may take one bit more.
        if mantissa >> MANTISSA == 0 {
            Self((shift << MANTISSA) as u16 | mantissa as u16)
        } else {
            Self(((shift + 1) << MANTISSA) as u16 | (mantissa >> 1) as u16)
        }
    }

    /// Milliseconds; `None`: no time is set.
    pub fn millis(self) -> Option<u64> {
        let (mantissa, shift) = (u64::from(self.0) & ((1 << MANTISSA) - 1), self.0 >> MANTISSA);
        (mantissa > 0).then_some(mantissa << shift)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_comes_back_at_most_a_thousandth_longer() {
        let times = (0..33).flat_map(|bit| [-1, 0, 1].map(|near| (1_i64 << bit) + near));
        for time in times.chain([30_000, 86_400_000]).filter_map(|time| u32::try_from(time).ok()) {
            let back = TimeLeft::from_millis(time).millis().expect("a time was set");
            let least = u64::from(time.max(1));
            assert!((least..=least + least / 1024).contains(&back), "{time} came back as {back}");
        }
        assert_eq!(TimeLeft::from_millis(30_000), TimeLeft(4 << 11 | 1875));
        assert_eq!(TimeLeft::NONE.millis(), None);
    }
}
