"""Programs that run in the peers' environments, from a folder of their own: they import nothing of this repository."""
