//! One plugin as the herd keeps it: its task's handle, what was found of it last, and what its task is still to be told.
//!
//! In: orders, what a look found. Out: orders to the task, at once or when it has room. Never: a wait.

use std::{collections::BTreeSet, time::Duration};

use tokio::sync::mpsc;

use crate::{
    ident::PluginName,
    plugin::{
        discovery::Found,
        look::Identity,
        setup::{Handle, Order as PluginOrder},
    },
};

/// A file that is gone for so long is gone.
const GONE: Duration = Duration::from_secs(10);
/// See the module.
pub(super) struct Kept {
    pub(super) handle: Handle,
    pub(super) found: Found,
    pub(super) identity: Identity,
    pub(super) after: BTreeSet<PluginName>,
    pub(super) gone_since: Option<tokio::time::Instant>,
    pub(super) is_told_gone: bool,
    /// Why its file is no plugin any more, as it was told.
    pub(super) spoiled: Option<String>,
    /// Orders for which its queue had no room.
    pub(super) late: Vec<PluginOrder>,
}

impl Kept {
    /// Tells its task something, now or when it has room.
    pub(super) fn tell(&mut self, order: PluginOrder) {
        // The newest setup is the whole truth: an older one is not worth telling any more.
        if matches!(order, PluginOrder::Changed(_) | PluginOrder::Configured(_)) {
            self.late.retain(|late| !late.is_replaced_by(&order));
        }
        self.late.push(order);
        self.tell_late();
    }

    pub(super) fn tell_late(&mut self) {
        let mut late = std::mem::take(&mut self.late).into_iter();
        while let Some(order) = late.next() {
            // A task that has ended takes no orders: the daemon stops.
            if let Err(mpsc::error::TrySendError::Full(order)) = self.handle.orders.try_send(order)
            {
                self.late = std::iter::once(order).chain(late).collect();
                return;
            }
        }
    }

    /// Its file was looked for and is no plugin: for this reason, or because it is not there.
    pub(super) fn is_missed(&mut self, why: Option<&String>) {
        match why {
            None => {
                self.gone_since
                    .get_or_insert_with(tokio::time::Instant::now);
            }
            why if why == self.spoiled.as_ref() => {}
            Some(why) => {
                self.gone_since = None;
                self.spoiled = Some(why.clone());
                self.tell(PluginOrder::Spoiled(why.clone()));
            }
        }
    }

    /// When its task is to be told that its file is gone; none when it is not, or the task knows.
    pub(super) fn gone_at(&self) -> Option<tokio::time::Instant> {
        let since = self.gone_since.filter(|_| !self.is_told_gone)?;
        Some(since + GONE)
    }
}
