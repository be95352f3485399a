"""The API of one version over the database of another: it answers, and changes nothing."""

from starlette.types import ASGIApp, Receive, Scope, Send

from service.errors import unavailable

RETRY_SECONDS = 30
_OPEN = ("/health", "/ready", "/metrics", "/docs", "/redoc", "/openapi.json")


class VersionGate:
    """Answers 503 `database_outdated` as long as the database is not the one of this code.

    Health and documentation stay open. The reconciler asks the database; see
    `service.store.versions`.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] == "http" and not scope["path"].startswith(_OPEN):
            problem = scope["app"].state.resources.version.problem
            if problem is not None:
                answer = unavailable("database_outdated", problem, RETRY_SECONDS).response()
                await answer(scope, receive, send)
                return
        await self.app(scope, receive, send)
