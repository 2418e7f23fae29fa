//! The JSON schemas of what is exchanged, made from the types; the files under `deploy/schema/` are these.
use crate::ledger::write::{LedgerDocument, PartDocument};
use crate::{Fingerprint, HostPattern, UnixTime};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema, schema_for};
use std::borrow::Cow;

/// The files and their contents.
#[must_use]
pub fn all() -> [(&'static str, Schema); 4] {
    [
        ("ledger.schema.json", schema_for!(LedgerDocument<'static>)),
        ("ledger-part.schema.json", schema_for!(PartDocument<'static>)),
        ("report.schema.json", schema_for!(crate::report::Report)),
        ("tap.schema.json", schema_for!(crate::tap::TapReport)),
    ]
}

macro_rules! text_schema {
    ($type:ty, $name:literal, $schema:tt) => {
        impl JsonSchema for $type {
            fn schema_name() -> Cow<'static, str> {
                $name.into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!($schema)
            }
        }
    };
}

text_schema!(Fingerprint, "Fingerprint", {
    "type": "string", "pattern": "^[0-9a-f]{64}$", "description": "SHA-256 of a DER encoding"
});
text_schema!(UnixTime, "Time", {
    "type": "string", "format": "date-time", "pattern": "^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z$",
    "description": "RFC 3339 in UTC, whole seconds"
});
text_schema!(HostPattern, "Host", {
    "type": "string", "maxLength": 255,
    "description": "A server name in A-labels, lower case, without trailing dot; or *.parent, name.*, *"
});
