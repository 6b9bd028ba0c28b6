"""The root command. A command's file is imported when the command is named.

Most take half a second, with their server, database or rules; ``--help`` need not.
"""

from __future__ import annotations

from importlib import import_module

import click

_COMMANDS = {
    "serve": ("serve", "Run the service."),
    "try": ("try_request", "Send the hook request in FILE (or -) and print the cards."),
    "explain": ("explain_request", "Trace the hook request in FILE (or -)."),
    "check": ("check_all", "Check content, terminology, fixtures, settings, keys and store."),
    "terminology": ("terminology", "The drug tables."),
    "doctor": ("doctor", "Explain why a token or a FHIR server would be refused."),
    "use": ("use", "What the page /use is made from."),
    "feedback": ("feedback", "What clinicians did with the cards."),
    "replay": (
        "replay_orders",
        "Judge a year of orders from a Bulk FHIR export, before go-live.",
    ),
    "diff": ("diff_replays", "Which verdicts changed between two replays of the same orders."),
    "sign": ("sign", "Sign which verdicts content changes."),
    "review": ("review_sample", "What two reviewers made of a replay's sample."),
    "conformance": ("try_service", "Probe any CDS Hooks service, by requirement."),
    "export": ("export", "The knowledge as FHIR, CQL and CSV."),
    "store": ("store", "Migrate, back up and restore the store; acknowledge a loss."),
    "audit": ("audit", "What was asked and answered, without clinical text."),
}
_FILES = {"try": "try_"}  # where a file cannot have the command's name


class _Commands(click.Group):
    """Commands by name, in the order in which a site meets them."""

    def list_commands(self, _context: click.Context) -> list[str]:
        return [*_COMMANDS]

    def get_command(self, _context: click.Context, name: str) -> click.Command | None:
        if name not in _COMMANDS:
            return None
        module = import_module(f"cds_service.cli.{_FILES.get(name, name)}")
        command: click.Command = getattr(module, _COMMANDS[name][0])
        return command

    def format_commands(self, _context: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, said) for name, (_, said) in _COMMANDS.items()])


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="naltrexone-cds")
def main() -> None:
    """Naltrexone safety: a CDS Hooks service for naltrexone, opioids and low-dose naltrexone."""
