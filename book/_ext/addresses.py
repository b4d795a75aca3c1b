"""Everything that needs to know where the book lives, kept out of the book until somebody says where.

``BOOK_URL`` is the address the pages are served from; with it come canonical links, OpenGraph data and a sitemap.
``BOOK_REPOSITORY`` is the address of the sources; with it come the buttons that open an issue, the source and Binder.
Unset, none of these exists, and no page names an address that may not answer.
"""

import os

from sphinx.application import Sphinx
from sphinx.config import Config


def set_addresses(app: Sphinx, config: Config) -> None:
    if url := os.environ.get("BOOK_URL"):
        config.html_baseurl = config.ogp_site_url = url.rstrip("/") + "/"
        config.ogp_site_name = config.html_title
        config.ogp_social_cards = {"enable": False}  # a card would be drawn with matplotlib for each page
        config.sitemap_url_scheme = "{link}"
    if repository := os.environ.get("BOOK_REPOSITORY"):
        options = config.html_theme_options
        options["repository_url"] = repository.rstrip("/")
        options["repository_branch"] = os.environ.get("BOOK_BRANCH", "main")
        options["use_repository_button"] = options["use_issues_button"] = True
        options["launch_buttons"] = {"notebook_interface": "jupyterlab", "binderhub_url": "https://mybinder.org"}


def setup(app: Sphinx) -> dict[str, bool]:
    if os.environ.get("BOOK_URL"):  # both warn when they have no address, and a warning fails the build
        app.setup_extension("sphinxext.opengraph")
        app.setup_extension("sphinx_sitemap")
    app.connect("config-inited", set_addresses, priority=100)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
