"""What the CI of a generated repository does besides its make targets: candidates, comments, scans."""
