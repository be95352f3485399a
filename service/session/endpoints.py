"""HTTP for sessions."""

from fastapi import APIRouter, Request, Response

from service.auth.deps import ViewerDep
from service.auth.middleware import key_of
from service.openapi import problems
from service.session import cookie

router = APIRouter(prefix="/session", tags=["users"])


@router.post("", status_code=204, summary="Sign a browser in", responses=problems())
def sign_in(request: Request, response: Response, _actor: ViewerDep) -> None:
    """Keep the key that this request brings in a cookie that scripts cannot read, for 30 days: from
    then on the browser sends it with every request of this server's own page.
    """
    key = key_of(request)
    if key:  # none on a server that is open to its own machine
        cookie.put(request, response, key)


@router.delete("", status_code=204, summary="Sign a browser out", responses=problems())
def sign_out(request: Request, response: Response, _actor: ViewerDep) -> None:
    """Forget the cookie; the key itself goes on working."""
    cookie.drop(request, response)
