"""The shared stack: one Pulumi program that gives a team the platform on an existing cluster."""
