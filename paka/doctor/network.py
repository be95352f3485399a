"""Whether pretrained weights can be fetched; looked at only when asked."""

import os
import urllib.error
import urllib.request
from collections.abc import Iterator

from paka.doctor.finding import Finding, Request, Topic, not_applicable, ok, problem

DEFAULT_HUB = "https://huggingface.co"


def check(request: Request) -> Iterator[Finding]:
    """The hub from which timm fetches weights."""
    if request.online:
        yield hub(os.environ.get("HF_ENDPOINT") or DEFAULT_HUB)
    else:
        yield not_applicable("hub", "not asked", "paka doctor --online asks")


def hub(url: str) -> Finding:
    """Whether the hub answers."""
    try:
        with urllib.request.urlopen(url, timeout=10):  # noqa: S310  the user's own setting
            return ok("hub", f"{url} answers")
    except urllib.error.HTTPError as error:
        error.close()
        return ok("hub", f"{url} answers ({error.code})")
    except (OSError, ValueError) as error:
        reason = getattr(error, "reason", error)
        remedy = "set HTTPS_PROXY or HF_ENDPOINT, or use files: architecture@/path/to/weights"
        return problem("hub", f"{url} cannot be reached: {reason}", remedy)


TOPIC = Topic("Network", check)
