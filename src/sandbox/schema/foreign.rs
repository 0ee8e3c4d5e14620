//! The schema of another site: what its `schema_read` and `schema_entity_read` told, or what Mockgun has of it in its files.
//!
//! In: their answers. Out: a schema; what such answers do not say (other sides of links, names) is taken from the builtin one.
//! Never: a file, a guess about a data type that is not known.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::{
    DataType, Schema, TypeDef,
    load::{Fields, RawField, RawType},
};

/// Fields by which a row is called, where nothing else is known.
const CALLED: [&str; 7] = [
    "code",
    "name",
    "content",
    "subject",
    "title",
    "display_name",
    "description",
];

/// Whether this is the answer of `schema_entity_read`, and not that of `schema_read`.
pub(in crate::sandbox) fn is_of_entities(read: &Value) -> bool {
    let types = read.as_object().filter(|types| !types.is_empty());
    types.is_some_and(|types| types.values().all(|def| def["name"]["value"].is_string()))
}

impl Schema {
    /// A schema out of the answers of another site.
    pub(in crate::sandbox) fn of_another(
        read: &Value,
        entities: Option<&Value>,
    ) -> Result<Self, String> {
        let types = read.as_object().filter(|types| !types.is_empty());
        let types = types.ok_or(
            "found no types; allowed: the answer of schema_read, {\"Shot\": {\"code\": {…}}}",
        )?;
        let builtin = Self::builtin();
        let mut schema = Self {
            statuses: builtin.statuses.clone(),
            ..Self::default()
        };
        for (kind, fields) in types {
            let ours = builtin.get(kind).map(|def| def.raw());
            let fields = fields.as_object();
            let fields = fields
                .ok_or_else(|| format!("{kind}: found no fields; allowed: {{\"code\": {{…}}}}"))?;
            let told = entities.and_then(|all| all[kind]["name"]["value"].as_str());
            let raw = one_type(kind, told, fields, ours, &mut schema.statuses)?;
            schema.add(kind, raw)?;
        }
        schema.forget_connections();
        Ok(schema)
    }

    /// Connections whose rows this site has no type for.
    fn forget_connections(&mut self) {
        let gone: Vec<(String, RawType)> =
            self.types().filter_map(|def| self.without(def)).collect();
        for (kind, raw) in gone {
            self.types.remove(&*kind);
            let added = self.add(&kind, raw);
            debug_assert!(added.is_ok(), "it was there before");
        }
        let types = &self.types;
        self.connections.retain(|kind, _| types.contains_key(kind));
    }

    fn without(&self, def: &TypeDef) -> Option<(String, RawType)> {
        let is_lost = |via: &str| {
            self.get(via.split('.').next().unwrap_or_default())
                .is_none()
        };
        let mut raw = def.raw();
        let mut any = false;
        for field in raw.fields.values_mut() {
            if field.via.as_deref().is_some_and(is_lost) {
                field.via = None;
                any = true;
            }
        }
        any.then(|| (def.kind.to_owned(), raw))
    }
}

