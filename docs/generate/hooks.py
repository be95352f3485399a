"""What MkDocs calls while it builds the site; named in mkdocs.yml.

Run it from the repository root as `python -m mkdocs`, so that the code can be imported.
"""

import re
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

from docs.generate import http, notebook, readme, settings

GENERATED = {
    "readme": readme.head,
    "settings of a training": settings.training,
    "settings of an evaluation": settings.evaluation,
    "options of features": settings.features,
    "http routes": http.routes,
    "http objects": http.objects,
}
_MARK = re.compile(r"<!-- generated: (.+?) -->")


def on_files(files: Files, *, config: MkDocsConfig) -> Files:
    """Make a page of every notebook; the notebook itself can be downloaded beside it."""
    for file in [file for file in files if file.src_uri.endswith(".ipynb")]:
        assert file.abs_src_path
        text, pictures = notebook.page(Path(file.abs_src_path))
        folder, stem = file.src_uri.rpartition("/")[0], Path(file.src_uri).stem
        note = f"[This page is a notebook.]({Path(file.src_uri).name})\n\n"
        title, _, rest = text.lstrip().partition("\n")
        page = f"{title}\n\n{note}{rest}"
        files.append(File.generated(config, f"{folder}{stem}.md", content=page))
        for name, content in pictures.items():
            files.append(File.generated(config, f"{folder}{name}", content=content))
    return files


def on_page_markdown(markdown: str, *, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Put tables where a page says `<!-- generated: NAME -->`."""
    return _MARK.sub(lambda found: GENERATED[found[1]](), markdown)
