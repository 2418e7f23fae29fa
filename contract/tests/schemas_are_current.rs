//! The schema files under `deploy/schema/` say what the types say. `CERTDRIFT_WRITE=1` writes them.
#![cfg(feature = "schema")]

#[test]
fn the_schema_files_are_what_the_types_say() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/schema");
    for (name, schema) in certdrift_contract::schema::all() {
        let path = folder.join(name);
        let wanted = serde_json::to_string_pretty(&schema).expect("a schema is JSON") + "\n";
        if std::env::var_os("CERTDRIFT_WRITE").is_some() {
            std::fs::create_dir_all(&folder).expect("deploy/schema");
            std::fs::write(&path, &wanted).expect("written");
        }
        let found = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(
            found == wanted,
            "{name} is out of date: CERTDRIFT_WRITE=1 cargo test -p certdrift-contract --features schema"
        );
    }
}
