"""Signing in at the hospital's OpenID provider: the way there, and the way back."""

from __future__ import annotations

import base64
import binascii
import json
import math
from collections.abc import Callable
from dataclasses import asdict
from typing import Final

import structlog
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from appliance.people.errors import NameTaken, PeopleError
from appliance.people.history import record_sign_in
from appliance.people.throttle import Throttle
from appliance.people.vouched import admit
from appliance.web.cookies import PROVIDER, cookie_of, drop_cookie, set_cookie
from appliance.web.language import gettext as _
from appliance.web.people import Role, address_of, person_of
from appliance.web.people_words import problem_words
from appliance.web.provider import Begun, Known, NotVouchedFor, Provider, ProviderUnreachable, oidc_client
from appliance.web.sign_in import begin, own_place, show_form
from appliance.web.site import Site
from store_forward.database import writing

log = structlog.get_logger()
_BACK: Final = "/sign-in/provider/back"
_PATIENCE_S: Final = 600
#: For the throttle, which counts by address and account: whoever it was, they did not say.
_SOMEBODY: Final = "/provider"


def provider_routes(site: Site, throttle: Throttle, monotonic: Callable[[], float]) -> list[Route]:
    """There and back; none where no provider is configured. Raises ConfigurationInvalid."""
    provider = oidc_client(site.settings, monotonic)
    if provider is None:
        return []
    way = _Way(site, throttle, provider)
    return [Route("/sign-in/provider", way.there), Route(_BACK, way.back)]


class _Way:
    def __init__(self, site: Site, throttle: Throttle, provider: Provider) -> None:
        self._site, self._throttle, self._provider = site, throttle, provider
        self._name = site.settings.oidc.name

    def there(self, request: Request) -> Response:
        """To the provider; the browser keeps what it has to bring back."""
        place = own_place(request.query_params.get("next", "/"))
        if person_of(request).may(Role.VIEWER):
            return RedirectResponse(place, 303)
        try:
            address, begun = self._provider.begin(self._back_here(request))
        except ProviderUnreachable as error:
            return self._unreachable(request, place, error)
        kept = base64.urlsafe_b64encode(json.dumps([asdict(begun), place]).encode()).decode()
        answer = RedirectResponse(address, 303)
        set_cookie(answer, self._site.settings.page, PROVIDER, kept, _PATIENCE_S, from_elsewhere=True)
        return answer

    def back(self, request: Request) -> Response:
        """A session for whom the provider vouches and who has a role here."""
        answer = self._answered(request)
        drop_cookie(answer, self._site.settings.page, PROVIDER)
        return answer

    def _answered(self, request: Request) -> Response:
        address, said = address_of(request), request.query_params
        begun, place = _kept(cookie_of(request, self._site.settings.page, PROVIDER))
        if (pause := self._throttle.attempt(address, _SOMEBODY)) > 0:
            words = _("Too many tries from here. Wait %(seconds)d s, then try again.") % {"seconds": math.ceil(pause)}
            return show_form(self._site, request, place, problem=words, code=429)
        if begun is None or said.get("state") != begun.state:
            words = _("This sign-in was begun in another browser, or too long ago. Begin again.")
            return show_form(self._site, request, place, problem=words, code=400)
        try:
            known = self._vouched_for(request, begun)
            with writing(self._site.engine) as conn:
                user = admit(conn, known.who, known.role, known.sees_patients, self._name, self._site.clock())
        except ProviderUnreachable as error:
            return self._unreachable(request, place, error)
        except NotVouchedFor as error:
            log.warning("sign_in.not_vouched_for", address=address, cause=str(error))
            words = _(
                "%(name)s did not confirm that you may use this box. An administrator finds the cause in its log."
            )
            return self._refused(request, place, words % {"name": self._name})
        except PeopleError as error:
            log.warning("sign_in.not_admitted", address=address, cause=str(error))
            return self._refused(request, place, _words(error))
        self._throttle.succeeded(address, _SOMEBODY)
        log.info("sign_in.done", address=address, user=user)
        # A page of this box, so that its going on is this box's own doing: a strict cookie comes with no other.
        answer = self._site.render(request, "provider_done.html", {"now": self._site.clock(), "place": place})
        begin(self._site, request, user, answer)
        return answer

    def _vouched_for(self, request: Request, begun: Begun) -> Known:
        said = request.query_params
        if said.get("iss", self._site.settings.oidc.issuer) != self._site.settings.oidc.issuer:  # RFC 9207
            raise NotVouchedFor("another provider answered")
        if not (code := said.get("code", "")):
            raise NotVouchedFor("it sent no code")
        return self._provider.finish(code, begun, self._back_here(request))

    def _back_here(self, request: Request) -> str:
        own = self._site.settings.page.public_url or f"{request.url.scheme}://{request.url.netloc}"
        return f"{own}{_BACK}"

    def _unreachable(self, request: Request, place: str, error: ProviderUnreachable) -> Response:
        log.warning("sign_in.provider_unreachable", cause=str(error))
        words = _("%(name)s cannot be reached now. Users of the box itself can sign in with name and password.")
        return show_form(self._site, request, place, problem=words % {"name": self._name}, code=503)

    def _refused(self, request: Request, place: str, words: str) -> Response:
        with writing(self._site.engine) as conn:
            record_sign_in(conn, "", address_of(request), self._site.clock(), done=False)
        return show_form(self._site, request, place, problem=words, code=403)


def _kept(cookie: str) -> tuple[Begun | None, str]:
    """What the browser kept, and where it wanted to go."""
    try:
        begun, place = json.loads(base64.urlsafe_b64decode(cookie))
        return Begun(**begun), own_place(place)
    except (binascii.Error, ValueError, TypeError, AttributeError):
        return None, "/"


def _words(error: PeopleError) -> str:
    if isinstance(error, NameTaken):
        return _("Another user of this box has your name. An administrator has to remove or rename that user first.")
    return problem_words(error)
