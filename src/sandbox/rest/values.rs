//! Values of REST: what may be written in another way than API3 takes it.
//!
//! In: a field, a value as it was sent. Out: the value as API3 takes it, or as it was, for API3 to refuse.
//! Never: a number with a fraction that was written without one.

use serde_json::Value;

use super::Refusal;
use crate::sandbox::{
    schema::{DataType, FieldDef},
    value::Place,
};

/// Digits behind the point that are kept.
const DIGITS: f64 = 1e6;

/// A value for a field.
pub(super) fn coerced(def: &FieldDef, place: &Place<'_>, value: &Value) -> Result<Value, Refusal> {
    let number = value.as_f64();
    let number = number.or_else(|| value.as_str()?.trim().parse().ok());
    let number = number.filter(|number: &f64| number.is_finite());
    let is_whole = value.is_i64() || value.is_u64();
    Ok(match (def.kind, number) {
        (DataType::Float, Some(_)) if is_whole => {
            return Err(place.wrong("String, Float, NilClass", value).into());
        }
        (DataType::Float, Some(number)) => ((number * DIGITS).round() / DIGITS).into(),
        (DataType::Duration, Some(number)) if !is_whole => truncated(number),
        (DataType::Checkbox, _) => match value.as_str() {
            Some("true") => true.into(),
            Some("false") => false.into(),
            _ => value.clone(),
        },
        _ => value.clone(),
    })
}

/// Minutes have no fraction.
fn truncated(number: f64) -> Value {
    #[expect(
        clippy::cast_possible_truncation,
        reason = "what is out of range is refused as such afterwards"
    )]
    let whole = number.trunc() as i64;
    whole.into()
}
