"""The rules in force and the dry run: what they would do with a file that is uploaded, or with a study held here."""

from __future__ import annotations

from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any, Final

import anyio.to_thread
from sqlalchemy import select
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.formparsers import MultiPartException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from appliance.commands.check_rules import asked_of
from appliance.configuration_shown import rule_shown
from appliance.dicomweb.opening import Unreadable, open_file
from appliance.dicomweb.readers import Readers
from appliance.schema import instances, studies
from appliance.settings import Rule
from appliance.web.language import gettext as _
from appliance.web.people import Role
from appliance.web.site import Site, Values
from store_forward.database import reading

#: The largest file that is taken for the dry run, bytes; its header is all that is read.
MOST_BYTES: Final = 256 * 1024 * 1024
_MOST_IMAGES: Final = 10


def rules_routes(site: Site) -> list[Route]:
    """The page and its form."""
    settings = site.settings
    readers = Readers(settings.limits.worker_memory_bytes, settings.dicomweb.opening_timeout_s)
    dry_run = _DryRun(site, readers)
    return [Route("/setup/rules", dry_run.page), Route("/setup/rules", dry_run.try_out, methods=["POST"])]


def verdicts(
    paths: list[tuple[str, Path]], rules: tuple[Rule, ...], sender: str, most_bytes: int
) -> list[dict[str, Any]]:
    """What the rules do with each file; for the guarded process, so plain values go in and out."""
    found = []
    for name, path in paths:
        try:
            header = open_file(path, most_bytes, with_pixels=False)
        except OSError as error:
            header = Unreadable(error.strerror or type(error).__name__)
        if isinstance(header, Unreadable):
            found.append({"name": name, "error": header.why})
        else:
            found.append({"name": name, **asked_of(rules, header, sender)})
    return found


class _DryRun:
    def __init__(self, site: Site, readers: Readers) -> None:
        self._site, self._readers = site, readers

    def page(self, request: Request) -> Response:
        """GET: the rules, and the form."""
        self._site.person(request, Role.OPERATOR)
        return self._render(request, {"study": request.query_params.get("study", "")[:64]})

    async def try_out(self, request: Request) -> Response:
        """POST: the same with what the rules would do. Nothing is kept."""
        site = self._site
        await anyio.to_thread.run_sync(site.person, request, Role.OPERATOR)
        if not request.headers.get("content-length", "").isdecimal():
            raise HTTPException(411, _("The length of the request must be given."))
        if int(request.headers["content-length"]) > MOST_BYTES:
            raise HTTPException(413, _("This file is too large for the dry run; use scanside check --rules FILE."))
        try:
            async with request.form(max_files=1, max_fields=3) as form:
                return await self._answer(
                    request, form.get("file"), _text(form.get("study")), _text(form.get("sender"))
                )
        except MultiPartException:
            raise HTTPException(400, _("The form could not be read; send it again.")) from None

    async def _answer(self, request: Request, file: object, study: str, sender: str) -> Response:
        values: Values = {"study": study, "sender": sender}
        if isinstance(file, UploadFile) and file.filename:
            with NamedTemporaryFile(prefix="scanside-dry-run-") as copy:
                await anyio.to_thread.run_sync(_write, copy, file)
                results = await self._run([(file.filename[:100], Path(copy.name))], sender)
        elif study:
            sender, paths = await anyio.to_thread.run_sync(self._study, study, sender)
            if not paths:
                return self._render(request, values | {"trouble": _("There is no such study here.")}, 404)
            results = await self._run(paths, sender)
        else:
            return self._render(request, values | {"trouble": _("Choose a file or a study.")}, 400)
        return self._render(request, values | {"sender": sender, "results": results})

    async def _run(self, paths: list[tuple[str, Path]], sender: str) -> list[dict[str, Any]]:
        settings = self._site.settings
        return await self._readers.run(verdicts, paths, settings.rule, sender, settings.limits.max_decoded_bytes)

    def _study(self, uid: str, sender: str) -> tuple[str, list[tuple[str, Path]]]:
        """Its sender unless another is asked for, and the files of its first images."""
        c = instances.c
        query = select(c.sop_instance_uid, c.file_digest, c.source).where(c.study_instance_uid == uid)
        with reading(self._site.engine) as conn:
            rows = conn.execute(query.order_by(c.received_at).limit(_MOST_IMAGES)).all()
            title = conn.scalar(select(studies.c.calling_ae_title).where(studies.c.study_instance_uid == uid))
        return sender or title or "", [(row.sop_instance_uid, self._site.spool.file(row.file_digest)) for row in rows]

    def _render(self, request: Request, values: Values, code: int = 200) -> Response:
        plain: Values = {"study": "", "sender": "", "results": [], "trouble": "", "now": self._site.clock()}
        if not self._site.person(request, Role.OPERATOR).sees_patients:
            for rule in (rule for one in values.get("results", []) for rule in one.get("rules", [])):
                rule["because"] = ""  # it quotes the header
        rules = [(rule, rule_shown(rule)) for rule in self._site.settings.rule]
        return self._site.render(request, "setup_rules.html", {**plain, "rules": rules, **values}, code)


def _text(value: object) -> str:
    return value.strip()[:64] if isinstance(value, str) else ""


def _write(copy: Any, file: UploadFile) -> None:
    while piece := file.file.read(1 << 20):
        copy.write(piece)
    copy.flush()
