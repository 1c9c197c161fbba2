"""The owner's TOML file: model, units, loading."""
