"""Programs that run in the peers' environments, from a separate folder, without importing this repository."""
