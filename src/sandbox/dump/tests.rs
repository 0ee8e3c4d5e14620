//! The promises of dumps: what is written and read is the same site, also in what it does next; bad lines are told by number.

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::{
    clock::Unix,
    sandbox::{
        artists,
        check::Write,
        demo,
        fault::Fault,
        keys::Keys,
        name::keep,
        social::{Calendar, DayRule},
        store::{Actor, Commit, Store},
        transaction::Transaction,
    },
};

const NOW: Unix = Unix(1_784_116_800_000);

fn site() -> Store {
    let mut store = Store::new();
    demo::scripts(&mut store, &["tests"], NOW).unwrap();
    demo::defaults(&mut store, NOW).unwrap();
    demo::show(&mut store, NOW).unwrap();
    store
}

fn text(store: &Store) -> String {
    String::from_utf8(write(store).concat()).unwrap()
}

fn again(text: &str) -> Result<Store, String> {
    read(text.as_bytes(), "x.jsonl").map_err(|error| error.to_string())
}

/// Something that changes a site.
#[derive(Debug, Clone)]
enum Step {
    Work(u64),
    Late(u64),
    Undone(u64),
    Delete(usize, i64),
    Revive(usize, i64),
    Field(usize, String),
    DropField,
    Follow(i64, i64),
    Seen(i64, i64),
    Day(i64, bool),
    Password(i64, String),
    Session(i64),
    Second(String),
    Text(i64, String),
    Number(f64),
    Odd,
    File(Vec<u8>),
    Jump(i64),
}

const KINDS: [&str; 4] = ["Shot", "Task", "Asset", "HumanUser"];

fn step() -> impl Strategy<Value = Step> {
    use Step as S;
    prop_oneof![
        6 => any::<u64>().prop_map(S::Work),
        1 => any::<u64>().prop_map(S::Late),
        1 => any::<u64>().prop_map(S::Undone),
        2 => (0..4_usize, 1..9_i64).prop_map(|(kind, id)| S::Delete(kind, id)),
        1 => (0..4_usize, 1..9_i64).prop_map(|(kind, id)| S::Revive(kind, id)),
        1 => (0..4_usize, "[a-z]{1,6}").prop_map(|(kind, name)| S::Field(kind, name)),
        1 => Just(S::DropField),
        1 => (1..7_i64, 1..9_i64).prop_map(|(who, what)| S::Follow(who, what)),
        1 => (1..7_i64, 1..9_i64).prop_map(|(who, what)| S::Seen(who, what)),
        1 => (0..3_i64, any::<bool>()).prop_map(|(whose, works)| S::Day(whose, works)),
        1 => (1..7_i64, ".{0,8}").prop_map(|(who, word)| S::Password(who, word)),
        1 => (1..7_i64).prop_map(S::Session),
        1 => "[0-9]{6}".prop_map(S::Second),
        2 => (1..9_i64, ".{0,12}").prop_map(|(shot, text)| S::Text(shot, text)),
        1 => (-1e9..1e9_f64).prop_map(S::Number),
        1 => Just(S::Odd),
        1 => proptest::collection::vec(any::<u8>(), 0..40).prop_map(S::File),
        1 => (1..50_i64).prop_map(S::Jump),
    ]
}

fn update(store: &mut Store, kind: &str, id: i64, field: &str, value: Value) {
    let work = |work: &mut Transaction<'_>| work.update(kind, id, &[Write::set(field, value)]);
    // What is refused changes nothing, and that is kept, too.
    let _refused: Result<(), Fault> = store.transact(&Actor::human(1), NOW, Commit::Now, work);
}

