//! The manifest: what is read is within its bounds and reads the same again; what is wrong is told in a bounded text.

use sgeventd_protocol::Manifest;

/// The longest list of mistakes, bytes: it goes into an alert.
pub(super) const TOLD_MAX: usize = 16 * 1024;

/// The bytes are the text of a manifest.
///
/// # Panics
/// When something does not hold.
pub fn try_out(data: &[u8]) {
    match serde_json::from_slice::<Manifest>(data) {
        Ok(manifest) => sound(&manifest),
        Err(error) => {
            let told = error.to_string();
            assert!(told.len() <= TOLD_MAX, "{} bytes of mistakes", told.len());
        }
    }
}

/// What holds for every manifest that was read.
pub(super) fn sound(manifest: &Manifest) {
    let delivery = &manifest.delivery;
    assert!(
        delivery
            .max_in_flight
            .is_none_or(|n| (1..=256).contains(&n))
    );
    assert!(
        delivery
            .max_attempts
            .is_none_or(|n| (1..=1000).contains(&n))
    );
    assert!(
        delivery
            .timeout_ms
            .is_none_or(|ms| (1..=86_400_000).contains(&ms))
    );
    let text = serde_json::to_string(manifest).expect("it came as JSON");
    let again: Manifest = serde_json::from_str(&text).expect("it was read before");
    assert_eq!(format!("{manifest:?}"), format!("{again:?}"));
}
