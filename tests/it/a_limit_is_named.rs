//! A plugin that meets a limit of its own is told of with the key that sets it.

use crate::support::{Daemon, Site, Studio};

/// A plugin that meets a limit is told of by its key.
async fn meets(name: &str, body: &str, limits: &str, words: &str) {
    let site = Site::quiet().await;
    let body = format!("\ndef handle(event, delivery):\n    {body}\n    return {{}}\n");
    let keys = format!("limits = {{ {limits} }}\ndelivery = {{ max_attempts = 2 }}");
    let studio = Studio::new(&site).actor(name, &body, &keys).witness();
    let daemon = Daemon::start(&studio).await;
    let report = daemon
        .plugin_when(name, "the limit is named", |plugin| {
            plugin["last_error"]
                .as_str()
                .is_some_and(|error| error.contains(words))
        })
        .await;
    assert!(report["restarts"].as_u64() >= Some(1), "{report}");
    daemon.delivered(&studio, &site.truth()).await;
    assert_eq!(daemon.stop().await, Some(0), "{}", studio.log());
    studio
        .recheck(&site, &format!("limit-{name}"), &[30])
        .judge();
}

#[tokio::test]
async fn memory_is_bounded_and_the_reason_names_the_key() {
    let body = "\n    try:\n        bytearray(8 << 30)\n    except MemoryError:\n        print('MemoryError', file=sys.stderr, flush=True)\n        os._exit(1)";
    meets(
        "hog",
        body,
        "memory = \"300MiB\"",
        "`limits.memory` is 300MiB",
    )
    .await;
}

#[tokio::test]
async fn processor_time_is_bounded_and_the_reason_names_the_key() {
    let body = "\n    while True:\n        pass";
    meets(
        "spins",
        body,
        "cpu_time = \"1s\"",
        "it used up `limits.cpu_time`, 1 s",
    )
    .await;
}

#[tokio::test]
async fn a_file_is_bounded_and_the_reason_names_the_key() {
    // Python ignores SIGXFSZ, as many do: then the system says it in words.
    let body = "
    try:
        open('large', 'wb').write(bytes(3 << 20))
    except OSError as error:
        print(error, file=sys.stderr, flush=True)
        os._exit(1)";
    meets(
        "writes",
        body,
        "file_size = \"2MiB\"",
        "`limits.file_size` is 2MiB",
    )
    .await;
}