fn take(store: &mut Store, step: Step) {
    let work = |store: &mut Store, seed, commit| {
        let mut chance = fastrand::Rng::with_seed(seed);
        artists::work(store, &mut chance, NOW, commit).unwrap();
    };
    let link = |kind: &str, id| Link::new(keep(kind), id);
    match step {
        Step::Work(seed) => work(store, seed, Commit::Now),
        Step::Late(seed) => work(store, seed, Commit::At(Unix(NOW.0 + 5000))),
        Step::Undone(seed) => work(store, seed, Commit::Never),
        Step::Delete(kind, id) => {
            let delete = |work: &mut Transaction<'_>| work.delete(KINDS[kind], id);
            let _missing = store.transact(&Actor::human(1), NOW, Commit::Now, delete);
        }
        Step::Revive(kind, id) => {
            let revive = |work: &mut Transaction<'_>| work.revive(KINDS[kind], id);
            let _missing = store.transact(&Actor::human(1), NOW, Commit::Now, revive);
        }
        Step::Field(kind, name) => {
            let properties = json!([{"property_name": "name", "value": name}]);
            let field = json!({"type": KINDS[kind], "data_type": "text", "properties": properties});
            if let Ok(made) = store.schema.create_field(&field) {
                update(store, KINDS[kind], 1, made.field, json!("kept"));
            }
        }
        Step::DropField => {
            let custom = store.schema.types().flat_map(|def| {
                let names = def.fields.keys().filter(|name| name.starts_with("sg_"));
                names.map(|name| (def.kind, *name)).collect::<Vec<_>>()
            });
            for (kind, field) in custom.collect::<Vec<_>>() {
                let payload = json!({"type": kind, "field_name": field});
                let _of_every_site = store.schema.delete_field(&payload);
            }
        }
        Step::Follow(who, what) => {
            store.social.follows.insert((who, link("Shot", what)));
        }
        Step::Seen(who, what) => {
            let pair = (link("HumanUser", who), link("Task", what));
            store.social.seen.insert(pair);
            store.social.accessed.insert((pair.0, 1), what);
            store.social.plans.insert(who, "Full".into());
        }
        Step::Day(whose, working) => {
            let calendar = [Calendar::Studio, Calendar::Project(1), Calendar::User(2)];
            let calendar = calendar[usize::try_from(whose).unwrap()];
            let description = working.then(|| "a reason".to_owned());
            let rule = DayRule {
                working,
                description,
            };
            store
                .social
                .days
                .insert((calendar, "2026-07-15".into()), rule);
        }
        Step::Password(who, word) => {
            store
                .keys
                .keep(link("HumanUser", who), Some(Keys::hide(&word)));
        }
        Step::Session(who) => {
            store.keys.session(link("HumanUser", who));
        }
        Step::Second(code) => store.keys.ask_second("ada", Some(code)),
        Step::Text(shot, text) => update(store, "Shot", shot, "description", json!(text)),
        Step::Number(number) => update(store, "Shot", 2, "cut_order", json!(number)),
        Step::Odd => {
            update(store, "Task", 3, "splits", json!([null, {"a": 1.0}, "x"]));
            update(
                store,
                "Project",
                1,
                "tracking_settings",
                json!({"a": {"type": "Shot", "id": 1}}),
            );
            update(store, "Shot", 3, "tag_list", json!(["a", "b"]));
            update(store, "Shot", 4, "tags", json!([]));
            update(
                store,
                "Version",
                1,
                "sg_uploaded_movie",
                json!({"url": "https://x.example/a", "name": "a"}),
            );
            update(
                store,
                "HumanUser",
                2,
                "locked_until",
                json!("2026-07-15T10:00:00+02:00"),
            );
        }
        Step::File(bytes) => {
            let id = i64::try_from(bytes.len()).unwrap();
            store
                .files
                .put_back(id, ["a.png", "image/png"], bytes.into(), NOW)
                .unwrap();
        }
        Step::Jump(by) => store.log.jump(by),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn what_is_written_and_read_is_the_same_site(steps in proptest::collection::vec(step(), 0..40), seed: u64) {
        let mut store = site();
        for step in steps {
            take(&mut store, step);
        }
        let dump = text(&store);
        let mut back = again(&dump).map_err(TestCaseError::fail)?;
        prop_assert_eq!(&dump, &text(&back));
        // And it goes on as the first does.
        for site in [&mut store, &mut back] {
            let mut chance = fastrand::Rng::with_seed(seed);
            site.log.settle(Unix(NOW.0 + 6000));
            for _ in 0..10 {
                artists::work(site, &mut chance, NOW, Commit::Now).unwrap();
            }
        }
        prop_assert_eq!(text(&store), text(&back));
    }
}

/// The dump with one line changed.
fn changed(dump: &str, which: &str, from: &str, to: &str) -> (usize, String) {
    let at = dump
        .lines()
        .position(|line| line.starts_with(which))
        .unwrap();
    let lines = dump.lines().enumerate();
    let lines = lines.map(|(index, line)| match index == at {
        true => {
            assert!(line.contains(from), "{from} in {line}");
            line.replacen(from, to, 1)
        }
        false => line.to_owned(),
    });
    (at + 1, lines.map(|line| line + "\n").collect())
}

#[test]
fn a_line_that_is_wrong_is_told_with_its_number_and_what_is_allowed() {
    let dump = text(&site());
    let task = r#"{"row":{"type":"Task","id":1,"#;
    let event = r#"{"event":{"id":1001,"#;
    for (which, from, to, words) in [
        (
            r#"{"site""#,
            r#""version":1"#,
            r#""version":2"#,
            "found a dump of version 2",
        ),
        (
            r#"{"site""#,
            r#"{"site""#,
            r#"{"sight""#,
            "unknown variant `sight`, expected one of `site`",
        ),
        (
            task,
            r#""Task""#,
            r#""Tusk""#,
            r#"found the type "Tusk"; allowed: the types"#,
        ),
        (
            task,
            r#""id":1"#,
            r#""id":0"#,
            "found Task 0; allowed: ids from 1 up",
        ),
        (
            task,
            r#""content":"#,
            r#""kontent":"#,
            r#"found the field "kontent" in Task 1; allowed"#,
        ),
        (
            task,
            r#""content":"layout""#,
            r#""content":{}"#,
            "found `{}` in Task 1.content; allowed: a value of the type text",
        ),
        (
            task,
            r#""type":"Shot""#,
            r#""type":"Shut""#,
            "in Task 1.entity; allowed: a value of the type entity",
        ),
        (
            task,
            r#""fields":"#,
            r#""feelds":"#,
            "unknown field `feelds`, expected one of `type`, `id`, `retired`, `fields`",
        ),
        (task, r#"{"row""#, r#"["row""#, "expected"),
        (
            event,
            r#""id":1001"#,
            r#""id":90000"#,
            "found the event 90000; allowed: 1 to",
        ),
        (
            r#"{"end""#,
            r#""lines":"#,
            r#""lines":1"#,
            "some are missing or new",
        ),
    ] {
        let (line, text) = changed(&dump, which, from, to);
        let told = again(&text).err().unwrap_or_default();
        assert!(
            told.starts_with(&format!("x.jsonl:{line}: ")) && told.contains(words),
            "{words}: {told}"
        );
    }
}

#[test]
fn the_whole_has_to_hang_together() {
    let dump = text(&site());
    let (line, text) = changed(
        &dump,
        r#"{"row":{"type":"Task","id":1,"#,
        r#""id":1,"type":"Shot"#,
        r#""id":99,"type":"Shot"#,
    );
    let told = again(&text).unwrap_err();
    assert_eq!(
        told,
        format!("x.jsonl:{line}: Task 1.entity links to Shot 99, which is not in the file")
    );
    let (line, text) = changed(
        &dump,
        r#"{"row":{"type":"Task","id":2,"#,
        r#""id":2"#,
        r#""id":1"#,
    );
    assert!(
        again(&text)
            .unwrap_err()
            .starts_with(&format!("x.jsonl:{line}: Task 1 is there a second time"))
    );
    let cut: String = dump
        .lines()
        .take(90)
        .map(|line| format!("{line}\n"))
        .collect();
    assert!(
        again(&cut)
            .unwrap_err()
            .contains("the file ends without the line \"end\"")
    );
    assert!(
        again(&format!("{dump}{{}}\n"))
            .unwrap_err()
            .contains("nothing comes after the line \"end\"")
    );
    assert!(
        again("")
            .unwrap_err()
            .contains("x.jsonl:1: the file ends without")
    );
    assert!(
        again("{}\n")
            .unwrap_err()
            .starts_with("x.jsonl:1: found `{}`")
    );
    let (_, text) = changed(
        &dump,
        r#"{"type":{"type":"HumanUser""#,
        "HumanUser",
        "HumanUzer",
    );
    assert!(again(&text).is_err());
}

#[test]
fn no_bytes_end_the_program() {
    let dump = text(&site());
    let bytes = dump.as_bytes();
    let mut chance = fastrand::Rng::with_seed(1);
    for _ in 0..60 {
        let mut bytes = bytes[..chance.usize(0..4000)].to_vec();
        let at = chance.usize(0..=bytes.len());
        bytes.insert(at, chance.u8(..));
        assert!(read(&*bytes, "x").is_err());
    }
}
