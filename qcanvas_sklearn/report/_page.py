"""HTML of the page: elements that escape what they are given, and its style."""

from __future__ import annotations

import math
import numbers
from collections.abc import Iterable, Mapping, Sequence
from html import escape

__all__ = [
    "Html",
    "element",
    "facts",
    "fragment",
    "note",
    "number",
    "page",
    "section",
    "side_by_side",
    "table",
]

_VOID = ("img", "meta")

# Nothing is loaded and nothing runs, whatever text has found its way into the page.
_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"

_STYLE = """
:root { --ink: #1d2329; --soft: #5b6670; --line: #d9dee3; --tint: #f5f7f9; --accent: #0072b2; }
* { box-sizing: border-box; }
body { margin: 0; background: #fff; color: var(--ink);
  font: 16px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial,
    sans-serif; }
main { max-width: 888px; margin: 0 auto; padding: 40px 24px 64px; }
h1 { font-size: 30px; line-height: 1.2; font-weight: 650; margin: 0 0 8px;
  overflow-wrap: anywhere; }
h2 { font-size: 20px; line-height: 1.3; font-weight: 650; margin: 0 0 14px; }
section { margin-top: 36px; padding-top: 20px; border-top: 1px solid var(--line); }
p { margin: 0 0 12px; max-width: 46em; }
.lead { color: var(--soft); margin: 0; }
code { font: 0.875em/1.5 ui-monospace, "SF Mono", Menlo, Consolas, "Liberation Mono",
  monospace; overflow-wrap: anywhere; }
dl { display: grid; grid-template-columns: 176px 1fr; gap: 7px 20px; margin: 0 0 16px; }
dt { color: var(--soft); }
dd { margin: 0; overflow-wrap: anywhere; }
.note { border-left: 4px solid var(--accent); background: var(--tint); padding: 12px 16px;
  margin: 0 0 16px; }
.warning { border-color: #d55e00; background: #fdf3ec; }
.note p { max-width: none; } .note p:last-child { margin: 0; }
.scroll { overflow-x: auto; margin: 0 0 16px; }
table { border-collapse: collapse; font-size: 14px; line-height: 1.4; }
.scroll > table { min-width: min(100%, 440px); }
.wide > table, .columns table { min-width: 100%; }
caption { text-align: left; color: var(--soft); padding: 0 0 8px; }
th, td { padding: 6px 10px; border-bottom: 1px solid var(--line); text-align: left;
  vertical-align: baseline; }
th:first-child, td:first-child { padding-left: 0; } th:last-child, td:last-child {
  padding-right: 0; }
thead th { font-weight: 600; color: var(--soft); border-bottom: 2px solid var(--line);
  vertical-align: bottom; }
tbody th { font-weight: 500; }
.number { text-align: right; font-variant-numeric: tabular-nums; }
td { min-width: 3em; } td.number { white-space: nowrap; } tbody th { min-width: 8em; }
.key { color: var(--soft); font-size: 12.5px; display: block; }
.columns { columns: 2; column-gap: 40px; }
.columns > .scroll { break-inside: avoid; }
.columns th, .columns td { padding-top: 3px; padding-bottom: 3px; }
.row { display: flex; flex-wrap: wrap; gap: 20px 24px; align-items: flex-start; }
.row > div { flex: 1 1 300px; min-width: 0; } .row dl { grid-template-columns: 130px 1fr; }
figure { margin: 0 0 8px; max-width: 100%; }
figure img { display: block; max-width: 100%; height: auto; }
@media (max-width: 640px) {
  main { padding: 24px 16px 40px; }
  dl { grid-template-columns: 1fr; gap: 0; } dd { margin: 0 0 10px; }
  .columns { columns: 1; }
}
@media print {
  @page { margin: 16mm 14mm; }
  body { font-size: 10.5pt; } main { max-width: none; padding: 0; }
  section { margin-top: 20px; padding-top: 12px; }
  h2, caption, section > p { break-after: avoid; }
  figure, tr, dl, .note, .scroll { break-inside: avoid; }
  th, td { padding-top: 3px; padding-bottom: 3px; }
  .half { width: calc(50% - 12px); }
  .scroll { overflow: visible; } table { font-size: 8.5pt; }
  .note { print-color-adjust: exact; -webkit-print-color-adjust: exact; }
}
"""


