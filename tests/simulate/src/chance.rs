//! Chance without a state: the same question has the same answer whatever else happened, so that a story can be
//! shortened and the rest of it stays as it was.

/// What is asked for.
#[derive(Debug, Clone, Copy)]
#[repr(u64)]
pub(crate) enum Die {
    Commit = 1,
    WorkWait,
    WorkSize,
    WorkLate,
    Entity,
    Kind,
    SiteLatency,
    SiteWhen,
    SiteLie,
    Disk,
    Spawn,
    Handshake,
    Act,
    ActTime,
    Read,
    Random,
    Call,
    Crash,
    Mend,
}

/// A seed's chance.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Chance(pub(crate) u64);

impl Chance {
    /// A number for this question about `a` and `b`.
    pub(crate) fn number(self, die: Die, a: u64, b: u64) -> u64 {
        let mut x = self.0 ^ (die as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        for part in [a, b] {
            x = mix(x ^ part.wrapping_mul(0xD6E8_FEB8_6659_FD93));
        }
        x
    }

    /// From 0 to `n - 1`.
    pub(crate) fn below(self, die: Die, a: u64, b: u64, n: u64) -> u64 {
        self.number(die, a, b) % n.max(1)
    }

    /// From 0 to 1.
    pub(crate) fn unit(self, die: Die, a: u64, b: u64) -> f32 {
        (self.number(die, a, b) >> 40) as f32 / (1u64 << 24) as f32
    }
}

/// The finaliser of `SplitMix64`.
fn mix(mut x: u64) -> u64 {
    x = (x ^ (x >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    x ^ (x >> 31)
}
