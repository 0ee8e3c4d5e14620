//! The ground of a site: the builtin schema, that of another site, or a whole site out of a dump.
//!
//! In: the bytes of files with their names. Out: what a site is built on, or what is wrong with which file.
//! Never: disk; who calls has read it.

use std::io::BufRead;

use serde_json::Value;

use super::{
    dump::{self, LoadError},
    schema::{Schema, is_of_entities},
    store::Store,
};

/// What a site is built on.
#[derive(Debug, Default)]
pub struct Ground(pub(super) Kind);

/// Which of them.
#[derive(Debug, Default)]
pub(super) enum Kind {
    /// The schema that comes with the program.
    #[default]
    Builtin,
    /// That of another site.
    Schema(Box<Schema>),
    /// A site that was before.
    Site(Box<Store>),
}

impl Ground {
    /// A site out of the lines of a dump.
    ///
    /// # Errors
    /// The line that is wrong, with what was found and what is allowed.
    pub fn from_dump(lines: impl BufRead, file: &str) -> Result<Self, LoadError> {
        let store = dump::read(lines, file)?;
        Ok(Self(Kind::Site(Box::new(store))))
    }

    /// The schema of another site: its `schema_read()` and, for the names of types, its `schema_entity_read()`, in any order; each of
    /// them as JSON, or pickled as Mockgun has it.
    ///
    /// # Errors
    /// What is wrong with which file.
    pub fn from_schema(files: &[(String, Vec<u8>)]) -> Result<Self, LoadError> {
        let (mut schema, mut entities) = (None, None);
        for (file, bytes) in files {
            let value = value(file, bytes)?;
            let place = if is_of_entities(&value) {
                &mut entities
            } else {
                &mut schema
            };
            if place.replace((file, value)).is_some() {
                let what = "found a second answer of the same method; allowed: schema_read and schema_entity_read";
                return Err(LoadError::whole(file, what.into()));
            }
        }
        let (file, schema) = schema.ok_or_else(|| {
            let file = entities.as_ref().map_or("", |(file, _)| file);
            LoadError::whole(
                file,
                "found the answer of schema_entity_read alone; needed: that of schema_read".into(),
            )
        })?;
        let entities = entities.as_ref().map(|(_, entities)| entities);
        let schema = Schema::of_another(&schema, entities);
        let schema = schema.map_err(|what| LoadError::whole(file, what))?;
        match dump::missing(&schema) {
            Some(what) => Err(LoadError::whole(file, what)),
            None => Ok(Self(Kind::Schema(Box::new(schema)))),
        }
    }
}

/// JSON begins with a bracket, which no pickle does.
fn value(file: &str, bytes: &[u8]) -> Result<Value, LoadError> {
    let first = bytes.iter().find(|byte| !byte.is_ascii_whitespace());
    let value: Value = if first == Some(&b'{') {
        serde_json::from_slice(bytes).map_err(|error| LoadError::Line {
            file: file.to_owned(),
            line: error.line(),
            what: format!("this is not JSON: {error}"),
        })?
    } else {
        let options = serde_pickle::DeOptions::new().decode_strings();
        serde_pickle::from_slice(bytes, options).map_err(|error| {
            LoadError::whole(
                file,
                format!(
                    "this is neither JSON nor a pickle: {error}; allowed: the answer of schema_read"
                ),
            )
        })?
    };
    // As it comes from the site itself.
    Ok(match value {
        Value::Object(mut map) if map.len() == 1 && map.contains_key("results") => {
            map.remove("results").unwrap_or_default()
        }
        value => value,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(files: &[(&str, &[u8])]) -> String {
        let files: Vec<_> = files
            .iter()
            .map(|(name, bytes)| ((*name).to_owned(), bytes.to_vec()))
            .collect();
        Ground::from_schema(&files).unwrap_err().to_string()
    }

    #[test]
    fn files_that_are_no_schema_are_refused_by_name() {
        let entities = br#"{"Shot": {"name": {"value": "Shot"}}}"#;
        let shot = br#"{"Shot": {"code": {"data_type": {"value": "text"}}}}"#;
        for (files, words) in [
            (vec![("a", &b"{\n\"x\":\n}"[..])], "a:3: this is not JSON"),
            (
                vec![("a", &b"hello"[..])],
                "a: this is neither JSON nor a pickle",
            ),
            (vec![("a", &b""[..])], "a: this is neither"),
            (
                vec![("b", &entities[..])],
                "b: found the answer of schema_entity_read alone",
            ),
            (
                vec![("b", &shot[..]), ("c", &shot[..])],
                "c: found a second answer",
            ),
            (
                vec![("b", &shot[..]), ("c", &entities[..])],
                "b: there is no HumanUser and no ApiUser and no Project",
            ),
        ] {
            let told = refused(&files);
            assert!(told.contains(words), "{told}");
        }
    }

    #[test]
    fn a_pickle_of_a_schema_is_one() {
        let read = Schema::builtin().all_fields(None);
        let pickle =
            serde_pickle::to_vec(&read, serde_pickle::SerOptions::new().proto_v2()).unwrap();
        let ground = Ground::from_schema(&[("schema.pickle".into(), pickle)]).unwrap();
        let Kind::Schema(schema) = ground.0 else {
            panic!("no schema")
        };
        assert_eq!(schema.all_fields(None), read);
    }
}
