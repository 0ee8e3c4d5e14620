//! `sg.find`, `sg.find_one`, `sg.summarize`: payloads of `read`, and pages put together without being parsed.
//!
//! In: params; answers page by page. Out: payloads; all rows as one text. Never: a row taken apart without need.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::{
    Bad, Plan, Shape, filters,
    json::{self, is_list, is_truthy},
    records, rpc,
};

/// The page that the official client assumes before it knows better.
pub(in crate::services) const PAGE: u32 = 500;

/// What the caller wants to see.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::services) enum Rows {
    /// A list.
    All,
    /// The first row, or null.
    First,
}

/// One reading, before it is known how large a page is.
#[derive(Debug)]
pub(in crate::services) struct Find {
    entity_type: String,
    return_fields: Box<RawValue>,
    filters: Box<RawValue>,
    sorts: Vec<Sort>,
    is_retired: bool,
    shows_archived: bool,
    presets: Option<Box<RawValue>>,
    limit: u64,
    page: u64,
    rows: Rows,
}

#[derive(Debug, Serialize)]
struct Sort {
    field_name: String,
    direction: String,
}

#[derive(Deserialize)]
struct Params<'a> {
    entity_type: String,
    #[serde(borrow)]
    filters: &'a RawValue,
    #[serde(borrow, default)]
    fields: Option<&'a RawValue>,
    #[serde(borrow, default)]
    order: Option<Vec<Order<'a>>>,
    #[serde(default)]
    filter_operator: Option<String>,
    #[serde(default)]
    limit: Option<u64>,
    #[serde(default)]
    retired_only: Option<bool>,
    #[serde(default)]
    page: Option<u64>,
    #[serde(default)]
    include_archived_projects: Option<bool>,
    #[serde(borrow, default)]
    additional_filter_presets: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Order<'a> {
    #[serde(borrow, default)]
    column: Option<std::borrow::Cow<'a, str>>,
    #[serde(borrow, default)]
    field_name: Option<std::borrow::Cow<'a, str>>,
    #[serde(borrow, default)]
    direction: Option<std::borrow::Cow<'a, str>>,
}

/// The plan of `sg.find` and `sg.find_one`.
pub(super) fn plan(params: &RawValue, rows: Rows) -> Result<Plan, Bad> {
    let params: Params<'_> = json::read(params)?;
    let operator = params.filter_operator.as_deref();
    let is_first = rows == Rows::First;
    let sorts = params.order.unwrap_or_default().into_iter().map(sort);
    Ok(Plan::Find(Box::new(Find {
        filters: filters::translate(params.filters, operator)?,
        return_fields: return_fields(params.fields),
        sorts: sorts.collect::<Result<_, _>>()?,
        is_retired: params.retired_only.unwrap_or(false),
        shows_archived: params.include_archived_projects.unwrap_or(true),
        presets: params
            .additional_filter_presets
            .filter(|p| is_truthy(p))
            .map(RawValue::to_owned),
        limit: if is_first {
            1
        } else {
            params.limit.unwrap_or(0)
        },
        page: if is_first {
            0
        } else {
            params.page.unwrap_or(0)
        },
        entity_type: params.entity_type,
        rows,
    })))
}

fn sort(order: Order<'_>) -> Result<Sort, Bad> {
    // The older spelling wins, as in the official client.
    let name = order.column.or(order.field_name);
    Ok(Sort {
        field_name: name.ok_or("an `order` needs `field_name`")?.into_owned(),
        direction: order.direction.map_or_else(|| "asc".to_owned(), Into::into),
    })
}

/// As given, or the id alone when none is asked for.
pub(super) fn return_fields(fields: Option<&RawValue>) -> Box<RawValue> {
    match fields.filter(|fields| is_truthy(fields)) {
        Some(fields) => fields.to_owned(),
        None => json::raw(&["id"]),
    }
}

#[derive(Serialize)]
struct Paging {
    entities_per_page: u64,
    current_page: u64,
}

#[derive(Serialize)]
struct Payload<'a> {
    r#type: &'a str,
    return_fields: &'a RawValue,
    filters: &'a RawValue,
    return_only: &'static str,
    paging: Paging,
    #[serde(skip_serializing_if = "Option::is_none")]
    additional_filter_presets: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    include_archived_projects: Option<bool>,
    #[serde(skip_serializing_if = "<[Sort]>::is_empty")]
    sorts: &'a [Sort],
    api_return_image_urls: bool,
    return_paging_info_without_counts: bool,
}

