"""The server: a page, what it asks, and who may ask. Knows Starlette and uvicorn, and no network or accelerator."""

from __future__ import annotations

import hmac
import secrets
import socket
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import uvicorn
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from squeezesim.errors import UsageError
from squeezesim.files import parse_json
from squeezesim.serve import page
from squeezesim.serve.desk import BUSY, Desk
from squeezesim.serve.worker import BUG, ENDED, MISTAKE, OK, Answer, Worker

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from squeezesim.serve.session import Given

HOST = "127.0.0.1"
MOST_BYTES = 65_536
"""Of what the page sends at once."""
_ASKS = ("opening", "describe", "result")
_STATUS = {BUG: 500, ENDED: 503, BUSY.kind: 503}
"""Of answers that are none of what was asked; a mistake of the reader, and what was given up, are no failure."""
_HEADERS = {
    "cache-control": "no-store",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
}
_SELF = "connect-src 'self'", "frame-ancestors 'none'"


@dataclass(frozen=True, slots=True)
class Site:
    """Where the page is, and the token without which nothing is answered.

    The token is the fragment of the address, which browsers send to nobody; the page sends it in a header.
    """

    port: int
    token: str = field(default_factory=lambda: secrets.token_urlsafe(24), repr=False)

    @property
    def address(self) -> str:
        """What a reader opens."""
        return f"http://{HOST}:{self.port}/#token={self.token}"

    @property
    def hosts(self) -> tuple[str, ...]:
        """What a browser on this machine calls it."""
        return f"{HOST}:{self.port}", f"localhost:{self.port}"


class Guard:
    """Answers nobody but the site's own page: its host, its origin, and for what is asked its token."""

    def __init__(self, app: ASGIApp, site: Site, headers: Mapping[str, str]) -> None:
        self._app, self._site = app, site
        self._headers = [(name.encode(), value.encode()) for name, value in headers.items()]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or refuse it."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                message = {**message, "headers": [*message["headers"], *self._headers]}
            await send(message)

        refusal = self._refusal(scope) if scope["type"] == "http" else "only HTTP is served"
        if refusal:
            await _refuse(403, refusal)(scope, receive, send_with_headers)
        else:
            await self._app(scope, receive, send_with_headers)

    def _refusal(self, scope: Scope) -> str:
        """Why a request is not answered; empty where it is."""
        given: dict[str, list[str]] = {}
        for name, value in scope["headers"]:
            given.setdefault(name.decode("latin-1").lower(), []).append(value.decode("latin-1"))
        host, origin = given.get("host", []), given.get("origin", [])
        if len(host) != 1 or host[0] not in self._site.hosts:
            return "another host"
        if origin not in ([], [f"http://{host[0]}"]):
            return "another origin"
        if scope["method"] == "GET":
            return ""
        if given.get("sec-fetch-site", ["none"])[0] not in ("same-origin", "none"):
            return "another site"
        sent = given.get("authorization", [""])[0]
        # Compared in a time that says nothing of how much of it is right.
        if not hmac.compare_digest(sent.encode(), f"Bearer {self._site.token}".encode()):
            return "no token, or not this server's: open the address that squeezesim serve printed last"
        return ""


def application(site: Site, desk: Desk) -> ASGIApp:
    """Return what serves the page of *site* and asks *desk*."""
    text, policy = page.page(_SELF)

    async def show(_: Request) -> Response:
        return Response(text, media_type="text/html", headers={"content-security-policy": policy})

    async def ask(request: Request) -> Response:
        try:
            tab, asked = _parsed(await _body(request))
        except UsageError as error:
            return _refuse(422, str(error))
        except ClientDisconnect:
            return Response(status_code=400)
        what = request.url.path.strip("/")
        if what == "cancel":
            desk.cancel(tab)
            return JSONResponse({})
        return _response(await desk.ask(tab, what, asked))

    routes = [Route("/", show, methods=["GET"])]
    routes += [Route(f"/{what}", ask, methods=["POST"]) for what in (*_ASKS, "cancel")]
    served = Starlette(routes=routes)
    served.router.redirect_slashes = False
    return Guard(served, site, _HEADERS)


async def _body(request: Request) -> bytes:
    found = b""
    async for part in request.stream():
        found += part
        if len(found) > MOST_BYTES:
            raise UsageError(f"more than {MOST_BYTES:,} bytes were sent; allowed: at most that")
    return found


def _parsed(body: bytes) -> tuple[str, object]:
    """The tab, and what it asks."""
    found = parse_json(body, "what the page sends", UsageError)
    tab = found.get("tab") if isinstance(found, dict) else None
    if not isinstance(tab, str) or not 1 <= len(tab) <= 64:
        raise UsageError("a question has the name of its tab, up to 64 characters")
    return tab, found.get("asked")


def _response(answer: Answer) -> Response:
    if answer.kind == OK:
        return Response(answer.text, media_type="application/json")
    return _refuse(_STATUS.get(answer.kind, 200), answer.text, answer.kind)


def _refuse(status: int, says: str, kind: str = MISTAKE) -> Response:
    return JSONResponse({"kind": kind, "says": says}, status_code=status)


@contextmanager
def bound(port: int) -> Iterator[socket.socket]:
    """Listen on this machine alone, on *port*, or where it is 0 on one that is free.

    Raises:
        UsageError: the port is taken, or not for this user.
    """
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as listening:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listening.bind((HOST, port))
            listening.listen()  # so that whoever is told the address can connect at once
        except OSError as error:
            reason = error.strerror or str(error)
            raise UsageError(
                f"--port {port}: {reason}; allowed: another port, or none for one that is free"
            ) from error
        yield listening


def serve(given: Given, port: int, began: Callable[[str], None], *, cache: bool = True) -> None:
    """Serve the page until it is interrupted; *began* is told its address."""
    with bound(port) as listening:
        site = Site(listening.getsockname()[1])
        worker = Worker(given, cache=cache)
        config = uvicorn.Config(
            application(site, Desk(worker)),
            log_level="warning",
            access_log=False,
            lifespan="off",
            ws="none",
            http="h11",
            loop="asyncio",
            proxy_headers=False,
            server_header=False,
            timeout_graceful_shutdown=1,
        )
        try:
            began(site.address)
            with suppress(KeyboardInterrupt):  # which is how it ends
                uvicorn.Server(config).run(sockets=[listening])
        finally:
            worker.stop()
