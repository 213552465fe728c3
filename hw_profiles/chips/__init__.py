"""The profiles that come with the package, one TOML file per chip or convention."""
