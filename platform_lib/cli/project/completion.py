"""`mlp completion`: let the shell complete commands, options and the choices of conf/."""

import os
from pathlib import Path

import click

_PROGRAM = "mlp"
_NO_SPACE_AFTER_EQUALS = """    [[ ${COMPREPLY[0]} == *= ]] && compopt -o nospace 2>/dev/null

    return 0
"""


@click.command(epilog="Example: mlp completion bash --install")
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.option("--install", is_flag=True, help="Write the script to the folder where SHELL looks for completions.")
def command(*, shell: str, install: bool) -> None:
    """Print the completion script of SHELL, or install it for this user.

    It completes commands and options everywhere, and in a project also the choices of conf/, such as model=forest. It
    also works for .venv/bin/mlp.
    """
    script = _script(shell)
    if not install:
        click.echo(script)
        return
    from platform_lib.files import write_atomically

    file = _file(shell)
    file.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(file, f"{script}\n")
    click.echo(f"Wrote {file}. {_hint(shell, file)}")


def _script(shell: str) -> str:
    from click.shell_completion import get_completion_class

    from platform_lib.cli import mlp

    completer = get_completion_class(shell)
    assert completer is not None
    template = completer.source_template
    if shell == "bash":  # `model=` waits for its value
        template = template.replace("    return 0\n", _NO_SPACE_AFTER_EQUALS)
    made = completer(mlp, {}, _PROGRAM, f"_{_PROGRAM.upper()}_COMPLETE")
    return str(template % made.source_vars()).strip()


def _file(shell: str) -> Path:
    home = Path.home()
    if shell == "bash":
        data = Path(os.environ.get("XDG_DATA_HOME") or home / ".local" / "share")
        return Path(os.environ.get("BASH_COMPLETION_USER_DIR") or data / "bash-completion") / "completions" / "mlp"
    config = Path(os.environ.get("XDG_CONFIG_HOME") or home / ".config")
    return home / ".zfunc" / "_mlp" if shell == "zsh" else config / "fish" / "completions" / "mlp.fish"


def _hint(shell: str, file: Path) -> str:
    if shell == "bash":
        return f"New shells use it if the package bash-completion is installed; otherwise add `. {file}` to ~/.bashrc."
    if shell == "zsh":
        return (
            f"Add `fpath+=({file.parent}); autoload -Uz compinit && compinit` to ~/.zshrc once, then open a new shell."
        )
    return "New shells use it."
