//! The requests that a plugin may make, by name, and what each one touches.

/// What a call touches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Touches {
    /// It reads the site.
    Site,
    /// It changes the site.
    SiteAsWriter,
    /// It writes a file on this machine.
    File,
    /// It is a call of the site's own API: what it touches stands in its params.
    Raw,
    /// It reads or changes what the daemon keeps for the plugin.
    State,
}

/// Every call, in the order of the manual.
pub const CALLS: [(&str, Touches); 21] = [
    ("sg.find", Touches::Site),
    ("sg.find_one", Touches::Site),
    ("sg.create", Touches::SiteAsWriter),
    ("sg.update", Touches::SiteAsWriter),
    ("sg.delete", Touches::SiteAsWriter),
    ("sg.revive", Touches::SiteAsWriter),
    ("sg.batch", Touches::SiteAsWriter),
    ("sg.summarize", Touches::Site),
    ("sg.schema_read", Touches::Site),
    ("sg.schema_entity_read", Touches::Site),
    ("sg.schema_field_read", Touches::Site),
    ("sg.text_search", Touches::Site),
    ("sg.upload", Touches::SiteAsWriter),
    ("sg.upload_thumbnail", Touches::SiteAsWriter),
    ("sg.upload_filmstrip_thumbnail", Touches::SiteAsWriter),
    ("sg.share_thumbnail", Touches::SiteAsWriter),
    ("sg.download", Touches::File),
    ("sg.rpc", Touches::Raw),
    ("state.get", Touches::State),
    ("state.set", Touches::State),
    ("state.delete", Touches::State),
];

/// What a call touches; none: there is no such call.
#[must_use]
pub fn touches(method: &str) -> Option<Touches> {
    let found = CALLS.iter().find(|(name, _)| *name == method);
    found.map(|(_, touches)| *touches)
}
