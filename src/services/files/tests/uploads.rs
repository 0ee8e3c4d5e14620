//! Uploads by each route, what is said of files that cannot be had, dry run.

use std::{fs, time::Duration};

use serde_json::json;
use sgeventd_protocol::ErrorCode;

use super::Desk;
use crate::{
    services::{
        BothSides, Mode,
        tests::support::{Bench, allowing},
    },
    site::{
        SiteOptions,
        tests::{server::Move, session_with},
    },
};

const FORM: &str = r#"{"version":[8,89,0],"s3_direct_uploads_enabled":false}"#;
const CLOUD: &str = r#"{"version":[8,89,0],"s3_direct_uploads_enabled":true}"#;
const MOVIE: &str = r#"{"entity_type":"Version","entity_id":7,"path":"a.mov","field_name":"sg_uploaded_movie","tag_list":"x,y"}"#;
const PART: u64 = 20_000_000;

fn text(body: &str) -> Move {
    Move::status("200 OK", "content-type: text/plain\r\n", body.as_bytes())
}

/// The answer with a link to the storage, which is the same server.
fn link(server: &str) -> String {
    format!("1\n{server}/put/a?signature=s1gned\n2026-01-01T00:00:00Z\nAttachment\nup1\na.mov")
}

#[tokio::test]
async fn a_form_has_the_file_its_fields_and_the_event() {
    let desk = Desk::new([Move::json(FORM), text("1:4711:x\n")]).await;
    assert_eq!(desk.bench.call("sg.upload", MOVIE).await.unwrap(), "4711");
    let asked = &desk.server.asked()[1];
    assert!(
        asked.head.starts_with("POST /upload/upload_file HTTP/1.1"),
        "{}",
        asked.head
    );
    assert!(
        asked.head.contains("content-length: ") && !asked.head.contains("chunked"),
        "{}",
        asked.head
    );
    for (name, value) in [
        ("entity_type", "Version"),
        ("entity_id", "7"),
        ("field_name", "sg_uploaded_movie"),
        ("display_name", "a.mov"),
        ("tag_list", "x,y"),
        ("script_name", "daemon"),
        ("script_key", "canary-key-of-the-daemon"),
        ("session_uuid", "uuid-0"),
    ] {
        let field = format!("form-data; name=\"{name}\"\r\n\r\n{value}\r\n");
        assert!(asked.body.contains(&field), "{name}: {}", asked.body);
    }
    let file = "form-data; name=\"file\"; filename=\"a.mov\"\r\ncontent-type: video/quicktime\r\n\r\nthe movie\r\n--";
    assert!(asked.body.contains(file), "{}", asked.body);
}

#[tokio::test]
async fn thumbnails_go_where_they_should() {
    for (method, more) in [
        ("sg.upload_thumbnail", None),
        (
            "sg.upload_filmstrip_thumbnail",
            Some("name=\"filmstrip\"\r\n\r\nTrue\r\n"),
        ),
    ] {
        let desk = Desk::new([Move::json(FORM), text("1:5\n")]).await;
        let params = r#"{"entity_type":"Shot","entity_id":3,"path":"a.mov"}"#;
        assert_eq!(desk.bench.call(method, params).await.unwrap(), "5");
        let asked = &desk.server.asked()[1];
        assert!(
            asked.head.starts_with("POST /upload/publish_thumbnail "),
            "{}",
            asked.head
        );
        assert!(
            asked
                .body
                .contains("name=\"thumb_image\"; filename=\"a.mov\""),
            "{}",
            asked.body
        );
        assert_eq!(asked.body.contains("filmstrip"), more.is_some());
        assert!(
            more.is_none_or(|more| asked.body.contains(more)),
            "{}",
            asked.body
        );
        assert!(!asked.body.contains("display_name"), "{}", asked.body);
    }
}

