"""A real SMTP server for tests: STARTTLS, SMTPS, a login, and ways to be in the way.

The first line on standard output is ``{"port": N}``; then one JSON line per mail that was taken. It ends with its standard input.
Needs aiosmtpd. Never for anything but tests: it takes one user and one password from its command line.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import ssl
import sys
from typing import Any

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session


def say(value: dict[str, Any]) -> None:
    """Prints one JSON line at once."""
    print(json.dumps(value), flush=True)


class Taker:
    """Takes mails, refuses the first few when asked, or never answers."""

    def __init__(self, refuse: str, times: int, delay: float) -> None:
        self.refuse, self.times, self.delay = refuse, times, delay

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        """Prints the mail, unless it is to be refused."""
        await asyncio.sleep(self.delay)
        if self.times > 0:
            self.times -= 1
            return self.refuse
        content = envelope.content or b""
        say(
            {
                "from": envelope.mail_from,
                "to": envelope.rcpt_tos,
                "data": content.decode("utf-8", "replace") if isinstance(content, bytes) else content,
                "is_tls": session.ssl is not None or server.transport.get_extra_info("ssl_object") is not None,
                "login": session.auth_data.decode() if isinstance(session.auth_data, bytes) else None,
            }
        )
        return "250 taken"


def context(options: argparse.Namespace) -> ssl.SSLContext | None:
    """The certificate, when there is one."""
    if not options.cert:
        return None
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(options.cert, options.key)
    return tls


def server_factory(options: argparse.Namespace) -> Any:
    """Makes one protocol object per connection."""
    taker = Taker(options.refuse, options.refuse_times, options.delay)
    user = (options.user or "").encode()
    password = (options.password or "").encode()

    def check(_server: SMTP, _session: Session, _envelope: Envelope, _mechanism: str, data: Any) -> AuthResult:
        is_right = isinstance(data, LoginPassword) and (data.login, data.password) == (user, password)
        return AuthResult(success=is_right, auth_data=user if is_right else None, handled=False)

    keywords: dict[str, Any] = {"enable_SMTPUTF8": True}
    if options.user:
        keywords |= {"authenticator": check, "auth_required": True, "auth_require_tls": bool(options.cert)}
    if options.cert and not options.wrapped:
        keywords |= {"tls_context": context(options), "require_starttls": True}
    elif options.wrapped:
        keywords |= {"auth_require_tls": False}
    return lambda: SMTP(taker, **keywords)


async def serve(options: argparse.Namespace) -> None:
    """Serves until standard input ends."""
    loop = asyncio.get_running_loop()
    wrap = context(options) if options.wrapped else None
    server = await loop.create_server(server_factory(options), "127.0.0.1", options.port, ssl=wrap)
    say({"port": server.sockets[0].getsockname()[1]})
    await loop.run_in_executor(None, sys.stdin.read)
    server.close()


def main() -> None:
    """Reads the options and serves."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--cert", help="PEM; without it there is no TLS")
    parser.add_argument("--key", help="PEM")
    parser.add_argument("--wrapped", action="store_true", help="TLS from the first byte (smtps)")
    parser.add_argument("--user", help="a login is needed")
    parser.add_argument("--password")
    parser.add_argument("--refuse", default="451 not now", help="the answer to the first mails")
    parser.add_argument("--refuse-times", type=int, default=0)
    parser.add_argument("--delay", type=float, default=0.0, help="seconds before a mail is answered")
    asyncio.run(serve(parser.parse_args()))


if __name__ == "__main__":
    main()