class Html(str):
    """Text that is HTML already; any other text is escaped where it enters an element."""


def fragment(*content: object) -> Html:
    """Content one behind the other; what is not `Html` is escaped."""
    return Html("".join(c if isinstance(c, Html) else escape(str(c)) for c in content))


def element(tag: str, *content: object, **attributes: object) -> Html:
    """An element with attributes, all escaped; ``class_`` and ``aria_label`` are written so."""
    written = "".join(
        f' {name.rstrip("_").replace("_", "-")}="{escape(str(value))}"'
        for name, value in attributes.items()
    )
    if tag in _VOID:
        return Html(f"<{tag}{written}>")
    return Html(f"<{tag}{written}>{fragment(*content)}</{tag}>")


def number(value: float) -> Html:
    """A number to three significant digits, which keeps its exact value for machines."""
    value = float(value)
    if math.isnan(value):
        return Html("–")
    if math.isinf(value):
        text = "∞" if value > 0 else "-∞"
    elif value == 0 or abs(value) >= 1e-4:
        magnitude = math.floor(math.log10(abs(value))) if value else 2
        text = f"{value:.{max(0, 2 - magnitude)}f}"
    else:
        text = f"{value:.2e}"
    return element("data", text.replace("-", "\N{MINUS SIGN}"), value=repr(value))


def facts(pairs: Mapping[str, object]) -> Html:
    """A list of terms and what is to be said about them."""
    rows = [fragment(element("dt", term), element("dd", what)) for term, what in pairs.items()]
    return element("dl", *rows)


def note(*paragraphs: object, warning: bool = False) -> Html:
    """Text in a box."""
    content = [element("p", paragraph) for paragraph in paragraphs]
    return element("div", *content, class_="note warning" if warning else "note", role="note")


def table(
    caption: str,
    head: Sequence[object],
    rows: Iterable[Sequence[object]],
    numeric: Iterable[int] = (),
    *,
    wide: bool = False,
) -> Html:
    """A table whose rows begin with their header.

    Parameters
    ----------
    caption : str
        What the table shows; may be empty.
    head : sequence of str or Html
        Headers of the columns.
    rows : iterable of sequences
        Cells; real numbers are written as :func:`number` does, whole ones as they are.
    numeric : iterable of int
        Columns of numbers, set flush right.
    wide : bool, default=False
        As wide as the page.
    """
    style = {k: {"class_": "number"} for k in numeric}
    heads = [element("th", h, scope="col", **style.get(k, {})) for k, h in enumerate(head)]
    body = [
        element(
            "tr",
            element("th", first, scope="row"),
            *(element("td", _cell(c), **style.get(k, {})) for k, c in enumerate(rest, 1)),
        )
        for first, *rest in rows
    ]
    content = element(
        "table",
        element("caption", caption) if caption else "",
        element("thead", element("tr", *heads)),
        element("tbody", *body),
    )
    # On a narrow screen it scrolls, by keyboard too.
    return element(
        "div", content, class_="scroll wide" if wide else "scroll", role="region",
        aria_label=caption or "Table", tabindex=0,
    )  # fmt: skip


def _cell(value: object) -> object:
    is_real = isinstance(value, numbers.Real) and not isinstance(value, numbers.Integral)
    return number(float(value)) if is_real else value  # type: ignore[arg-type]


def side_by_side(*blocks: object) -> Html:
    """Figures, and text in a ``div``, beside each other where there is room."""
    return element("div", *blocks, class_="row")


def section(title: str, *blocks: object) -> Html:
    """A section under a heading."""
    name = "".join(c if c.isalnum() else "-" for c in title.lower())
    heading = element("h2", title, id=name)
    return element("section", heading, *blocks, aria_labelledby=name)


def page(title: str, lead: object, sections: Iterable[Html]) -> str:
    """The whole page."""
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", http_equiv="Content-Security-Policy", content=_POLICY),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("title", title),
        element("style", Html(_STYLE)),
    )
    header = element("header", element("h1", title), element("p", lead, class_="lead"))
    body = element("body", element("main", header, *sections))
    return f"<!DOCTYPE html>\n{element('html', head, body, lang='en')}\n"
