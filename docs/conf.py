"""Sphinx configuration: ``sphinx-build -W -b html docs docs/_build/html``.

Nothing is fetched. The examples are shown without being run; ``-D plot_gallery=1`` runs them.
"""

import re
import shutil
import sys
from importlib.util import find_spec
from pathlib import Path

from docutils import nodes
from sphinx import addnodes

DOCS = Path(__file__).parent
ROOT = DOCS.parent
# The package beside this folder is meant, whichever is installed.
sys.path[:0] = [str(ROOT), str(DOCS)]

import write_reference  # noqa: E402

import qcanvas_sklearn  # noqa: E402

project = "qcanvas_sklearn"
author = "The qcanvas_sklearn developers"
version = release = qcanvas_sklearn.__version__

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.mathjax",
    "sphinx-mathjax-offline",  # pages show formulas without network, too
    "numpydoc",
    "myst_parser",
    "sphinx_design",
    "sphinx_gallery.gen_gallery",
]
templates_path = ["_templates"]
exclude_patterns = ["_build", "gallery/**/README*", "**/sg_execution_times.rst"]
suppress_warnings = ["config.cache"]  # the gallery's settings hold functions

autosummary_generate = write_reference.write(DOCS / "reference")
autodoc_typehints = "none"  # numpydoc says them in words
default_role = "py:obj"  # names in single backticks are links where they are public
numpydoc_show_class_members = False  # the template of a class lists them

myst_enable_extensions = ["colon_fence", "dollarmath"]
myst_heading_anchors = 3

plot_gallery = "False"
sphinx_gallery_conf = {
    "examples_dirs": "../examples",
    "gallery_dirs": "gallery",
    "backreferences_dir": "gallery/backreferences",
    "doc_module": ("qcanvas_sklearn",),
    "within_subsection_order": "write_reference.quickstart_first",
    "remove_config_comments": True,
    "download_all_examples": False,
    "image_scrapers": ("matplotlib",) if find_spec("matplotlib") else (),
}

html_theme = "pydata_sphinx_theme"
html_title = "qcanvas_sklearn"
html_static_path = ["_static"]
html_css_files = ["pages.css"]
html_show_sourcelink = False
# Pages without a section of their own have nothing to navigate.
html_sidebars = {
    page: []
    for page in ("start", "benchmarks", "quantumcanvas_scripts", "changelog", "contributing")
}
html_theme_options = {
    "navigation_with_keys": False,
    "show_prev_next": True,
    "secondary_sidebar_items": ["page-toc"],
    "footer_start": ["copyright"],
    "footer_end": [],
}
copyright = "the qcanvas_sklearn developers"


def take_thumbnails(app):
    """Where examples were not run, show the pictures that are kept of them."""
    if str(app.config.plot_gallery).lower() in ("1", "true"):
        return
    for picture in (ROOT / "examples" / "figures").glob("plot_*.png"):
        place = DOCS / "gallery" / "images" / "thumb" / f"sphx_glr_{picture.stem}_thumb.png"
        if place.exists():
            shutil.copyfile(picture, place)


def link_names(app, doctree):
    """Names of the package in the guide lead to their description."""
    docname = app.env.docname
    if docname.startswith(("reference/", "gallery/")):
        return
    places = write_reference.places()
    for literal in list(doctree.findall(nodes.literal)):
        text = literal.astext()
        # Bare words, such as those of the command line, are no names of functions.
        place = None if re.fullmatch("[a-z]+", text) else places.get(text.split("(")[0])
        if place and not isinstance(literal.parent, (nodes.reference, nodes.title)):
            link = addnodes.pending_xref(
                "", literal.deepcopy(), refdomain="py", reftype="obj", reftarget=place,
                refdoc=docname,
            )  # fmt: skip
            literal.replace_self(link)


def setup(app):
    app.connect("doctree-read", link_names)
    app.connect("builder-inited", take_thumbnails, priority=900)
