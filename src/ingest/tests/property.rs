//! Whatever happens to a site and to us: nothing is lost, nothing stands still.

use super::*;

/// What may happen to a site and to us.
#[derive(Debug, Clone)]
enum Happening {
    Reserve(u8),
    CommitOldest,
    CommitNewest,
    RollBack,
    Live(u8),
    Outage(u8),
    Lag(u8),
    Restart,
    Spoil(u8, Spoilt),
}

/// How bad a row is.
#[derive(Debug, Clone, Copy)]
enum Spoilt {
    Whole,
    All,
}

fn happenings() -> impl Strategy<Value = Vec<Happening>> {
    let one = prop_oneof![
        4 => (1u8..40).prop_map(Happening::Reserve),
        4 => Just(Happening::CommitOldest),
        4 => Just(Happening::CommitNewest),
        1 => Just(Happening::RollBack),
        4 => (1u8..20).prop_map(Happening::Live),
        1 => (1u8..200).prop_map(Happening::Outage),
        1 => (1u8..40).prop_map(Happening::Lag),
        1 => Just(Happening::Restart),
        1 => (0u8..60, prop_oneof![Just(Spoilt::Whole), Just(Spoilt::All)])
            .prop_map(|(back, how)| Happening::Spoil(back, how)),
    ];
    prop::collection::vec(one, 0..80)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]
    #[test]
    fn every_committed_id_is_journaled_once(happenings in happenings()) {
        let mut world = World::new(policy());
        let (mut next, mut open) = (1i64, Vec::<i64>::new());
        for happening in happenings {
            match happening {
                Happening::Reserve(n) => {
                    open.extend(next..next + i64::from(n));
                    next += i64::from(n);
                }
                Happening::CommitOldest if !open.is_empty() => {
                    let ids: Vec<i64> = open.drain(..open.len().div_ceil(3)).collect();
                    world.commit(ids);
                }
                Happening::CommitNewest if !open.is_empty() => {
                    let ids = open.split_off(open.len() / 2);
                    world.commit(ids);
                }
                Happening::RollBack => drop(open.pop()),
                Happening::Live(seconds) => world.live(seconds.into()),
                Happening::Outage(seconds) => {
                    world.site.is_down = true;
                    world.live(seconds.into());
                    world.site.is_down = false;
                }
                Happening::Lag(seconds) => {
                    world.site.lag = Some(next / 2);
                    world.live(seconds.into());
                    world.site.lag = None;
                }
                Happening::Restart => world.restart(),
                Happening::Spoil(back, how) => {
                    let id = next - i64::from(back);
                    match how {
                        Spoilt::Whole => world.site.spoils_whole.insert(id),
                        Spoilt::All => world.site.spoils_all.insert(id),
                    };
                }
                _ => {}
            }
        }
        world.commit(open);
        world.live(3000);
        prop_assert_eq!(world.wrong(), NOTHING);
        prop_assert!(!world.machine.is_halted());
        // Nothing that happened holds the polls up for ever.
        world.work(200);
        let behind = world.work(300);
        prop_assert!(behind <= 10, "{} s behind", behind);
    }

}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]
    #[test]
    fn however_many_rows_are_bad_the_head_goes_on(
        bad in prop::collection::btree_set(4i64..300, 0..6),
        jump in prop_oneof![Just(0i64), 1i64..100_000],
        whole in any::<bool>(),
        failing_ms in prop_oneof![Just(10u64), Just(1_000), Just(20_000)],
    ) {
        let mut world = World::new(policy());
        world.site.failing_takes = Duration::from_millis(failing_ms);
        world.commit(1..=3);
        world.live(3);
        if whole {
            world.site.spoils_whole.extend(&bad);
        } else {
            world.site.spoils_all.extend(&bad);
        }
        world.commit(4..=100);
        world.commit([301 + jump]);
        world.work(60);
        // Some of the bad ones are committed late.
        world.commit(101..=300);
        // For each: three failures with their pauses, a search of at most a minute, and two questions that were under way.
        let bound = 20 + (bad.len() as u64) * (80 + 6 * failing_ms / 1000);
        let behind = world.work(2 * bound + 600);
        prop_assert!(behind <= bound, "{} s behind, allowed {}", behind, bound);
        let later = world.work(1800);
        prop_assert!(later <= 10, "{} s behind for ever", later);
        world.live(3600);
        prop_assert_eq!(world.wrong(), NOTHING);
    }
}
