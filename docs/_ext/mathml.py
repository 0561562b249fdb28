"""Formulas as MathML, which browsers draw themselves: no script, no font and no network when a page is read.

``math_core`` translates LaTeX. What it does not know is an error of the build, with the place of the formula.
"""

from docutils.nodes import SkipNode
from math_core import LatexError, LatexToMathML
from sphinx.errors import ExtensionError

MACROS = {
    "grad": r"\frac{\partial L}{\partial #1}",  # of the loss with respect to an array
    "R": r"\mathbb{R}",
}
converter = LatexToMathML(macros=MACROS, annotation=True, fancy_error=False)


def convert(node, *, displaystyle):
    """Return the MathML of a math node; lines of a formula are aligned at their ``&``."""
    text = node.astext()
    if r"\\" in text and r"\begin" not in text:
        text = rf"\begin{{aligned}}{text}\end{{aligned}}"
    try:
        return converter.convert_with_local_state(text, displaystyle=displaystyle)
    except LatexError as error:
        raise ExtensionError(f"{node.source}:{node.line}: {node.astext()!r}: {error}") from error


def visit_inline(translator, node):
    """Write a formula within text."""
    translator.body.append(convert(node, displaystyle=False))
    raise SkipNode


def visit_block(translator, node):
    """Write a formula of its own."""
    translator.body.append(f'<div class="formula">{convert(node, displaystyle=True)}</div>')
    raise SkipNode


def setup(app):
    """Register the renderer, which html_math_renderer in conf.py names."""
    app.add_html_math_renderer("mathml", (visit_inline, None), (visit_block, None))
    return {"parallel_read_safe": True, "parallel_write_safe": True}
