"""The built site in a browser: formulas are drawn, pictures load, scripts run without an error.

`make docs` builds the site; the browser is Chromium, or what the environment's CHROMIUM names.
"""

import html
import importlib.util
import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

DOCS = Path(__file__).resolve().parent.parent / "docs"
SITE = DOCS / "_build" / "html"
BROWSER = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--enable-logging=stderr",
    "--window-size=1280,2000",
]

# Added to a copy of the page: what the browser made of it, as JSON, at the end of the body. Written within the load
# event, when style sheets, scripts and pictures are there: a timer or a promise might come after the browser printed.
PROBE = """
<script>
window.addEventListener("load", () => {
  const seen = element => { const box = element.getBoundingClientRect(); return box.width > 0 && box.height > 0; };
  const fractions = [...document.querySelectorAll("math[display=block] mfrac")];
  document.body.append("PROBE" + JSON.stringify({
    title: document.querySelector("h1").textContent,
    text: document.querySelector("article").innerText,
    pictures: [...document.querySelectorAll("article img")].map(
      picture => [picture.src.split("/").pop(), picture.naturalWidth]),
    formulas: document.querySelectorAll("math").length,
    drawn: [...document.querySelectorAll("math")].filter(seen).length,
    // A browser that knows MathML puts the parts of a fraction above each other.
    stacked: fractions.filter(f => f.children[0].getBoundingClientRect().bottom
                                   <= f.children[1].getBoundingClientRect().top + 1).length,
    fractions: fractions.length,
    // In a row at the top only if the theme's style sheets were found.
    menu: new Set([...document.querySelectorAll(".bd-header .navbar-nav a.nav-link")].filter(seen)
                  .map(link => Math.round(link.getBoundingClientRect().top))).size,
  }) + "END");
});
</script>
"""

pytestmark = [
    pytest.mark.skipif(not (SITE / "index.html").exists(), reason="the documentation is not built"),
    pytest.mark.skipif(BROWSER is None, reason="there is no Chromium to look at the documentation with"),
]


@pytest.fixture
def look(tmp_path):
    """Return a function that opens a page and returns what the browser made of it."""

    def open_page(name):
        page = (SITE / name).read_text(encoding="utf-8")
        page = page.replace("<head>", f'<head><base href="{(SITE / name).as_uri()}">', 1)
        copy = tmp_path / "page.html"
        copy.write_text(page.replace("</body>", PROBE + "</body>"), encoding="utf-8")
        done = subprocess.run(
            [BROWSER, *FLAGS, f"--user-data-dir={tmp_path / 'browser'}", "--dump-dom", copy.as_uri()],
            capture_output=True,
            text=True,
            timeout=120,
        )
        found = re.search(r"PROBE(\{.*\})END", done.stdout, re.DOTALL)
        assert found, done.stderr
        seen = json.loads(html.unescape(found.group(1)))
        seen["errors"] = [line for line in done.stderr.splitlines() if "CONSOLE" in line and "rror" in line]
        return seen

    return open_page


PAGES = {
    "index.html": "sklearn_dl",
    "features.html": "Features",
    "user_guide/normalization.html": "Normalization",
    "user_guide/update_rules.html": "Update rules",
    "generated/sklearn_dl.FullyConnectedNet.html": "FullyConnectedNet",
    "generated/sklearn_dl.layers.conv_forward_fast.html": "conv_forward_fast",
    "auto_examples/index.html": "Examples",
    "auto_examples/plot_softmax.html": "Softmax: one template for each class",
}


@pytest.mark.parametrize("name", PAGES)
def test_page(name, look):
    seen = look(name)
    assert seen["title"].rstrip("#") == PAGES[name]
    assert len(seen["text"]) > 300
    assert seen["menu"] == 1
    assert seen["errors"] == []
    assert [picture for picture, width in seen["pictures"] if width == 0] == []
    assert seen["drawn"] == seen["formulas"]
    assert seen["stacked"] == seen["fractions"]


def test_formulas_are_there(look):
    seen = look("user_guide/normalization.html")
    assert seen["formulas"] > 20
    assert seen["fractions"] > 20


@pytest.mark.parametrize(("name", "at_least"), [("auto_examples/plot_softmax.html", 3), ("index.html", 1)])
def test_pictures_are_there(name, at_least, look):
    assert len(look(name)["pictures"]) >= at_least


def test_links_within_the_site():
    spec = importlib.util.spec_from_file_location("check_links", DOCS / "check_links.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    broken, n_internal, _ = module.check(SITE)
    assert broken == []
    assert n_internal > 5000


def test_broken_links_are_found(tmp_path):
    spec = importlib.util.spec_from_file_location("check_links", DOCS / "check_links.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    (tmp_path / "a.html").write_text('<p id="here"><a href="b.html#there">b</a><a href="#here"></a><img src="c.png">')
    (tmp_path / "b.html").write_text('<a href="a.html#here">a</a><a href="https://example.org/#x">elsewhere</a>')
    assert module.check(tmp_path) == (["a.html: b.html#there", "a.html: c.png"], 4, 1)