#[tokio::test]
async fn one_thumbnail_is_shared_by_several() {
    let desk = Desk::new([Move::json(FORM), text("1:5\n"), text("1:6\n")]).await;
    let params = r#"{"entities":[{"type":"Shot","id":3},{"type":"Shot","id":4},{"type":"Asset","id":5}],"thumbnail_path":"a.mov"}"#;
    assert_eq!(
        desk.bench.call("sg.share_thumbnail", params).await.unwrap(),
        "6"
    );
    let asked = &desk.server.asked()[2];
    assert!(
        asked.body.starts_with("entities=Shot_4%2CAsset_5&source_entity=Shot_3&filmstrip_thumbnail=False&script_name=daemon"),
        "{}",
        asked.body
    );
    let desk = Desk::new([text("2\nnot made yet\n")]).await;
    let params = r#"{"entities":[{"type":"Shot","id":3}],"source_entity":{"type":"Shot","id":9}}"#;
    let (code, data) = desk.bench.refused("sg.share_thumbnail", params).await;
    assert_eq!(
        (code, &data["fault"]["message"]),
        (-32010, &json!("2 not made yet"))
    );
    for bad in [
        "{}",
        r#"{"entities":[],"thumbnail_path":"a.mov"}"#,
        r#"{"entities":[{"type":"Shot","id":3}]}"#,
    ] {
        assert_eq!(
            desk.bench.refused("sg.share_thumbnail", bad).await.0,
            -32602,
            "{bad}"
        );
    }
}

#[tokio::test]
async fn a_file_for_the_storage_goes_in_three_steps() {
    let desk = Desk::new([]).await;
    let tagged = Move::status("200 OK", "etag: \"e1\"\r\n", b"");
    let busy = Move::status("500 Busy", "", b"");
    desk.server.then([
        Move::json(CLOUD),
        text(&link(&desk.server.url)),
        busy,
        tagged,
        text("1:9\n"),
    ]);
    assert_eq!(desk.bench.call("sg.upload", MOVIE).await.unwrap(), "9");
    assert_eq!(
        desk.asked()[1..],
        [
            "POST /upload/api_get_upload_link_info HTTP/1.1",
            "PUT /put/a",
            "PUT /put/a",
            "POST /upload/api_link_file HTTP/1.1"
        ]
    );
    let asked = desk.server.asked();
    assert!(
        asked[1]
            .body
            .starts_with("upload_type=Attachment&filename=a.mov&multipart_upload=False&")
    );
    assert_eq!(asked[3].body, "the movie");
    assert!(
        !asked[3].head.contains("canary"),
        "no key for the storage: {}",
        asked[3].head
    );
    assert!(
        asked[4]
            .body
            .contains("signature%3Ds1gned%0A2026-01-01T00%3A00%3A00Z%0AAttachment%0Aup1%0Aa.mov")
    );
}

#[tokio::test]
async fn a_large_file_goes_in_parts_and_one_part_again() {
    let desk = Desk::new([]).await;
    let file = fs::File::create(desk.at("a.mov")).unwrap();
    file.set_len(2 * PART + 5).unwrap();
    let part = text(&format!("1\n{}/put/part?signature=s1gned", desk.server.url));
    let tagged = |tag: &str| Move::status("200 OK", &format!("etag: \"{tag}\"\r\n"), b"");
    desk.server.then([
        Move::json(CLOUD),
        text(&link(&desk.server.url)),
        part.clone(),
        tagged("e1"),
        part.clone(),
        Move::Cut(Vec::new()),
        tagged("e2"),
        part,
        tagged("e3"),
        text("1\n"),
        text("1:9\n"),
    ]);
    assert_eq!(desk.bench.call("sg.upload", MOVIE).await.unwrap(), "9");
    let asked = desk.server.asked();
    let puts: Vec<_> = asked
        .iter()
        .filter(|asked| asked.head.starts_with("PUT"))
        .map(|asked| asked.body.len() as u64)
        .collect();
    assert_eq!(puts, [PART, PART, PART, 5]);
    let numbers = asked
        .iter()
        .filter_map(|asked| asked.body.split("part_number=").nth(1));
    let numbers: Vec<_> = numbers
        .map(|rest| rest.split('&').next().unwrap())
        .collect();
    assert_eq!(numbers, ["1", "2", "3"]);
    let complete = asked
        .iter()
        .find(|asked| asked.head.contains("api_complete_multipart_upload"))
        .unwrap();
    assert!(
        complete
            .body
            .contains("etags=%22e1%22%2C%22e2%22%2C%22e3%22&"),
        "{}",
        complete.body
    );
}

