"""The verbs `llmdeploy ENV tls …`: the authority for clients, and a new certificate for the edge."""

from __future__ import annotations

from typing import TYPE_CHECKING

from llmdeploy.cli.action import LimitTime, Yes, action
from llmdeploy.cli.grammar import verbs
from llmdeploy.cli.options import Message, OnInterrupt, Wait
from llmdeploy.cli.session import Outcome, Session
from llmdeploy.cli.update import update
from llmdeploy.errors import LlmdeployError

if TYPE_CHECKING:
    from llmdeploy.config import Environment

EXAMPLES = """\b
Examples:
  llmdeploy staging tls ca > ca.crt     what clients trust: curl --cacert ca.crt https://…
  llmdeploy staging tls renew --yes     from a timer, once a week
"""

TLS = verbs(
    about="The edge's certificate. `tls.mode` says where it comes from; `status` says until when it is good.",
    short_help="the edge's certificate: ca, renew",
    epilog=EXAMPLES,
)


@action(TLS, epilog="Example: llmdeploy staging tls ca > ca.crt && curl --cacert ca.crt https://EDGE:8000/health")
def ca(session: Session) -> Outcome:
    """Print the certificate of the authority that stands behind the edge's, for clients. It is no secret."""
    from llmdeploy.cli.sealing import known_tls

    env = _with_tls(session)
    authority = known_tls(session, env).authority
    if not authority:
        raise LlmdeployError("the edge's certificate is from an authority that the system knows: clients need no more")
    return Outcome("authority", {"environment": env.name, "certificate": authority})


@action(TLS, epilog="Example: llmdeploy production tls renew --yes")
def renew(
    session: Session,
    yes: Yes = False,
    message: Message = "",
    wait: Wait = None,
    limit_time: LimitTime = None,
    on_interrupt: OnInterrupt = "abort",
) -> Outcome:
    """Give the edge the certificate that it should have now; nothing happens where it has it. No request is lost.

    internal: a new one every 30 days, good for 90; every deploy does the same. files: what is in the files now.
    """
    _with_tls(session)
    return update(
        session,
        services=["edge"],
        yes=yes,
        message=message or "the edge's certificate",
        wait=wait,
        limit_time=limit_time,
        on_interrupt=on_interrupt,
    )


def _with_tls(session: Session) -> Environment:
    env = session.load()
    if not env.settings.has_tls:
        raise LlmdeployError(f"{env.name} has no TLS at the edge", hint="`tls: {mode: internal}` turns it on")
    return env
