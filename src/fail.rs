//! Failpoints: the steps at which tests break the daemon off, one call each.
//!
//! `SGEVENTD_FAILPOINTS="cursor.before_commit=exit@3;spawn.forked=sleep:200"` says what happens at the n-th crossing of a
//! point (the first without a number): `exit` (code 9, nothing is put in order), `panic`, `sleep:MS`, and `error` where the
//! place can return one. Read once.
//!
//! In every build with debug assertions, which is what the tests run and nobody installs, and with `--features failpoints`
//! in an optimised one; so the tests need no second build. In all others a point is nothing: a test compiles this file so.
//! Never: a name that is not written out where it stands, or that stands twice; a test reads the names from the source.

#[cfg(any(feature = "failpoints", debug_assertions))]
pub use armed::{at, or};

#[cfg(any(feature = "failpoints", debug_assertions))]
mod armed {
    use std::{
        sync::{
            LazyLock,
            atomic::{AtomicU32, Ordering},
        },
        time::Duration,
    };

    /// What a crash by a failpoint ends with.
    const EXIT: i32 = 9;

    static PLAN: LazyLock<Vec<Armed>> = LazyLock::new(|| {
        let plan = std::env::var("SGEVENTD_FAILPOINTS").unwrap_or_default();
        let orders = plan.split(';').filter(|order| !order.trim().is_empty());
        orders
            .map(|order| {
                Armed::read(order.trim()).unwrap_or_else(|| panic!("SGEVENTD_FAILPOINTS: {order}"))
            })
            .collect()
    });

    struct Armed {
        point: String,
        action: Action,
        /// The crossing at which it happens.
        nth: u32,
        crossed: AtomicU32,
    }

    #[derive(Clone, Copy)]
    enum Action {
        Exit,
        Panic,
        Error,
        Sleep(Duration),
    }

    impl Armed {
        fn read(order: &str) -> Option<Self> {
            let (point, rest) = order.split_once('=')?;
            let (action, nth) = rest.split_once('@').unwrap_or((rest, "1"));
            let action = match action.split_once(':') {
                None if action == "exit" => Action::Exit,
                None if action == "panic" => Action::Panic,
                None if action == "error" => Action::Error,
                Some(("sleep", ms)) => Action::Sleep(Duration::from_millis(ms.parse().ok()?)),
                _ => return None,
            };
            Some(Self {
                point: point.to_owned(),
                action,
                nth: nth.parse().ok()?,
                crossed: AtomicU32::new(0),
            })
        }
    }

    /// True when the place is to return an error.
    fn cross(point: &str) -> bool {
        for armed in PLAN.iter().filter(|armed| armed.point == point) {
            if armed.crossed.fetch_add(1, Ordering::Relaxed) + 1 != armed.nth {
                continue;
            }
            match armed.action {
                Action::Exit => std::process::exit(EXIT),
                Action::Panic => panic!("failpoint {point}"),
                Action::Sleep(time) => std::thread::sleep(time),
                Action::Error => return true,
            }
        }
        false
    }

    /// A step that tests break off.
    pub fn at(point: &'static str) {
        assert!(!cross(point), "{point} cannot return an error");
    }

    /// A step that tests break off, or let fail.
    ///
    /// # Errors
    /// When a test says so.
    pub fn or<E>(point: &'static str, error: impl FnOnce() -> E) -> Result<(), E> {
        if cross(point) { Err(error()) } else { Ok(()) }
    }
}

/// A step that tests break off; nothing in this build.
#[cfg(not(any(feature = "failpoints", debug_assertions)))]
#[inline(always)]
pub fn at(_: &'static str) {}

/// A step that tests break off, or let fail; nothing in this build.
///
/// # Errors
/// Never, in this build.
#[cfg(not(any(feature = "failpoints", debug_assertions)))]
#[inline(always)]
pub fn or<E>(_: &'static str, _: impl FnOnce() -> E) -> Result<(), E> {
    Ok(())
}