#[tokio::test]
async fn what_may_have_arrived_is_not_sent_again() {
    for (trouble, data) in [
        (
            Move::Cut(Vec::new()),
            json!({"sent": true, "status": null, "method": "sg.upload"}),
        ),
        (
            Move::status("502 Bad", "", b""),
            json!({"sent": true, "status": 502, "method": "sg.upload"}),
        ),
    ] {
        let desk = Desk::new([Move::json(FORM), trouble]).await;
        assert_eq!(desk.bench.refused("sg.upload", MOVIE).await, (-32015, data));
        assert_eq!(desk.server.count(), 2);
    }
    let desk = Desk::new([
        Move::json(FORM),
        Move::status("503 Busy", "", b""),
        text("1:3\n"),
    ])
    .await;
    assert_eq!(desk.bench.call("sg.upload", MOVIE).await.unwrap(), "3");
}

#[tokio::test]
async fn no_signed_address_and_no_key_is_shown() {
    let denied = b"<?xml version=\"1.0\"?><Error><Message>Request has expired</Message></Error>";
    let desk = Desk::new([]).await;
    desk.server.then([
        Move::json(CLOUD),
        text(&link(&desk.server.url)),
        Move::status("403 No", "", denied),
    ]);
    let error = desk.bench.call("sg.upload", MOVIE).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "the site answered HTTP 403: Request has expired (-32015)"
    );
    let desk = Desk::new([
        Move::json(FORM),
        text("0\nno such script canary-key-of-the-daemon\n"),
    ])
    .await;
    let fault = desk.bench.call("sg.upload", MOVIE).await.unwrap_err();
    for error in [error, fault] {
        let shown = format!("{error:?} {}", error.data);
        assert!(
            !shown.contains("s1gned") && !shown.contains("canary"),
            "{shown}"
        );
    }
}

#[tokio::test]
async fn what_may_not_be_opened_is_said_before_anything_is_sent() {
    let desk = Desk::new([]).await;
    fs::write(desk.at("empty"), "").unwrap();
    fs::File::create(desk.at("sparse"))
        .unwrap()
        .set_len(PART * 10_001)
        .unwrap();
    for (path, code) in [
        ("../../etc/passwd", ErrorCode::InvalidParams),
        ("/etc/passwd", ErrorCode::Permission),
        ("none", ErrorCode::InvalidParams),
        ("empty", ErrorCode::InvalidParams),
        ("sparse", ErrorCode::TooLarge),
    ] {
        let params = json!({"entity_type": "Shot", "entity_id": 1, "path": path}).to_string();
        assert_eq!(
            desk.bench.refused("sg.upload", &params).await.0,
            code as i32,
            "{path}"
        );
        let params = json!({"attachment": 4, "file_path": path}).to_string();
        let is_refused = path.contains("etc");
        if is_refused {
            assert_eq!(
                desk.bench.refused("sg.download", &params).await.0,
                code as i32,
                "{path}"
            );
        }
    }
    let params = json!({"entity_type": "Shot", "entity_id": 1, "path": "/etc/passwd"}).to_string();
    let needed = json!({ "needed": "[plugin.notes]\nfiles = [\"/etc\"]" });
    assert_eq!(desk.bench.refused("sg.upload", &params).await.1, needed);
    assert_eq!(desk.server.count(), 0);
}

