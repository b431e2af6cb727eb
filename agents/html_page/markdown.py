"""The part of Markdown that people write: headings, paragraphs, lists, quotes, code, tables, emphasis, links.

What it does not know stands there as text; nothing of a text is ever taken for HTML.
"""

import html
import re
from typing import Final

_HEADING: Final = re.compile(r"(#{1,6})\s+(.*?)\s*#*$")
_ITEM: Final = re.compile(r"\s*(?:[-*+•]|(\d+)[.)])\s+(.*)$")
_FENCE: Final = re.compile(r"\s*(?:```|~~~)")
_RULE: Final = re.compile(r"\|?\s*:?-{2,}:?\s*(?:\|\s*:?-{2,}:?\s*)*\|?$")
_LINK: Final = re.compile(r"\[([^\]]+)\]\((https?://[^)\s]+|mailto:[^)\s]+|#[\w-]+)\)")
_CODE: Final = re.compile(r"`([^`]+)`")
_STRONG: Final = re.compile(r"\*\*(\S(?:.*?\S)?)\*\*|__(\S(?:.*?\S)?)__")
_EMPHASIS: Final = re.compile(r"(?<![\w*])\*(\S(?:[^*]*\S)?)\*(?![\w*])|(?<![\w_])_(\S(?:[^_]*\S)?)_(?![\w_])")
_URL: Final = re.compile(r"(?<![\"=>])\bhttps?://[^\s<>()\"']*[^\s<>()\"'.,;:!?]")
_STYLE: Final = (
    "body{font:16px/1.55 system-ui,sans-serif;max-width:46rem;margin:2rem auto;padding:0 1rem;color:#1f2937}"
    "pre{background:#f3f4f6;padding:.8rem;overflow:auto}code{background:#f3f4f6}table{border-collapse:collapse}"
    "td,th{border:1px solid #d1d5db;padding:.2rem .6rem}nav{background:#f9fafb;padding:.5rem 1rem}"
)


def page(parts: list[tuple[str, str]]) -> str:
    """Return an HTML page of (heading, text) parts; an empty heading is left out."""
    body: list[str] = []
    headings: list[tuple[int, str, str]] = []
    for heading, text in parts:
        if heading:
            body.append(_heading(2, heading.replace("-", " ").replace("_", " ").capitalize(), headings))
        body += blocks(text, headings)
    title = next((name for _, name, _ in headings), "Page")
    contents = "".join(f'<li><a href="#{anchor}">{name}</a></li>' for _, name, anchor in headings)
    nav = f"<nav><ul>{contents}</ul></nav>\n" if len(headings) > 2 else ""  # noqa: PLR2004 - two are seen at once
    plain = re.sub(r"<[^>]+>", "", title)
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{plain}</title>'
        f"<style>{_STYLE}</style></head>\n<body>\n{nav}" + "\n".join(body) + "\n</body></html>\n"
    )


def blocks(text: str, headings: list[tuple[int, str, str]]) -> list[str]:
    """Return the HTML of a text's blocks; its headings (level, words, anchor) are added to `headings`."""
    lines, found, at = text.replace("\t", "    ").splitlines(), [], 0
    while at < len(lines):
        line = lines[at]
        if not line.strip():
            at += 1
        elif _FENCE.match(line):
            end = next((i for i in range(at + 1, len(lines)) if _FENCE.match(lines[i])), len(lines))
            found.append(f"<pre><code>{html.escape(chr(10).join(lines[at + 1 : end]))}</code></pre>")
            at = end + 1
        elif heading := _HEADING.match(line):
            found.append(_heading(len(heading[1]), heading[2], headings))
            at += 1
        else:
            end = next((i for i in range(at, len(lines)) if not lines[i].strip() or _stops(lines[i])), len(lines))
            found += _block(lines[at:end])
            at = end
    return found


def _stops(line: str) -> bool:
    return bool(_FENCE.match(line) or _HEADING.match(line))


def _heading(level: int, words: str, headings: list[tuple[int, str, str]]) -> str:
    anchor = re.sub(r"\W+", "-", words.lower()).strip("-") or "part"
    taken = {known for _, _, known in headings}
    while anchor in taken:
        anchor += "-"
    headings.append((level, inline(words), anchor))
    return f'<h{level} id="{anchor}">{inline(words)}</h{level}>'


def _block(lines: list[str]) -> list[str]:
    """Return a paragraph, and a list, a quote or a table behind it."""
    if len(lines) > 1 and "|" in lines[0] and _RULE.match(lines[1].strip()):
        return [_table(lines)]
    if all(line.lstrip().startswith(">") for line in lines):
        return [f"<blockquote><p>{inline(' '.join(line.lstrip()[1:].strip() for line in lines))}</p></blockquote>"]
    first = next((i for i, line in enumerate(lines) if _ITEM.match(line)), len(lines))
    found = [f"<p>{inline(' '.join(line.strip() for line in lines[:first]))}</p>"] if first else []
    items: list[str] = []
    for line in lines[first:]:
        item = _ITEM.match(line)
        if item:
            items.append(item[2])
        else:
            items[-1] += f" {line.strip()}"
    if items:
        kind = "ol" if (started := _ITEM.match(lines[first])) and started[1] else "ul"
        found.append(f"<{kind}>" + "".join(f"<li>{inline(each)}</li>" for each in items) + f"</{kind}>")
    return found


def _table(lines: list[str]) -> str:
    rows = [[cell.strip() for cell in line.strip().strip("|").split("|")] for line in (lines[0], *lines[2:])]
    head = "".join(f"<th>{inline(cell)}</th>" for cell in rows[0])
    body = "".join("<tr>" + "".join(f"<td>{inline(cell)}</td>" for cell in row) + "</tr>" for row in rows[1:])
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def inline(text: str) -> str:
    """Return one line's HTML; code is taken out first, so that nothing in it is marked up."""
    kept: list[str] = []

    def keep(markup: str) -> str:
        kept.append(markup)
        return f"\x00{len(kept) - 1}\x00"

    text = _CODE.sub(lambda found: keep(f"<code>{html.escape(found[1])}</code>"), text.replace("\x00", ""))
    text = _LINK.sub(lambda found: keep(f'<a href="{html.escape(found[2])}">{html.escape(found[1])}</a>'), text)
    text = _URL.sub(lambda found: keep(f'<a href="{html.escape(found[0])}">{html.escape(found[0])}</a>'), text)
    text = html.escape(text, quote=False)
    text = _STRONG.sub(lambda found: f"<strong>{found[1] or found[2]}</strong>", text)
    text = _EMPHASIS.sub(lambda found: f"<em>{found[1] or found[2]}</em>", text)
    for _ in range(2):  # code within the words of a link
        text = re.sub(r"\x00(\d+)\x00", lambda found: kept[int(found[1])], text)
    return text
