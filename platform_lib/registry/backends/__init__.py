"""Read versions and move aliases without importing MLflow, which takes two seconds of CPU."""
