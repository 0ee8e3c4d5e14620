//! Preferences of the site, as its `preferences_read` tells them.

use serde_json::{Value, json};

use super::{fault::Fault, read::fields, value::ruby};

/// The preferences that are asked for, or all; unknown names are dropped.
pub(super) fn preferences(payload: &Value) -> Result<Value, Fault> {
    let all = json!({
        "creative_review_settings": "{}",
        "date_component_order": "month_day",
        "duration_units": "days",
        "enable_rv_integration": true,
        "enable_shotgun_review_for_rv": false,
        "format_currency_fields_decimal_options": "$1,000.99",
        "format_currency_fields_display_dollar_sign": false,
        "format_currency_fields_negative_options": "- $1,000",
        "format_date_fields": "08/04/22 OR 04/08/22 (depending on the Month order preference)",
        "format_float_fields": "9,999.99",
        "format_float_fields_rounding": "9.999999",
        "format_footage_fields": "10-05",
        "format_number_fields": "1,000",
        "format_time_hour_fields": "12 hour",
        "hours_per_day": 8.0,
        "support_local_storage": true,
        "view_master_settings": "{}",
    });
    let prefs = &payload["prefs"];
    if !prefs.is_null() && !prefs.is_array() {
        let dump = ruby(prefs);
        return Err(Fault::request(format!(
            "API preferences_read() invalid/missing array 'prefs':\n{dump}"
        )));
    }
    let asked = fields(prefs);
    let Value::Object(all) = all else {
        return Ok(all);
    };
    let kept = all
        .into_iter()
        .filter(|(name, _)| asked.is_empty() || asked.contains(name));
    Ok(Value::Object(kept.collect()))
}
