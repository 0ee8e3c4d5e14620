//! Many plugins that fail at once point at the host: one alert, and restarts rest for a while. Pure but for its lock.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use crate::{clock::Mono, ident::PluginName};

/// Fewer plugins prove nothing.
const PLUGINS_MIN: usize = 4;
/// Failures so close together belong together.
const TOGETHER: Duration = Duration::from_secs(30);
/// Restarts rest for so long.
const REST: Duration = Duration::from_secs(30);

/// What all plugins share of their failures.
#[derive(Debug, Default)]
pub struct Host(Mutex<Inner>);

#[derive(Debug, Default)]
struct Inner {
    plugins: usize,
    failed: BTreeMap<PluginName, Mono>,
    rests_until: Option<Mono>,
}

impl Host {
    /// How many plugins there are.
    pub fn count(&self, plugins: usize) {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .plugins = plugins;
    }

    /// A plugin's process failed. True when this is the one that points at the host.
    pub fn failed(&self, name: &PluginName, now: Mono) -> bool {
        let mut inner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        inner.failed.retain(|_, at| now - *at < TOGETHER);
        inner.failed.insert(name.clone(), now);
        let is_resting = inner.rests_until.is_some_and(|until| now < until);
        let is_host = inner.plugins >= PLUGINS_MIN && inner.failed.len() * 2 > inner.plugins;
        if is_host && !is_resting {
            inner.rests_until = Some(now + REST);
            return true;
        }
        false
    }

    /// Until when nothing is started; none: now.
    #[must_use]
    pub fn rests_until(&self, now: Mono) -> Option<Mono> {
        let inner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        inner.rests_until.filter(|until| now < *until)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_than_half_of_at_least_four_within_half_a_minute() {
        for (plugins, failures, step, expected) in [
            (3, 3, 0, false),
            (4, 2, 0, false),
            (4, 3, 0, true),
            (10, 5, 0, false),
            (10, 6, 0, true),
            (4, 4, 20_000, false),
        ] {
            let host = Host::default();
            host.count(plugins);
            let told = (0..failures).filter(|number| {
                let name = PluginName::new(format!("p{number}"));
                host.failed(&name, Mono(1 + number * step))
            });
            assert_eq!(told.count() == 1, expected, "{failures} of {plugins}");
            let rests = host.rests_until(Mono(2 + failures * step)).is_some();
            assert_eq!(rests, expected, "{failures} of {plugins}");
        }
    }
}
