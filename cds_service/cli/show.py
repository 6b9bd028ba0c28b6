"""Print cards and traces in a terminal, so that they can be read aloud."""

from __future__ import annotations

from typing import Any

from rich.console import Console, Group
from rich.markdown import Markdown
from rich.markup import escape
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

_COLOUR = {"critical": "red", "warning": "yellow", "info": "blue"}


def show_cards(response: dict[str, Any], console: Console) -> None:
    """Each card as a panel in its indicator's colour: detail, buttons, links, override reasons."""
    cards = response.get("cards", [])
    if not cards:
        console.print(Text("No cards.", style="dim"))
    for card in cards:
        colour = _COLOUR.get(card["indicator"], "white")
        parts: list[Any] = [
            Text(card["summary"], style=f"bold {colour}"),
            Markdown(card.get("detail", "")),
        ]
        parts += [_button(s) for s in card.get("suggestions", [])]
        parts += [
            Text(f"  -> {k['label']}  ({k['type']}) {k['url']}", style="dim")
            for k in card.get("links", [])
        ]
        if reasons := card.get("overrideReasons"):
            parts.append(
                Text("  Dismiss because: " + " | ".join(r["display"] for r in reasons), style="dim")
            )
        title = f"{card['indicator'].upper()}  {card['source']['topic']['code']}"
        console.print(
            Panel(Group(*parts), title=escape(title), border_style=colour, title_align="left")
        )


def _button(suggestion: dict[str, Any]) -> Text:
    star = " (recommended)" if suggestion.get("isRecommended") else ""
    return Text(f"  [ {suggestion['label']} ]{star}", style="green")


def show_trace(trace: dict[str, Any], console: Console) -> None:
    """The sections of a trace, one table each."""
    console.print(
        Text(
            f"{trace['service']}  hook {trace['hook']}  {trace['fhir_release']}  as of {trace['as_of']}",
            style="bold",
        )
    )
    versions = trace["versions"]
    console.print(
        Text(f"content {versions['content']}; terminology {versions['terminology']}", style="dim")
    )
    _table(console, "Prefetch", trace["prefetch"])
    _table(console, "Read", trace["read"])
    _table(console, "Drafts", trace["drafts"])
    _table(console, "Exposures", [_with_end(each) for each in trace["exposures"]])
    console.print(Text("Names not known: " + (", ".join(trace["names_not_known"]) or "none")))
    console.print(Text(f"Medicines without a readable name: {trace['without_readable_identity']}"))
    _table(console, "Conditions", trace["conditions"])
    console.print(
        Text(
            f"Setting {trace['setting']}  age {trace['age']}  "
            f"medication list available: {trace['medication_list_available']}"
        )
    )
    for rule in trace["rules"]:
        console.print(Text(f"{rule['rule']}: {rule['verdict']}", style="bold"))
        for line in rule["because"]:
            console.print(Text(f"    {line}"))
        for name, threshold in rule["thresholds"].items():
            console.print(
                Text(
                    f"    {name} = {threshold['value']}  [{', '.join(threshold['sources'])}]",
                    style="dim",
                )
            )
    _table(console, "Gaps", trace["gaps"])
    _table(console, "Departures from FHIR (advisory)", trace["departures_from_fhir"])
    console.print(
        Text(
            "Timings (ms): " + ", ".join(f"{k} {v}" for k, v in trace["timings_ms"].items()),
            style="dim",
        )
    )
    _table(console, "Cards", trace["cards"])


def _with_end(exposure: dict[str, Any]) -> dict[str, Any]:
    """The exposure with how its end is known and between which days it lies, said also where nothing is known."""
    bounds = ("end", "end_known_by", "latest_possible_day", "clear_from", "run_out")
    rest = {name: value for name, value in exposure.items() if name not in bounds}
    known = exposure["end_known_by"]
    last = exposure["latest_possible_day"]
    supply = exposure["run_out"]
    return {
        **rest,
        "end": f"{exposure['end']}, by {known}" if known else "no evidence of it",
        "taken at the latest on": last or "no bound",
        "supply runs out": f"between {supply['earliest']} and {supply['latest']}, by {supply['by']} "
        f"(one fill {_days(supply['fill_days'])}, all {_days(supply['course_days'])})"
        if supply
        else "cannot be told",
        "clear from": exposure["clear_from"],
    }


def _days(number: str) -> str:
    return "of unknown length" if number == "None" else f"{number} d"


def _table(console: Console, title: str, rows: list[dict[str, Any]]) -> None:
    """One record a row, its members below each other: traces are wide, terminals are not."""
    if not rows:
        console.print(Text(f"{title}: none", style="dim"))
        return
    table = Table(title=title, title_justify="left", show_header=False, show_lines=True)
    table.add_column("", no_wrap=True, style="bold")
    table.add_column("", overflow="fold")
    for row in rows:
        name, *rest = row
        table.add_row(escape(_cell(row[name])), escape(_members({key: row[key] for key in rest})))
    console.print(table)


def _members(row: dict[str, Any]) -> str:
    said = {name: value for name, value in row.items() if value not in (None, [], "", False)}
    return "\n".join(f"{name}: {_cell(value)}" for name, value in said.items())


def _cell(value: Any) -> str:
    if isinstance(value, list):
        return "; ".join(_cell(item) for item in value)
    if isinstance(value, dict):
        return ", ".join(
            f"{name} {_cell(item)}" for name, item in value.items() if item not in (None, [], "")
        )
    return "" if value is None else str(value)
