//! Writing a dump: every part of a site as its lines, in pieces that can be sent one after the other.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use serde_json::value::RawValue;

use super::{
    AccessedLine, DayLine, EndLine, EventLine, FileLine, FollowLine, Head, IdsLine, Line, PlanLine,
    RowLine, SecondLine, SecretLine, SeenLine, SessionLine, TypeLine, VERSION,
};
use crate::{
    clock::Unix,
    sandbox::{log::EventRow, social::Calendar, store::Store},
};

/// A piece has about this size.
const PIECE: usize = 1 << 20;

/// Pieces that are full, and one that is not.
#[derive(Default)]
struct Out {
    pieces: Vec<Bytes>,
    piece: Vec<u8>,
    lines: usize,
}

impl Out {
    fn line(&mut self, line: &Line) {
        serde_json::to_writer(&mut self.piece, line)
            .expect("a line has only keys that are text, and memory takes everything");
        self.piece.push(b'\n');
        self.lines += 1;
        if self.piece.len() >= PIECE {
            self.pieces.push(std::mem::take(&mut self.piece).into());
        }
    }
}

/// The whole site.
pub(in crate::sandbox) fn write(store: &Store) -> Vec<Bytes> {
    let mut out = Out::default();
    out.line(&Line::Site(Head {
        version: VERSION,
        program: env!("CARGO_PKG_VERSION").to_owned(),
        next_event: store.log.next(),
    }));
    out.line(&Line::Statuses(store.schema.statuses.clone()));
    for def in store.schema.types() {
        out.line(&Line::Type(TypeLine {
            r#type: def.kind.to_owned(),
            def: def.raw(),
        }));
    }
    rows(store, &mut out);
    for row in store.log.in_order() {
        out.line(&Line::Event(Box::new(event(row, None))));
    }
    for (at, row) in store.log.later() {
        out.line(&Line::Event(Box::new(event(row, Some(at)))));
    }
    social(store, &mut out);
    keys(store, &mut out);
    for (attachment, file) in store.files.all() {
        out.line(&Line::File(FileLine {
            attachment,
            name: file.name.clone(),
            content_type: file.content_type.clone(),
            ready_at: file.ready_at.0,
            base64: STANDARD.encode(&file.bytes),
        }));
    }
    let lines = out.lines + 1;
    out.line(&Line::End(EndLine { lines }));
    out.pieces.push(out.piece.into());
    out.pieces
}

fn rows(store: &Store, out: &mut Out) {
    for def in store.schema.types() {
        let Some(table) = store.table(def.kind) else {
            continue;
        };
        for row in table.rows() {
            let fields = row.fields();
            out.line(&Line::Row(RowLine {
                r#type: def.kind.to_owned(),
                id: row.id,
                retired: row.is_retired,
                fields: fields
                    .map(|(field, value)| (field.to_owned(), value.json()))
                    .collect(),
            }));
        }
        if table.last() > 0 {
            out.line(&Line::Ids(IdsLine {
                r#type: def.kind.to_owned(),
                last: table.last(),
            }));
        }
    }
}

fn event(row: &EventRow, readable_at: Option<Unix>) -> EventLine {
    let text = |text: &Option<std::sync::Arc<str>>| text.as_deref().map(str::to_owned);
    EventLine {
        id: row.id,
        event_type: row.event_type.to_string(),
        attribute_name: text(&row.attribute),
        meta: RawValue::from_string(row.meta.to_string())
            .expect("the meta of a row was written from a value"),
        entity: row.entity.map(Into::into),
        project: row.project.map(Into::into),
        user: row.user.map(Into::into),
        created_at: row.created_at,
        session_uuid: text(&row.session_uuid),
        description: text(&row.description),
        readable_at: readable_at.map(|at| at.0),
    }
}

fn social(store: &Store, out: &mut Out) {
    let social = &store.social;
    for (person, entity) in &social.follows {
        out.line(&Line::Follow(FollowLine {
            person: *person,
            entity: (*entity).into(),
        }));
    }
    for (by, entity) in &social.seen {
        out.line(&Line::Seen(SeenLine {
            by: (*by).into(),
            entity: (*entity).into(),
        }));
    }
    for ((by, project), at) in &social.accessed {
        out.line(&Line::Accessed(AccessedLine {
            by: (*by).into(),
            project: *project,
            at: *at,
        }));
    }
    for ((calendar, date), rule) in &social.days {
        let (project, user) = match calendar {
            Calendar::Studio => (None, None),
            Calendar::Project(id) => (Some(*id), None),
            Calendar::User(id) => (None, Some(*id)),
        };
        out.line(&Line::Day(DayLine {
            date: date.clone(),
            working: rule.working,
            description: rule.description.clone(),
            project,
            user,
        }));
    }
    for (person, plan) in &social.plans {
        out.line(&Line::Plan(PlanLine {
            person: *person,
            plan: plan.clone(),
        }));
    }
}

fn keys(store: &Store, out: &mut Out) {
    for (of, secret) in store.keys.secrets() {
        out.line(&Line::Secret(SecretLine {
            of: of.into(),
            secret: secret.to_owned(),
        }));
    }
    for (login, code) in store.keys.second_factors() {
        out.line(&Line::SecondFactor(SecondLine {
            login: login.to_owned(),
            code: code.to_owned(),
        }));
    }
    for (token, of) in store.keys.sessions() {
        out.line(&Line::Session(SessionLine {
            token: token.to_owned(),
            of: of.into(),
        }));
    }
}
