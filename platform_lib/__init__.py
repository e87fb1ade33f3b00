"""The library of Cloud ML Platform. A project's own code imports `platform_lib.project`; the rest is internal."""
