"""SVG of another agent, made harmless: only elements that draw, only attributes that style, only inner references."""

import re
from typing import Final
from xml.etree import ElementTree as ET

MAX_SVG: Final = 200_000

_SVG: Final = "{http://www.w3.org/2000/svg}"
_HREF: Final = "{http://www.w3.org/1999/xlink}href"
_DRAWING: Final = frozenset(
    {"svg", "g", "defs", "path", "rect", "circle", "ellipse", "line", "polyline", "polygon", "text", "tspan", "use"}
    | {"clipPath", "title", "desc", "style", "linearGradient", "radialGradient", "stop", "marker", "symbol", "mask"}
)
_UNSAFE: Final = re.compile(r"@import|expression|javascript:|url\s*\(\s*['\"]?(?!#)", re.IGNORECASE)


def clean(svg: str) -> str:
    """Return `svg` without anything that runs or reaches out; "" if it is no SVG that can be read."""
    start = svg.find("<svg")
    if start < 0 or len(svg) > MAX_SVG or "<!" in svg[start:].replace("<!--", ""):
        return ""
    try:
        root = ET.fromstring(svg[start:])  # noqa: S314 - no doctype, so no entities to expand
    except ET.ParseError:
        return ""
    if root.tag != f"{_SVG}svg":
        return ""
    ET.register_namespace("", _SVG[1:-1])
    ET.register_namespace("xlink", _HREF[1 : _HREF.index("}")])
    _prune(root)
    return ET.tostring(root, encoding="unicode")


def _prune(element: ET.Element) -> None:
    element.attrib = {key: value for key, value in element.attrib.items() if _harmless(key, value)}
    for child in list(element):
        name = child.tag.removeprefix(_SVG) if isinstance(child.tag, str) else ""
        if name not in _DRAWING or (name == "style" and _UNSAFE.search("".join(child.itertext()))):
            element.remove(child)
        else:
            _prune(child)


def _harmless(key: str, value: str) -> bool:
    if key in {"href", _HREF}:
        return value.startswith("#")
    return not key.lower().startswith("on") and _UNSAFE.search(value) is None
