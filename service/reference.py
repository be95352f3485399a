"""The interactive reference at `/docs`, from files of this server: no content network is asked."""

import base64
import hashlib
import importlib.util
import re
from pathlib import Path

from fastapi import FastAPI
from fastapi.openapi.docs import get_swagger_ui_html
from fastapi.responses import HTMLResponse
from fastapi.staticfiles import StaticFiles

FILES = "/docs/files"


def add_reference(app: FastAPI) -> None:
    """Serve Swagger UI, whose one inline script is allowed by its hash."""
    page = get_swagger_ui_html(
        openapi_url=app.openapi_url or "",
        title=app.title,
        swagger_js_url=f"{FILES}/swagger-ui-bundle.js",
        swagger_css_url=f"{FILES}/swagger-ui.css",
        swagger_favicon_url=f"{FILES}/favicon.png",
    )
    policy = (
        f"default-src 'none'; script-src 'self' {_hashes(bytes(page.body).decode())}; "
        "style-src 'self' 'unsafe-inline'; img-src 'self' data:; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )

    @app.get("/docs", include_in_schema=False)
    def docs() -> HTMLResponse:
        return HTMLResponse(page.body, headers={"Content-Security-Policy": policy})

    app.mount(FILES, StaticFiles(directory=_files()), name="reference")


def _hashes(page: str) -> str:
    scripts = re.findall(r"<script>(.*?)</script>", page, re.DOTALL)
    digests = [hashlib.sha256(script.encode()).digest() for script in scripts]
    return " ".join(f"'sha256-{base64.b64encode(digest).decode()}'" for digest in digests)


def _files() -> Path:
    """Where `fastapi-offline` keeps Swagger UI; nothing of its code is used."""
    spec = importlib.util.find_spec("fastapi_offline")
    assert spec and spec.origin, "fastapi-offline is not installed"
    return Path(spec.origin).with_name("static")
