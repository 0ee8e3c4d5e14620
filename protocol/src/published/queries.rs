//! What reads of the site are asked with: filters, orders, summaries, groups; and what summaries answer.

use schemars::JsonSchema;
use serde_json::{Map, Value};

/// Filters as the official client has them.
#[derive(JsonSchema)]
#[serde(untagged)]
pub(super) enum Filters {
    /// All must hold, or any, by `filter_operator`.
    List(Vec<Filter>),
    /// The site's own form, sent as it is: `{"logical_operator": "and", "conditions": […]}`. `filter_operator` does not go with it.
    Raw(Map<String, Value>),
}

/// A condition, or several joined.
#[derive(JsonSchema)]
#[serde(untagged)]
pub(super) enum Filter {
    /// `[field, relation, value…]`: the site judges relation and values by the kind of the field.
    Condition(FilterCondition),
    /// Conditions with an operator of their own.
    Group(FilterGroup),
}

/// `[field, relation, value…]`; several values also as one list.
#[derive(JsonSchema)]
#[schemars(extend("minItems" = 2, "prefixItems" = [{"type": "string"}, {"type": "string"}]))]
pub(super) struct FilterCondition(Vec<Value>);

/// Conditions that are joined.
#[derive(JsonSchema)]
pub(super) struct FilterGroup {
    pub(super) filter_operator: FilterOperator,
    pub(super) filters: Vec<Filter>,
}

/// How conditions are joined.
#[derive(JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum FilterOperator {
    /// All of them hold.
    All,
    /// At least one of them holds.
    Any,
    /// As `all`.
    And,
    /// As `any`.
    Or,
}

/// One of the orders of rows.
#[derive(JsonSchema)]
pub(super) struct Sort {
    pub(super) field_name: Option<String>,
    /// The older spelling of `field_name`; it wins.
    pub(super) column: Option<String>,
    /// `asc` or `desc`; none: `asc`.
    pub(super) direction: Option<String>,
}

/// One thing that is told about all rows.
#[derive(JsonSchema)]
pub(super) struct SummaryField {
    pub(super) field: String,
    /// Which of them a field has depends on its kind.
    #[schemars(extend("examples" = [
        "record_count", "count", "sum", "average", "minimum", "maximum", "earliest", "latest", "percentage",
        "status_percentage", "status_percentage_as_float", "status_list", "checked", "unchecked",
    ]))]
    pub(super) r#type: String,
    /// Of percentages: which value counts, or a list of them.
    pub(super) value: Option<Value>,
}

/// What rows have in common that stand in one group.
#[derive(JsonSchema)]
pub(super) struct Grouping {
    pub(super) field: String,
    /// None: `exact`. Which of them a field has depends on its kind.
    #[schemars(extend("examples" = [
        "exact", "tens", "hundreds", "thousands", "tensofthousands", "hundredsofthousands", "millions", "day", "oneday",
        "fivedays", "week", "month", "quarter", "year", "clustered_date", "entitytype", "firstletter",
    ]))]
    pub(super) r#type: Option<String>,
    /// `asc` or `desc`; none: `asc`.
    pub(super) direction: Option<String>,
}

/// Result of `sg.summarize`.
#[derive(JsonSchema)]
pub(super) struct Summaries {
    /// Over all rows, by field.
    pub(super) summaries: Map<String, Value>,
    /// Empty without `grouping`.
    pub(super) groups: Vec<SummaryGroup>,
}

/// Rows that have something in common.
#[derive(JsonSchema)]
pub(super) struct SummaryGroup {
    /// What they have in common, for people.
    pub(super) group_name: Value,
    /// What they have in common.
    pub(super) group_value: Value,
    /// Over its rows, by field.
    pub(super) summaries: Map<String, Value>,
    /// By the next of `grouping`, where there is one.
    pub(super) groups: Option<Vec<SummaryGroup>>,
}
