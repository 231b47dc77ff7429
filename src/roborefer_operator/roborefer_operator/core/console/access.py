# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Who may use the console: the token, and the names under which a browser may know it."""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Mapping, Sequence
from enum import Enum
from http.cookies import CookieError, SimpleCookie
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from roborefer_operator.exceptions import ConsoleError

_SHORTEST, _LONGEST = 16, 256
_LETTERS = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_")


class Verdict(Enum):
    """What becomes of a request."""

    WELCOME = "welcome"
    NO_TOKEN = "no token, or a wrong one; open the address that the console's log shows"
    STRANGE_HOST = "the console is not known under this name; see its parameter hosts"
    STRANGE_ORIGIN = "another page may not use the console"


def make_token() -> str:
    """Return a token that nobody can guess."""
    return secrets.token_urlsafe(24)


def read_token(text: str, file: str) -> str:
    """Return the token to be used: as given, or from a private file, or a new one.

    Raises:
        ConsoleError: The file cannot be read or others may read it; the token is too short, too
            long or has other letters than a-z, A-Z, 0-9, - and _.
    """
    token = text
    if not token and file:
        path = Path(file).expanduser()
        try:
            open_to_others = path.stat().st_mode & 0o077
            token = path.read_text().strip()
        except (OSError, UnicodeDecodeError) as error:
            raise ConsoleError(f"token file {path} cannot be read: {error}") from error
        if open_to_others:
            raise ConsoleError(f"others may read token file {path}; type: chmod 600 {path}")
    if not token:
        return make_token() if not file else _refuse(f"token file {file} is empty")
    if not _SHORTEST <= len(token) <= _LONGEST or not _LETTERS.issuperset(token):
        _refuse("the token is no good")
    return token


def _refuse(why: str) -> str:
    raise ConsoleError(
        f"{why}; {_SHORTEST} to {_LONGEST} letters of a-z, A-Z, 0-9, - and _ are right"
    )


class Access:
    """Judges requests by their head lines."""

    def __init__(self, token: str, port: int, hosts: Sequence[str] = ()) -> None:
        """Prepare.

        Args:
            token: Of this console.
            port: Where it listens.
            hosts: Names, with port where it is not 80 or 443, besides those of this machine.
        """
        self._token = token.encode()
        self.cookie = f"roborefer_console_{port}"
        own = {f"{name}:{port}" for name in ("127.0.0.1", "localhost", "[::1]")}
        self._hosts = own | {host.lower() for host in hosts if host}

    def judge(self, path: str, headers: Mapping[str, str]) -> Verdict:
        """Judge a request; header names in lower case."""
        if headers.get("host", "").lower() not in self._hosts:
            return Verdict.STRANGE_HOST
        origin = headers.get("origin")
        # Programs send none; a browser always does where another page could be behind a request.
        if origin is not None and urlsplit(origin).netloc.lower() not in self._hosts:
            return Verdict.STRANGE_ORIGIN
        if not self.token_in_address(path) and not self._token_in_cookie(headers):
            return Verdict.NO_TOKEN
        return Verdict.WELCOME

    def token_in_address(self, path: str) -> bool:
        """Whether ?token= is there and right."""
        return any(self._right(given) for given in parse_qs(urlsplit(path).query).get("token", ()))

    def _token_in_cookie(self, headers: Mapping[str, str]) -> bool:
        try:
            cookie = SimpleCookie(headers.get("cookie", ""))
        except CookieError:
            return False
        return self.cookie in cookie and self._right(cookie[self.cookie].value)

    def _right(self, given: str) -> bool:
        return hmac.compare_digest(given.encode(), self._token)

    def set_cookie(self) -> str:
        """Return the head line that makes a browser keep the token, out of reach of pages."""
        return f"{self.cookie}={self._token.decode()}; Path=/; HttpOnly; SameSite=Strict"