fn one_type(
    kind: &str,
    told: Option<&str>,
    fields: &Map<String, Value>,
    ours: Option<RawType>,
    statuses: &mut BTreeMap<String, String>,
) -> Result<RawType, String> {
    let known = ours.as_ref().map(|raw| &raw.fields);
    let mut all = Fields::new();
    for (name, def) in fields {
        let known = known.and_then(|fields| fields.get(name));
        all.insert(name.clone(), one_field(kind, name, def, known, statuses)?);
    }
    // Every row has one, whoever left it out.
    if let Some(id) = known.and_then(|fields| fields.get("id")) {
        all.entry("id".into()).or_insert_with(|| id.clone());
    }
    let is_there = |name: &&String| all.contains_key(*name);
    let display: Vec<String> = match &ours {
        Some(ours) if ours.display.iter().all(|name| all.contains_key(name)) => {
            ours.display.clone()
        }
        _ => {
            let first = CALLED.iter().find(|name| all.contains_key(**name));
            first.map(|name| (*name).to_owned()).into_iter().collect()
        }
    };
    let has_project = all
        .get("project")
        .is_some_and(|field| field.r#type == DataType::Entity);
    let told_project = fields
        .get("project")
        .and_then(|def| def["mandatory"]["value"].as_bool());
    Ok(RawType {
        name: told.map_or_else(
            || ours.as_ref().map_or(kind, |raw| &raw.name).to_owned(),
            str::to_owned,
        ),
        display,
        needs_project: ours
            .as_ref()
            .map_or(has_project && told_project != Some(false), |raw| {
                raw.needs_project && has_project
            }),
        unless: ours
            .as_ref()
            .and_then(|raw| raw.unless.clone())
            .filter(|name| is_there(&name)),
        sets: Vec::new(),
        fields: all,
        trash: Fields::new(),
    })
}

fn one_field(
    kind: &str,
    name: &str,
    def: &Value,
    known: Option<&RawField>,
    statuses: &mut BTreeMap<String, String>,
) -> Result<RawField, String> {
    let word = def["data_type"]["value"].as_str();
    let word = word.ok_or_else(|| {
        format!("{kind}.{name}: found no data_type; allowed: {{\"data_type\": {{\"value\": \"text\"}}, …}}")
    })?;
    let data_type = DataType::named(word).ok_or_else(|| {
        let all: Vec<String> = DataType::ALL.iter().map(|kind| kind.word()).collect();
        format!(
            "{kind}.{name}: found the data type \"{word}\"; allowed: {}",
            all.join(", ")
        )
    })?;
    let known = known.filter(|field| field.r#type == data_type);
    let text = |key: &str| def[key]["value"].as_str().unwrap_or_default().to_owned();
    let property = |key: &str| &def["properties"][key]["value"];
    let words = |value: &Value| -> Vec<String> {
        let list = value.as_array().into_iter().flatten();
        list.filter_map(|word| word.as_str().map(str::to_owned))
            .collect()
    };
    if data_type == DataType::StatusList
        && let Some(shown) = property("display_values").as_object()
    {
        let shown = shown
            .iter()
            .filter_map(|(code, name)| Some((code.clone(), name.as_str()?.to_owned())));
        statuses.extend(shown);
    }
    let is = |key: &str| def[key]["value"].as_bool();
    let is_at_create = known.is_some_and(|field| field.at_create);
    let is_editable =
        is("editable").unwrap_or(true) && known.is_none_or(|field| field.editable != Some(false));
    let display_name = text("name");
    Ok(RawField {
        name: if display_name.is_empty() {
            name.to_owned()
        } else {
            display_name
        },
        r#type: data_type,
        valid_types: words(property("valid_types")),
        valid_values: words(property("valid_values")),
        default: property("default_value").clone(),
        back: known.and_then(|field| field.back.clone()),
        via: known.and_then(|field| field.via.clone()),
        derived: known.and_then(|field| field.derived),
        editable: (!is_editable).then_some(false),
        at_create: is_at_create,
        unique: is("unique").unwrap_or(false),
        ui_value_displayable: is("ui_value_displayable"),
        summary_default: property("summary_default").as_str().map(str::to_owned),
        description: text("description"),
        custom_metadata: text("custom_metadata"),
        custom: known.is_none() && name.starts_with("sg_"),
        hidden: is("visible") == Some(false),
        turned_in: std::collections::BTreeSet::new(),
        hidden_values: BTreeMap::new(),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_a_site_tells_of_itself_makes_the_same_site() {
        let builtin = Schema::builtin();
        let (read, entities) = (builtin.all_fields(None), builtin.entities());
        assert!(is_of_entities(&entities) && !is_of_entities(&read));
        let schema = Schema::of_another(&read, Some(&entities)).unwrap();
        assert_eq!(schema.all_fields(None), read);
        assert_eq!(schema.entities(), entities);
        let back = schema.field("Task", "entity").unwrap().back;
        assert_eq!(back, Some("tasks"));
        assert!(schema.connection("PlaylistVersionConnection").is_some());
    }

    #[test]
    fn types_and_fields_of_another_site_are_there_and_ours_are_not() {
        let text = |name: &str| json!({"name": {"value": name}, "data_type": {"value": "text"}});
        let states = json!({"valid_values": {"value": ["zzz"]}, "display_values": {"value": {"zzz": "Asleep"}}});
        let read = json!({
            "Shot": {"code": text("Shot"), "sg_mood": text("Mood")},
            "CustomEntity77": {"name": text("Name"), "project": {"data_type": {"value": "entity"}},
                               "sg_status_list": {"data_type": {"value": "status_list"}, "properties": states}},
            "Playlist": {"versions": {"data_type": {"value": "multi_entity"}}},
        });
        let schema = Schema::of_another(&read, None).unwrap();
        assert!(
            schema.field("Shot", "sg_mood").is_some()
                && schema.field("Shot", "sg_cut_in").is_none()
        );
        let custom = schema.get("CustomEntity77").unwrap();
        assert_eq!(
            (&*custom.display, custom.needs_project),
            (&["name"][..], true)
        );
        assert_eq!(schema.statuses["zzz"], "Asleep");
        assert!(schema.field("Playlist", "versions").unwrap().via.is_none());
        assert!(schema.get("Asset").is_none());
    }

    #[test]
    fn what_is_no_schema_is_refused_in_words() {
        for (read, words) in [
            (json!([]), "found no types"),
            (json!({}), "found no types"),
            (json!({"Shot": 7}), "Shot: found no fields"),
            (
                json!({"Shot": {"code": 7}}),
                "Shot.code: found no data_type",
            ),
            (
                json!({"Shot": {"code": {"data_type": {"value": "txet"}}}}),
                "found the data type \"txet\"; allowed: text, number",
            ),
        ] {
            let refused = Schema::of_another(&read, None).unwrap_err();
            assert!(refused.contains(words), "{read}: {refused}");
        }
    }
}