#[tokio::test]
async fn uploads_are_a_permission_of_their_own() {
    for (manifest, operator, needed) in [
        (
            true,
            false,
            "[plugin.notes]\npermissions = { upload = true, background = true }",
        ),
        (
            false,
            true,
            "manifest of notes: \"permissions\": {\"upload\": true, \"background\": true}",
        ),
    ] {
        let bench = Bench::new("http://127.0.0.1:1", |setup| {
            setup.upload = BothSides { manifest, operator };
        });
        for (method, params) in [
            ("sg.upload", MOVIE),
            ("sg.download", r#"{"attachment":1,"file_path":"x"}"#),
            (
                "sg.share_thumbnail",
                r#"{"entities":[{"type":"Shot","id":3}],"source_entity":{"type":"Shot","id":9}}"#,
            ),
        ] {
            assert_eq!(
                bench.refused(method, params).await,
                (-32012, json!({ "needed": needed })),
                "{method}"
            );
        }
    }
    let mut desk = Desk::new([Move::json(FORM), text("1:3\n")]).await;
    desk.bench.caller.setup.granted = allowing(&["find"]);
    assert_eq!(desk.bench.call("sg.upload", MOVIE).await.unwrap(), "3");
}

#[tokio::test]
async fn dry_run_opens_the_file_and_sends_nothing() {
    let desk = Desk::with([], Mode::Shadow).await;
    assert_eq!(desk.bench.call("sg.upload", MOVIE).await.unwrap(), "-1");
    let missing = MOVIE.replace("a.mov", "none.mov");
    assert_eq!(desk.bench.refused("sg.upload", &missing).await.0, -32602);
    let share =
        r#"{"entities":[{"type":"Shot","id":3},{"type":"Shot","id":4}],"thumbnail_path":"a.mov"}"#;
    assert_eq!(
        desk.bench.call("sg.share_thumbnail", share).await.unwrap(),
        "-3"
    );
    assert_eq!(desk.server.count(), 0);
    let notes = desk.bench.notes.0.lock().unwrap().clone();
    assert_eq!(
        notes,
        [
            "Shadow upload Some(EventId(70)) -1",
            "Shadow share_thumbnail Some(EventId(70)) -2",
            "Shadow share_thumbnail Some(EventId(70)) -3"
        ]
    );
}

#[tokio::test]
async fn a_file_that_becomes_shorter_is_no_fault_of_the_site() {
    let desk = Desk::new([]).await;
    let (info, link) = (Move::json(CLOUD), text(&link(&desk.server.url)));
    desk.server.then([info, link, Move::Hang]);
    fs::File::create(desk.at("a.mov"))
        .unwrap()
        .set_len(PART)
        .unwrap();
    let call = desk.bench.call("sg.upload", MOVIE);
    let cut = async {
        while desk.server.count() == 0 {
            tokio::task::yield_now().await;
        }
        fs::File::options()
            .write(true)
            .open(desk.at("a.mov"))
            .unwrap()
            .set_len(10)
            .unwrap();
    };
    let (answer, ()) = tokio::join!(call, cut);
    let error = answer.unwrap_err();
    assert_eq!(error.code, ErrorCode::InvalidParams, "{error}");
    assert!(error.message.contains("became shorter"), "{error}");
}

#[tokio::test]
async fn a_storage_that_stands_still_is_given_up() {
    let mut desk = Desk::new([]).await;
    let (info, link) = (Move::json(CLOUD), text(&link(&desk.server.url)));
    desk.server.then([info, link, Move::Hang]);
    let options = SiteOptions {
        timeout: Duration::from_millis(50),
        patience: Duration::from_millis(50),
        ..SiteOptions::new(&desk.server.url)
    };
    desk.bench.caller.setup.sessions = vec![session_with(options)];
    let (code, data) = desk.bench.refused("sg.upload", MOVIE).await;
    assert_eq!((code, &data["sent"]), (-32015, &json!(false)));
    let puts = desk.asked();
    assert!(
        puts.len() > 2 && puts[2..].iter().all(|line| line == "PUT /put/a"),
        "{puts:?}"
    );
}
