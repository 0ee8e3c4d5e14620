//! What plugins were told of the schema holds until the event log shows that it changed.
//!
//! In: journaled events. Out: an empty schema cache. Never: a look at rows that were there before.

use tokio_util::sync::CancellationToken;

use crate::{
    ident::Seq,
    journal::{Journal, JournalError},
    services::Services,
};

/// Events of these types are changes of the schema: a field is a `DisplayColumn`.
const CHANGES: &str = "Shotgun_DisplayColumn_";
/// Rows that are looked at at once.
const ROWS: usize = 500;

/// Follows the journal until `stop`.
pub(super) async fn watch(journal: Journal, services: Services, stop: CancellationToken) {
    let mut head = journal.head();
    let mut seen = *head.borrow_and_update();
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            changed = head.changed() => if changed.is_err() { return },
        }
        let last = *head.borrow_and_update();
        // What cannot be read may have been a change.
        if changed_since(&journal, seen, last).await.unwrap_or(true) {
            tracing::debug!("the schema has changed");
            services.schema_changed();
        }
        seen = last;
    }
}

async fn changed_since(journal: &Journal, mut seen: Seq, last: Seq) -> Result<bool, JournalError> {
    while seen < last {
        let rows = journal.read(seen, ROWS).await?;
        if rows
            .iter()
            .any(|row| row.facts.event_type.starts_with(CHANGES))
        {
            return Ok(true);
        }
        let Some(row) = rows.last() else { break };
        seen = row.seq;
    }
    Ok(false)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::{Model, testing};

    #[tokio::test]
    async fn a_field_that_came_or_went_is_a_change() {
        let journal = Journal::inline(Box::new(Model::new())).expect("a journal");
        let mut head = None;
        for (id, event_type, is_change) in [
            (1, "Shotgun_Task_Change", false),
            (2, "Shotgun_DisplayColumn_New", true),
            (3, "Shotgun_DisplayColumn_Delete", true),
            (4, "Shotgun_Shot_New", false),
        ] {
            let mut event = testing::new_event(0, id);
            event.facts.event_type = event_type.into();
            let append = testing::answer(head, id, vec![event]);
            journal.append(append).await.expect("journaled");
            head = Some(id);
            let last = *journal.head().borrow();
            let changed = changed_since(&journal, Seq(last.0 - 1), last).await;
            assert_eq!(changed.expect("rows"), is_change, "{event_type}");
        }
        assert!(changed_since(&journal, Seq(0), Seq(4)).await.expect("rows"));
    }
}
