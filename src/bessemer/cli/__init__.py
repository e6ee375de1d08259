"""The command line: one file a command, found by name and imported when it is called."""

from __future__ import annotations

import sys
from importlib import import_module
from keyword import iskeyword
from typing import TYPE_CHECKING, NoReturn

import click

from bessemer._version import __version__

if TYPE_CHECKING:
    from bessemer.core.errors import BessemerError

#: Command -> what it does, in the order of `--help`. The module of a command has its name, and
#: an underscore where Python keeps the word for itself.
COMMANDS = {
    "init": "Write a commented project file from what a data file looks like.",
    "import": "Turn a project file of Ludwig or igel into one of Bessemer.",
    "run": "Run the flow; what is cached is not run again.",
    "validate": "Hold the data to its contract; accept what it is.",
    "runs": "List the runs of the project.",
    "show": "Show one run, or several side by side.",
    "leaderboard": "Show all models that a run has tried.",
    "lineage": "Show what an artifact was made from.",
    "data": "Show, compare and name the snapshots of the data.",
    "flow": "Show the stages, what each takes and gives.",
    "report": "Say where the report of a run is, or compare several.",
    "notebook": "Write a notebook that starts from a run's data and model.",
    "predict": "Score a file with a package, streaming.",
    "explain": "Say why a package predicts what it predicts, row by row.",
    "attack": "Attack a package or a server, as somebody would who knows that much of it.",
    "export": "Write a package in another runtime's format, and prove that it answers alike.",
    "optimize": "Make a quicker or smaller package of one, each version measured.",
    "targets": "List what packages can be exported to, and install what that needs.",
    "serve": "Serve packages over HTTP and gRPC.",
    "deploy": "Give a running server a package: at once, as a canary, beside others or as a shadow.",
    "deployments": "Show what a running server serves, and how much of the traffic each version has.",
    "promote": "Give a version of a model all of its requests.",
    "rollback": "Go back to what served before the last change of a model.",
    "log": "Show the last predictions that were served, with their labels.",
    "monitor": "Compare what a model sees with what it was made for.",
    "retrain": "Train a model again, compare it with the served one, and deploy it if it is better.",
    "access": "Give clients keys for the server, list and revoke them.",
    "verify": "Check a package's signature and digests.",
    "keys": "Show, export and trust signing keys.",
    "watermark": "Mark models as yours, and prove that one is.",
    "schema": "Print the JSON Schema of the project file.",
    "clean": "Remove artifacts that no recent run uses.",
}


class LazyGroup(click.Group):
    """A group whose commands are imported only when they are used, so that `--help` stays fast."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name not in COMMANDS:
            return None
        module = f"{name}_" if iskeyword(name) else name
        command: click.Command = import_module(f"bessemer.cli.{module}").command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            from bessemer.core.errors import UsageError, did_you_mean

            raise UsageError(f"no command '{args[0]}'", fix=did_you_mean(args[0], COMMANDS))
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.group(
    cls=LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
    epilog="Exit codes: 0 done, 1 internal error, 2 project file or usage, 3 data, 4 gates not passed, "
    "5 package refused, 6 this machine (disk, permissions, missing extra), 130 interrupted.",
)
@click.version_option(__version__, prog_name="bessemer")
def group() -> None:
    """From raw data to a served, signed model: one project file, one command."""


def main(argv: list[str] | None = None) -> None:
    """The entry point: runs a command and turns errors into words and exit codes."""
    from bessemer.core.errors import BessemerError
    from bessemer.core.redaction import remember_environment

    remember_environment()
    try:
        group.main(args=argv, prog_name="bessemer", standalone_mode=False)
    except click.exceptions.Exit as stop:
        sys.exit(stop.exit_code)
    except click.exceptions.Abort:
        sys.exit(130)
    except KeyboardInterrupt:
        click.echo("interrupted; run again to go on from where it stopped", err=True)
        sys.exit(130)
    except click.ClickException as error:
        error.show()
        sys.exit(2)
    except BrokenPipeError:
        sys.exit(0)
    except BessemerError as error:
        _refuse(error)
    except Exception as error:  # noqa: BLE001 - the outermost border: a fault of ours, said as such
        if isinstance(error, ModuleNotFoundError):
            from bessemer.core.extras import missing_extra

            if (missing := missing_extra("bessemer", error)) is not None:
                _refuse(missing)
        from bessemer.cli._console import show_crash

        show_crash(error)
        sys.exit(1)


def _refuse(error: BessemerError) -> NoReturn:
    from bessemer.cli._console import show_error

    show_error(error)
    sys.exit(error.exit_code)
