//! The one configuration file (YAML), overridden by flags and `CERTDRIFT_…`.
