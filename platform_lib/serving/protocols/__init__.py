"""The prediction protocols. Each has one codec, which decodes requests and encodes responses; the rest is shared."""
