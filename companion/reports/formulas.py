r"""LaTeX formulas as MathML, so that a report needs no script and no network to show them.

latex2mathml knows most of what the thesis' equations need. It leaves unknown commands standing and does not escape
text; such a result is not used, the reader then sees the LaTeX source.
"""

import re
from html import escape
from typing import Any

from defusedxml import ElementTree
from latex2mathml.converter import convert

# Commands that latex2mathml lacks or turns into a character that browsers show badly.
_REPLACEMENTS = {
    r"\\mathbb\{1\}": "𝟙",
    r"\\(mathbb|mathcal|mathbf)\s+([A-Za-z])": r"\\\1{\2}",
    r"\\arg(?![A-Za-z])": r"\\operatorname{arg}",
    r"\\operatorname\*": r"\\operatorname",
    r"\\(begin|end)\{(aligned|align|split)\}": r"\\\1{align*}",
    r"\\(begin|end)\{equation\*?\}": "",
    r"\\(label|nonumber|notag)(\{[^}]*\}|(?![A-Za-z]))": "",
}
_CHARACTERS = {"~": "∼", "^": "ˆ"}  # \\sim and \\hat
_LIMITS = ("max", "min", "sup", "inf", "lim")  # what belongs below them in a display
_NOT_STRETCHED = ("|", "‖", "∥")
_TAG = re.compile(r"\\tag\{([^}]*)\}")


def to_html(tex: str, *, display: bool = False) -> str:
    r"""A formula as `<math>`, or as `<code>` where it cannot be converted; `\tag` becomes the equation number.

    >>> to_html(r"\lambda_{ent}")
    '<math display="inline"><mrow><msub><mi>λ</mi><mrow><mi>e</mi><mi>n</mi><mi>t</mi></mrow></msub></mrow></math>'
    """
    number = _TAG.search(tex)
    formula = _mathml(_TAG.sub("", tex), display) or f'<code class="tex">{escape(tex.strip())}</code>'
    if not display:
        return formula
    label = f'<span class="equation-number">({escape(number[1])})</span>' if number else ""
    return f'<span class="formula" tabindex="0"><span>{formula}</span>{label}</span>'


def _mathml(tex: str, display: bool) -> str | None:
    for pattern, replacement in _REPLACEMENTS.items():
        tex = re.sub(pattern, replacement, tex)
    try:
        markup = convert(tex.strip(), display="block" if display else "inline")
        tree = ElementTree.fromstring(markup)
    except Exception:  # latex2mathml raises many kinds, some of them plain IndexError
        return None
    if any("\\" in text for text in tree.itertext()):
        return None
    for element in tree.iter():
        _adapt(element)
    return ElementTree.tostring(tree, encoding="unicode")


def _adapt(element: Any) -> None:
    """Make one element what browsers expect."""
    element.tag = element.tag.rpartition("}")[2]  # HTML needs no name space
    alignment = element.attrib.pop("columnalign", None)
    if alignment:  # which browsers know as a style only
        element.set("style", f"text-align:{alignment}")
    text = element.text or ""
    if text in _CHARACTERS:
        element.tag, element.text = "mo", _CHARACTERS[text]
    elif element.tag == "mo" and text in _NOT_STRETCHED:
        element.attrib.setdefault("stretchy", "false")
    elif element.tag in ("mi", "mo") and text.isalpha() and len(text) > 1:  # \\log, \\max, \\operatorname
        element.tag = "mo"
        element.attrib |= {"lspace": "0", "rspace": "0.167em", "movablelimits": "true"}
    elif element.tag == "msub" and element[0].text in _LIMITS:
        element.tag = "munder"
    elif element.tag == "msup" and element[1].text == "′":  # a prime is raised by itself
        element.tag, element[1].tag = "mrow", "{}mo"
        element[1].attrib |= {"lspace": "0", "rspace": "0"}
