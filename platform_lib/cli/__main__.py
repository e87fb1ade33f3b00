"""`python -m platform_lib.cli` is `mlp`, for machines where the script is not on PATH."""

from platform_lib.cli import main

main()
