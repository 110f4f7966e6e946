"""Who is answered, without a network between."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Mapping
from typing import Any, NamedTuple

import pytest

from tests.serve import extra

extra.require()

from squeezesim.errors import SqueezesimError  # noqa: E402
from squeezesim.serve.app import MOST_BYTES, Site, application, bound  # noqa: E402
from squeezesim.serve.desk import Desk  # noqa: E402
from squeezesim.serve.worker import BUG, MISTAKE, OK, Answer  # noqa: E402

SITE = Site(8123)
SENT = {
    "host": "127.0.0.1:8123",
    "origin": "http://127.0.0.1:8123",
    "sec-fetch-site": "same-origin",
    "authorization": f"Bearer {SITE.token}",
    "content-type": "application/json",
}
ASK = json.dumps({"tab": "a", "asked": {"of": 1}})


class Response(NamedTuple):
    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Echo:
    """Answers with what it was asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, object]] = []

    def ask(self, what: str, asked: object = None) -> Answer:
        self.asked.append((what, asked))
        if asked == "a mistake":
            return Answer(MISTAKE, "array.rows is 0")
        if asked == "a bug":
            return Answer(BUG, "a bug")
        return Answer(OK, json.dumps({"what": what, "asked": asked}))

    def restart(self) -> None:
        raise AssertionError


def request(
    path: str = "/result",
    body: str | bytes = ASK,
    method: str = "POST",
    worker: Echo | None = None,
    **changes: str | None,
) -> Response:
    """What the site answers to a request with *changes* of the headers that its own page sends."""
    fields = {**SENT, **{name.replace("_", "-"): value for name, value in changes.items()}}
    headers = [(name.encode(), value.encode()) for name, value in fields.items() if value is not None]
    scope = {
        **{"type": "http", "http_version": "1.1", "method": method, "scheme": "http", "path": path},
        **{"raw_path": path.encode(), "query_string": b"", "headers": headers, "root_path": ""},
        **{"client": ("127.0.0.1", 1), "server": ("127.0.0.1", 8123)},
    }
    parts = [body.encode() if isinstance(body, str) else body]
    found: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": parts.pop(), "more_body": False} if parts else {}

    async def send(message: Any) -> None:
        found.append(dict(message))

    async def run() -> None:
        await application(SITE, Desk(worker or Echo()))(scope, receive, send)

    asyncio.run(run())
    fields_of = {name.decode(): value.decode() for name, value in found[0]["headers"]}
    return Response(
        found[0]["status"], fields_of, b"".join(message.get("body", b"") for message in found[1:])
    )


def test_the_own_page_is_answered() -> None:
    done = request()
    assert done.status == 200
    assert done.json == {"what": "result", "asked": {"of": 1}}
    assert request(host="localhost:8123", origin="http://localhost:8123").status == 200
    assert request(origin=None, sec_fetch_site=None).status == 200  # a browser that sends neither
    assert request("/cancel").json == {}


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"host": "evil.example"}, "another host"),
        ({"host": "evil.example:8123"}, "another host"),
        ({"host": "127.0.0.1:8124"}, "another host"),
        ({"host": "127.0.0.1"}, "another host"),
        ({"host": None}, "another host"),
        ({"origin": "http://evil.example"}, "another origin"),
        ({"origin": "http://127.0.0.1:8124"}, "another origin"),
        ({"origin": "https://127.0.0.1:8123"}, "another origin"),
        ({"origin": "http://localhost:8123"}, "another origin"),
        ({"origin": "null"}, "another origin"),
        ({"sec_fetch_site": "cross-site"}, "another site"),
        ({"sec_fetch_site": "same-site"}, "another site"),
        ({"authorization": None}, "no token"),
        ({"authorization": "Bearer "}, "no token"),
        ({"authorization": f"Bearer {SITE.token[:-1]}"}, "no token"),
        ({"authorization": SITE.token}, "no token"),
        ({"authorization": "Bearer \xff"}, "no token"),
    ],
)
def test_all_others_are_refused_and_nothing_is_computed(changes: dict[str, str | None], says: str) -> None:
    for path in ("/opening", "/describe", "/result", "/cancel"):
        worker = Echo()
        done = request(path, worker=worker, **changes)
        assert done.status == 403
        assert done.json["says"].startswith(says)
        assert worker.asked == []
        assert SITE.token not in str(done)


def test_the_page_itself_holds_nothing_that_is_secret_and_loads_nothing() -> None:
    done = request("/", method="GET", body="", authorization=None, origin=None, sec_fetch_site="cross-site")
    assert done.status == 200
    text = done.body.decode()
    assert SITE.token not in text
    assert not re.findall(r"""(?:src|href)=["'](?!#|data:,)""", text)
    policy = done.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; script-src 'sha256-")
    assert "connect-src 'self'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert "http" not in policy
    assert request("/", method="GET", host="evil.example").status == 403


def test_every_answer_says_how_it_may_be_used() -> None:
    for done in (request(), request("/", method="GET"), request(host="evil.example"), request("/nothing")):
        assert done.headers["referrer-policy"] == "no-referrer"
        assert done.headers["cache-control"] == "no-store"
        assert done.headers["x-content-type-options"] == "nosniff"
        assert done.headers["cross-origin-resource-policy"] == "same-origin"
        assert "access-control-allow-origin" not in done.headers


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ("", "not JSON"),
        ("[1]", "the name of its tab"),
        ('{"tab": 1}', "the name of its tab"),
        (json.dumps({"tab": "a" * 65}), "the name of its tab"),
        ('{"tab": "a", "tab": "b"}', "twice"),
        ('{"tab": "a", "asked": NaN}', "NaN is no number"),
        ("[" * 100_000, "more than 65,536 bytes"),
        ("[" * 60_000, "nested too deeply"),
        (b"\xff\xfe", "not JSON"),
        ('{"tab": "' + "a" * MOST_BYTES + '"}', "more than 65,536 bytes"),
    ],
)
def test_what_is_no_question_is_refused_in_a_line(body: str | bytes, says: str) -> None:
    worker = Echo()
    done = request(body=body, worker=worker)
    assert done.status == 422
    assert says in done.json["says"]
    assert worker.asked == []


def test_mistakes_and_bugs_are_told_by_kind() -> None:
    done = request(body=json.dumps({"tab": "a", "asked": "a mistake"}))
    assert (done.status, done.json) == (200, {"kind": "mistake", "says": "array.rows is 0"})
    assert request(body=json.dumps({"tab": "a", "asked": "a bug"})).status == 500


@pytest.mark.parametrize(
    "path", ["/etc/passwd", "/../pyproject.toml", "/static/serve.js", "/result/", "/upload", "//"]
)
def test_there_is_nothing_else(path: str) -> None:
    for method in ("GET", "POST", "PUT", "DELETE", "OPTIONS"):
        assert request(path, method=method).status in (404, 405)
    assert request("/result", method="GET").status == 405


def test_a_port_that_is_taken_is_named() -> None:
    with bound(0) as first:
        assert first.getsockname()[0] == "127.0.0.1"
        port = first.getsockname()[1]
        with pytest.raises(SqueezesimError, match=f"--port {port}: Address already in use"), bound(port):
            pass


def test_the_token_is_in_no_text_of_the_site() -> None:
    assert SITE.token not in repr(SITE)
    assert SITE.address == f"http://127.0.0.1:8123/#token={SITE.token}"
    assert len(SITE.token) >= 32
    assert Site(1).token != Site(1).token
