"""Check that every link within the built site leads somewhere: the file is there, and so is the anchor.

Usage: python docs/check_links.py docs/_build/html

Links to other sites are counted, not followed.
"""

import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit


class Page(HTMLParser):
    """What a page links to, and the anchors that it has."""

    def __init__(self, path):
        super().__init__()
        self.links, self.anchors = [], {""}
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attrs):
        """Note links and anchors."""
        for name, value in attrs:
            if name == "id" or (tag == "a" and name == "name"):
                self.anchors.add(value)
            elif value and (name == "src" or (name == "href" and tag in ("a", "link"))):
                self.links.append(value)


def check(site):
    """Return (broken, n_internal, n_external) of the site in a folder.

    Parameters
    ----------
    site : Path

    Returns
    -------
    broken : list of str
        "page: link", of each link that leads nowhere.
    n_internal, n_external : int
        How many links there are.
    """
    site = site.resolve()
    pages = {path: Page(path) for path in site.rglob("*.html") if "_static" not in path.relative_to(site).parts}
    broken, n_internal, n_external = [], 0, 0
    for path, page in pages.items():
        for link in page.links:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                n_external += parts.scheme != "data"
                continue
            n_internal += 1
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            if target.is_dir():
                target /= "index.html"
            known = pages.get(target)
            if not target.is_file() or (known and unquote(parts.fragment) not in known.anchors):
                broken.append(f"{path.relative_to(site)}: {link}")
    return broken, n_internal, n_external


def main():
    """Run the check; the exit status says whether all is well."""
    broken, n_internal, n_external = check(Path(sys.argv[1]))
    print("\n".join(broken))
    print(f"{n_internal} links within the site, {len(broken)} broken; {n_external} to other sites, not followed")
    return bool(broken) or not n_internal


if __name__ == "__main__":
    sys.exit(main())
