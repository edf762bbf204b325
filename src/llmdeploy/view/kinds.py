"""Which function shows which kind of result."""

from __future__ import annotations

from collections.abc import Callable

from llmdeploy.view import dora, history, listings, monitoring, plan, releases, secrets, summary, tables, trust, upkeep
from llmdeploy.view.grid import Data, Lines

KINDS: dict[str, Callable[[Data, bool], Lines]] = {
    "plan": plan.plan,
    "status": tables.status,
    "verify": tables.verify,
    "doctor": listings.doctor,
    "config": listings.config,
    "environments": listings.environments,
    "validate": listings.validate,
    "init": listings.init,
    "deploy": summary.deploy,
    "attach": summary.deploy,
    "history": history.history,
    "release": releases.release,
    "difference": releases.difference,
    "dora": dora.dora,
    "unlock": upkeep.unlock,
    "swarm-unlocked": upkeep.swarm_unlocked,
    "prune": upkeep.prune,
    "trust": trust.trust,
    "monitoring": monitoring.opened,
    "secrets": secrets.secrets,
    "secrets-changed": secrets.changed,
    "secrets-rekeyed": secrets.rekeyed,
}
# What is told by labels of the cluster: each text is one line, so that none of them looks like another row.
OF_LABELS = frozenset({"status", "history", "release", "unlock"})
# Not for people to look at but for whatever reads it: to the letter, nothing wrapped, cut or coloured.
VERBATIM = {"secret": secrets.value, "authority": secrets.certificate}
