"""A browser without JavaScript, for a test: it keeps cookies, and sends the forms of the pages that it is shown."""

from __future__ import annotations

import http.client
import re
from contextlib import closing
from dataclasses import dataclass, field
from html import unescape
from http.cookies import SimpleCookie
from urllib.parse import urlencode, urlsplit

from tests.hub_instance import HubInstance


@dataclass
class Visitor:
    """Somebody at one server. cookies: what it has set.  text, status, headers: of the last answer."""

    hub: HubInstance
    cookies: dict[str, str] = field(default_factory=dict)
    text: str = ""
    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    set_cookies: list[str] = field(default_factory=list)

    def get(self, path: str) -> int:
        """The status of a page."""
        return self._ask("GET", path)

    def send(self, path: str, page: str = "", /, **fields: str) -> int:
        """The status of a form of the page `page` (the last one without it), sent with these fields."""
        if page:
            self.get(page)
        keys = re.findall(r'name="key" value="([^"]*)"', self.text)
        return self.post(path, **({"key": unescape(keys[-1])} if keys else {}), **fields)

    def post(self, path: str, /, **fields: str) -> int:
        """The status of a form, sent as it stands."""
        return self._ask("POST", path, urlencode(fields))

    def sign_in(self, name: str, password: str) -> int:
        """The status of signing in."""
        return self.send("/sign-in", "/sign-in", name=name, password=password)

    def _ask(self, method: str, path: str, body: str | None = None) -> int:
        headers = {
            "Accept": "text/html",
            "Cookie": "; ".join(f"{name}={value}" for name, value in self.cookies.items()),
        }
        headers |= {"Content-Type": "application/x-www-form-urlencoded"} if body is not None else {}
        with closing(http.client.HTTPConnection(urlsplit(self.hub.url).netloc, timeout=60)) as connection:
            connection.request(method, path, body, headers)
            answer = connection.getresponse()
            self.status, self.text = answer.status, answer.read().decode()
            self.headers = {name.lower(): value for name, value in answer.getheaders()}
            self.set_cookies = answer.headers.get_all("set-cookie") or []
            for line in self.set_cookies:
                for name, morsel in SimpleCookie(line).items():
                    self.cookies.pop(name, None)
                    if morsel["max-age"] != "0":
                        self.cookies[name] = morsel.coded_value
        return self.status