impl Find {
    /// The payload for one page.
    pub(in crate::services) fn payload(
        &self,
        size: u64,
        page: u64,
        is_paged: bool,
    ) -> Box<RawValue> {
        json::raw(&Payload {
            r#type: &self.entity_type,
            return_fields: &self.return_fields,
            filters: &self.filters,
            return_only: if self.is_retired { "retired" } else { "active" },
            paging: Paging {
                entities_per_page: size,
                current_page: page,
            },
            additional_filter_presets: self.presets.as_deref(),
            // The site shows them by default: only the other choice is said.
            include_archived_projects: (!self.shows_archived).then_some(false),
            sorts: &self.sorts,
            api_return_image_urls: true,
            return_paging_info_without_counts: is_paged,
        })
    }
}

/// The pages of one reading, put together as text.
#[derive(Debug)]
pub(in crate::services) struct Pages {
    size: u64,
    page: u64,
    /// True when the pages follow each other until the end; false for one page alone.
    is_paged: bool,
    limit: u64,
    count: u64,
    rows: String,
}

#[derive(Deserialize)]
struct Answer<'a> {
    #[serde(borrow, default)]
    entities: Option<Vec<&'a RawValue>>,
    #[serde(default)]
    paging_info: Option<PagingInfo>,
}

#[derive(Deserialize)]
struct PagingInfo {
    #[serde(default)]
    has_next_page: Option<bool>,
}

impl Pages {
    /// The paging of the official client: a limit that fits one page, or a page that is named, is one request.
    pub(in crate::services) fn new(find: &Find, page_max: u32) -> Self {
        let max = u64::from(page_max);
        let fits = find.limit > 0 && find.limit <= max;
        let page = if fits { find.page.max(1) } else { find.page };
        Self {
            size: if fits { find.limit } else { max },
            page: page.max(1),
            is_paged: page == 0,
            limit: find.limit,
            count: 0,
            rows: String::from("["),
        }
    }

    /// The payload of the next page.
    pub(in crate::services) fn payload(&self, find: &Find) -> Box<RawValue> {
        find.payload(self.size, self.page, self.is_paged)
    }

    /// Size of the list with the rows so far.
    pub(in crate::services) fn bytes(&self) -> usize {
        self.rows.len() + "]".len()
    }

    /// Takes one answer; true when it was the last.
    pub(in crate::services) fn take(&mut self, answer: &RawValue) -> Result<bool, Bad> {
        let answer: Answer<'_> = json::read(answer)?;
        let rows = answer.entities.unwrap_or_default();
        let is_empty = rows.is_empty();
        for row in rows {
            if self.is_paged && self.limit > 0 && self.count >= self.limit {
                break;
            }
            if self.count > 0 {
                self.rows.push(',');
            }
            self.rows.push_str(&records::tidy(row));
            self.count += 1;
        }
        let info = answer.paging_info.and_then(|info| info.has_next_page);
        self.page += 1;
        if !self.is_paged || (self.limit > 0 && self.count >= self.limit) {
            return Ok(true);
        }
        // An empty page that promises more would be asked for without end.
        let has_next = info.ok_or("`paging_info.has_next_page` is missing")?;
        Ok(!has_next || is_empty)
    }

    /// What the caller gets: the list, or its first row.
    pub(in crate::services) fn finish(mut self, find: &Find) -> Box<RawValue> {
        let text = match (find.rows, self.count) {
            (Rows::First, 0) => "null".to_owned(),
            (Rows::First, _) => self.rows.split_off(1),
            (Rows::All, _) => self.rows + "]",
        };
        RawValue::from_string(text).expect("rows of JSON in brackets are JSON")
    }
}

/// The plan of `sg.summarize`.
pub(super) fn summarize(params: &RawValue) -> Result<Plan, Bad> {
    #[derive(Deserialize)]
    struct Params<'a> {
        entity_type: String,
        #[serde(borrow)]
        filters: &'a RawValue,
        #[serde(borrow)]
        summary_fields: &'a RawValue,
        #[serde(default)]
        filter_operator: Option<String>,
        #[serde(borrow, default)]
        grouping: Option<&'a RawValue>,
        #[serde(default)]
        include_archived_projects: Option<bool>,
    }
    #[derive(Serialize)]
    struct Payload<'a> {
        r#type: &'a str,
        summaries: &'a RawValue,
        filters: &'a RawValue,
        #[serde(skip_serializing_if = "Option::is_none")]
        include_archived_projects: Option<bool>,
        #[serde(skip_serializing_if = "Option::is_none")]
        grouping: Option<&'a RawValue>,
    }
    let params: Params<'_> = json::read(params)?;
    if params.grouping.is_some_and(|grouping| !is_list(grouping)) {
        return Err("`grouping` must be a list or null".to_owned());
    }
    let filters = filters::translate(params.filters, params.filter_operator.as_deref())?;
    let payload = Payload {
        r#type: &params.entity_type,
        summaries: params.summary_fields,
        filters: &filters,
        include_archived_projects: params.include_archived_projects.filter(|shows| !shows),
        grouping: params.grouping,
    };
    Ok(rpc("summarize", &payload, Shape::AsIs))
}
