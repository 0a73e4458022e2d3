"""Every failure of the API as a problem document (RFC 9457), with what to do about it."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any, Final

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field
from sqlalchemy.exc import DatabaseError
from starlette.exceptions import HTTPException
from starlette.requests import Request

MEDIA_TYPE: Final = "application/problem+json"
_MOST_ERRORS: Final = 20


class Refused(HTTPException):
    """A request that is not done, why, and the repair."""

    def __init__(self, status: int, detail: str, repair: str) -> None:
        super().__init__(status, detail)
        self.repair = repair


class Fault(BaseModel):
    """One part of a request that makes no sense."""

    where: str
    why: str


class Problem(BaseModel):
    """A problem document. Members beside those of RFC 9457 3.1: ``repair``, and ``faults`` of a request."""

    type: str = Field(default="about:blank", description="nothing beyond the status code, RFC 9457 4.2.1")
    title: str
    status: int
    detail: str
    repair: str
    faults: list[Fault] | None = Field(default=None, description="of status 422: each part that makes no sense")


#: What each status means here, and the repair where nothing says it better.
MEANINGS: Final = {
    401: ("Nobody is known to ask", "Sign in, or send a token of this box: Authorization: Bearer TOKEN."),
    403: ("Not open to whoever asks", "Ask with a role, or a token, that may do this."),
    404: ("There is no such thing on this box", "Look it up in the list of its kind."),
    405: ("This resource knows no such method", "See the Allow header and /api/openapi.json."),
    422: ("The request makes no sense", "Correct what `faults` names; /api/openapi.json says what is allowed."),
    503: ("The box cannot answer now", "Ask again in a few seconds; if it stays, look at the disk of the box."),
}
_ELSE: Final = "See /api/openapi.json."


def documented(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The answers of a resource that are problems, for its OpenAPI description."""
    content = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
    return {status: {"description": f"{MEANINGS[status][0]}.", "content": content} for status in sorted(statuses)}


def answer_with_problems(app: FastAPI) -> None:
    """Let every failure of ``app`` go out as a problem document."""
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(RequestValidationError, _validation)
    app.add_exception_handler(DatabaseError, _unreadable)
    app.add_exception_handler(OSError, _unreadable)


def _http(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    if error.status_code == 400:  # of the framework's own
        return problem_answer(422, "The body is not JSON in UTF-8.", None, {})
    # A page leads somebody unknown to where people sign in; a program is told so.
    unknown = 300 <= error.status_code < 400
    headers = {"WWW-Authenticate": 'Bearer realm="scanside"'} if unknown else dict(error.headers or {})
    return problem_answer(401 if unknown else error.status_code, error.detail, getattr(error, "repair", None), headers)


def _validation(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    faults = [Fault(where=".".join(map(str, one["loc"])), why=str(one["msg"])) for one in error.errors()[:_MOST_ERRORS]]
    detail = "; ".join(f"{one.where}: {one.why}" for one in faults[:3])
    return problem_answer(422, detail, None, {}, faults)


def _unreadable(_request: Request, _error: Exception) -> JSONResponse:
    sentence = "The box's database or disk cannot be read at the moment. Images already sent are safe in the spool."
    return problem_answer(503, sentence, None, {"Retry-After": "5"})


def problem_answer(
    status: int,
    detail: str,
    repair: str | None = None,
    headers: dict[str, str] | None = None,
    faults: list[Fault] | None = None,
) -> JSONResponse:
    """A problem document; without ``repair`` the one that is usual for its status."""
    title, usual = MEANINGS.get(status, (HTTPStatus(status).phrase, _ELSE))
    body = Problem(title=title, status=status, detail=detail, repair=repair or usual, faults=faults)
    content = body.model_dump(mode="json", exclude_none=True)
    return JSONResponse(content, status, headers=headers, media_type=MEDIA_TYPE)
