"""Serving the web page and its files."""

from pathlib import Path

from fastapi import FastAPI
from fastapi.responses import FileResponse
from fastapi.staticfiles import StaticFiles
from starlette.responses import Response
from starlette.types import Scope

FILES = "/web"
STATIC = Path(__file__).with_name("static")

# Everything comes from this server; blob: and data: are pictures that the page itself has drawn.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; "
    "connect-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'"
)


class _Files(StaticFiles):
    """Files that a browser asks for again after each update of the server."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        response = await super().get_response(path, scope)
        response.headers["Cache-Control"] = "no-cache"  # by ETag: an unchanged file is not sent
        return response


def add_web(app: FastAPI) -> None:
    """Serve the page at `/`, and what it consists of."""

    @app.get("/", include_in_schema=False)
    def page() -> FileResponse:
        headers = {"Content-Security-Policy": POLICY, "Cache-Control": "no-cache"}
        return FileResponse(STATIC / "index.html", headers=headers)

    app.mount(FILES, _Files(directory=STATIC), name="web")
