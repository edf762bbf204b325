#!/usr/bin/python
"""Make images: build them, take loaded ones, or ask a registry which one a name means."""

from __future__ import annotations

import io
import json
import os
import re
import shutil
import subprocess
import tarfile
import threading
import time
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.engine.host import Engine, EngineError, repository
from ansible.module_utils.engine.host_images import digest_pin
from ansible.module_utils.engine.host_prune import BROUGHT

DOCUMENTATION = r"""
---
module: llmdeploy_image
short_description: Make the images of a release on one host, and pin them
description:
  - C(build) builds a folder under its name. A base image is taken from this host, else from its registry; that of
    Debian is made from Debian's packages where no registry answers.
  - C(archive) and C(local) name an image that was loaded here just before, by the action of the same name.
  - C(registry) asks the registry which image the name means now.
options:
  images:
    description: The images, as in C(llmdeploy_images). C(context) is the path of the folder's tar on this host.
    type: list
    elements: dict
    required: true
  deadline:
    description: Seconds for all of it.
    type: int
    default: 1200
author:
  - llmdeploy
"""

EXAMPLES = r"""
- name: Make the images
  llmdeploy_image:
    images:
      - {ref: "llmdeploy/demo:3f2a", kind: build, context: /tmp/demo.tar, dockerfile: Dockerfile, args: {}}
"""

RETURN = r"""
pins:
  description: For each reference what it is pinned to.
  returned: always
  type: dict
made:
  description: The references that were built, loaded or pulled, and base images.
  returned: always
  type: list
notes:
  description: What somebody should know.
  returned: always
  type: list
"""

FIRST_WORD = 60.0  # seconds until a registry must have said anything
DEBIAN = re.compile(r"(?:docker\.io/)?(?:library/)?debian:(bookworm|trixie|12|13)(?:-slim)?")
SUITES = {"12": "bookworm", "13": "trixie"}
LEFT_OUT = ("doc", "man", "locale", "info")
ENVIRONMENT = {**os.environ, "DOCKER_BUILDKIT": "0", "DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C.UTF-8"}
SUPPLY = (
    "let this host reach the registry (docker login, if it asks for a name), or load the image there (docker load), "
    "or give it as a file (images.archives)"
)


class ImageError(Exception):
    """An image cannot be made; the text says which, why, and what to do."""


class Images:
    """The images of this host."""

    def __init__(self, deadline: float) -> None:
        self.engine = Engine()
        self.end = time.monotonic() + deadline
        self.made: list[str] = []
        self.notes: list[str] = []

    def make(self, image: dict[str, Any]) -> str:
        """Make one image, unless it is there, and return its pin."""
        if image["kind"] == "registry":
            return self.resolve(image["ref"])
        loaded = image.get("loaded")
        if loaded:
            self.tag(loaded, image["ref"])
            self.made.append(image["ref"])
        found = self.inspect(image["ref"])
        if found is None and image["kind"] == "build":
            self.build(image)
            found = self.inspect(image["ref"])
        if found is None:
            raise ImageError(f"{image['ref']} was loaded, but no image of this name is there")
        return str(found["Id"])

    # --- registries

    def resolve(self, ref: str) -> str:
        """The digest that a name means now; where no registry answers, what is there under that name."""
        if "@" in ref:
            return digest_pin(ref)
        before = self.inspect(ref)
        code, said = self.pull(ref)
        found = self.inspect(ref)
        if found is None:
            raise ImageError(f"the image {ref} is not on this host, and no registry gives it: {said}\n→ {SUPPLY}")
        if code != 0:
            self.notes.append(f"no registry answers for {ref} ({said}); the image that is there is used")
        elif before is None or before["Id"] != found["Id"]:
            self.made.append(ref)
        told = re.search(r"sha256:[0-9a-f]{64}", said) if code == 0 else None
        known = [digest for digest in found.get("RepoDigests") or () if repository(digest) == repository(ref)]
        if told:
            return digest_pin(f"{ref}@{told[0]}")
        return digest_pin(f"{ref}@{known[0].partition('@')[2]}") if known else str(found["Id"])

    def pull(self, ref: str) -> tuple[int, str]:
        """Pull an image; the exit code, and the last words (on success the line with the digest)."""
        code, lines = self.run(["docker", "pull", ref], first=FIRST_WORD)
        digests = [line for line in lines if line.startswith("Digest:")]
        return code, (digests or list(lines) or ["no answer"])[-1]

    # --- building

    def build(self, image: dict[str, Any]) -> None:
        """Build a folder, after seeing to its base images."""
        for base in bases(Path(image["context"]), image["dockerfile"], image.get("args") or {}):
            self.base(base, image["ref"])
        command = ["docker", "build", "--tag", image["ref"], "--file", image["dockerfile"]]
        for name, value in (image.get("args") or {}).items():
            command += ["--build-arg", f"{name}={value}"]
        with Path(image["context"]).open("rb") as context:
            code, lines = self.run([*command, "-"], stdin=context)
        if code != 0:
            said = "\n".join(lines)
            raise ImageError(f"building {image['ref']} from its {image['dockerfile']} failed:\n{said}")
        self.made.append(image["ref"])

    def base(self, name: str, wanted_by: str) -> None:
        """Have a base image: it is there, a registry gives it, or Debian's packages make it."""
        if self.inspect(name):
            return
        code, said = self.pull(name)
        if code == 0:
            self.made.append(name)
            return
        debian = DEBIAN.fullmatch(name)
        if debian is None:
            message = f"{wanted_by} is built FROM {name}, which is not on this host, and no registry gives it: {said}"
            raise ImageError(f"{message}\n→ {SUPPLY}")
        self.debian(name, SUITES.get(debian[1], debian[1]))
        self.notes.append(f"no registry answers for {name}: it was made from Debian packages")
        self.made.append(name)

    def debian(self, name: str, suite: str) -> None:
        """Make Debian's base image from its packages."""
        if not shutil.which("mmdebstrap"):
            self.must(["apt-get", "-q", "-o", "DPkg::Lock::Timeout=120", "update"])
            packages = ["mmdebstrap", "debian-archive-keyring"]
            options = ["-q", "--yes", "--no-install-recommends", "-o", "DPkg::Lock::Timeout=120"]
            self.must(["apt-get", *options, "install", *packages])
        root = Path("/var/lib/llmdeploy") / f"{suite}-root.tar"
        root.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        options = [f"--dpkgopt=path-exclude=/usr/share/{folder}/*" for folder in LEFT_OUT]
        options += [f"--aptopt={line}" for line in self.proxies()]
        try:
            self.must(["mmdebstrap", "--variant=minbase", *options, suite, str(root), *mirrors(suite)])
            message = "made by llmdeploy from Debian packages with mmdebstrap"
            label = f"LABEL llmdeploy.made-from=debian-{suite}-packages"
            changes = ["--change", 'CMD ["bash"]', "--change", label]
            self.must(["docker", "import", "--message", message, *changes, str(root), name])
        finally:
            root.unlink(missing_ok=True)

    def proxies(self) -> list[str]:
        """The package proxy that this host uses, if it uses one."""
        code, lines = self.run(["apt-config", "dump", "Acquire::http::Proxy", "Acquire::https::Proxy"])
        return [line for line in lines if '""' not in line] if code == 0 else []

    # --- tools

    def inspect(self, name: str) -> dict[str, Any] | None:
        """What Docker knows of an image, None where there is none of this name."""
        found: dict[str, Any] | None = self.engine.get(f"/images/{name}/json")
        return found

    def tag(self, name: str, ref: str) -> None:
        """Give an image a further name."""
        if name != ref:
            self.must(["docker", "tag", name, ref])

    def must(self, command: list[str]) -> None:
        """Run a command that has to succeed."""
        code, lines = self.run(command)
        if code != 0:
            said = "\n".join(lines)
            raise ImageError(f"{' '.join(command[:4])} … failed (exit {code}); its last lines:\n{said}")

    def run(self, command: list[str], stdin: Any = None, first: float = 0) -> tuple[int, deque[str]]:
        """Run a command to its end or a deadline (`first`: that of its first line); exit code and last lines."""
        lines: deque[str] = deque(maxlen=30)
        process = subprocess.Popen(
            command,
            stdin=stdin or subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=ENVIRONMENT,
        )
        reader = threading.Thread(target=lambda: lines.extend(_lines(process.stdout)), daemon=True)
        reader.start()
        silent = time.monotonic() + first if first else self.end
        while process.poll() is None:
            now = time.monotonic()
            if now > self.end or (now > silent and not lines):
                process.kill()
                lines.append(f"no end in time: {' '.join(command[:4])}")
                break
            reader.join(0.1)
        reader.join(5)
        return process.wait(), lines


def remember(ref: str, pin: str) -> None:
    """Write down an image that is here because of us: `llmdeploy_prune` may remove it one day. No base image, the
    next build needs it again."""
    record = Path(BROUGHT)
    record.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with record.open("a", encoding="utf-8") as file:
        file.write(f"{ref}\n{pin}\n")


def _lines(stream: Any) -> Iterator[str]:
    for line in io.TextIOWrapper(stream, encoding="utf-8", errors="replace"):
        if line.strip():
            yield line.rstrip()


def bases(context: Path, dockerfile: str, args: dict[str, Any]) -> list[str]:
    """The images that a Dockerfile is built from, without its own stages."""
    with tarfile.open(context) as tar:
        names = {name.removeprefix("./"): name for name in tar.getnames()}
        member = tar.extractfile(names.get(dockerfile.removeprefix("./"), dockerfile))
        text = member.read().decode("utf-8", "replace") if member else ""
    values: dict[str, str] = {}
    found: list[str] = []
    stages = {"scratch"}
    for line in re.sub(r"\\\r?\n", " ", text).splitlines():
        words = line.split()
        if len(words) > 1 and words[0].upper() == "ARG" and not found:
            name, _, default = words[1].partition("=")
            values[name] = str(args.get(name, default.strip("\"'")))
        elif len(words) > 1 and words[0].upper() == "FROM":
            rest = [word for word in words[1:] if not word.startswith("--")]
            image = _expand(rest[0], values)
            if image not in stages and image not in found:
                found.append(image)
            if len(rest) > 2:
                stages.add(rest[2])
    return found


def _expand(text: str, values: dict[str, str]) -> str:
    return re.sub(
        r"\$\{(\w+)(?::-([^}]*))?\}|\$(\w+)",
        lambda match: values.get(match[1] or match[3]) or match[2] or "",
        text,
    )


def mirrors(suite: str, apt: Path = Path("/etc/apt")) -> list[str]:
    """Where this host takes Debian's packages from; nothing where it names no place, then mmdebstrap knows some.

    Each of the files may be missing: newer Debian has `sources.list.d/debian.sources` only.
    """
    files = [apt / "sources.list", *sorted((apt / "sources.list.d").glob("*"))]
    kept = [path for path in files if path.suffix in (".list", ".sources") and path.is_file()]
    text = "\n".join(path.read_text(errors="replace") for path in kept)
    return _mirrors(text, suite)


def _mirrors(sources: str, suite: str) -> list[str]:
    """`sources`: the text of all files in which apt is told. A security archive counts only beside the main one."""
    lines = "\n".join(line for line in sources.splitlines() if not line.lstrip().startswith("#"))
    main, security = (
        re.findall(rf"(?:https?|file|copy)://?\S*/{name}/?(?=\s|$)", lines) for name in ("debian", "debian-security")
    )
    if not main:
        return []
    found = [f"deb {main[0]} {name} main" for name in (suite, f"{suite}-updates")]
    return [*found, *(f"deb {url} {suite}-security main" for url in security[:1])]


def main() -> None:
    """Entry point."""
    module = AnsibleModule(
        argument_spec={
            "images": {"type": "list", "elements": "dict", "required": True},
            "deadline": {"type": "int", "default": 1200},
        }
    )
    images = Images(module.params["deadline"])
    pins: dict[str, str] = {}
    try:
        for image in module.params["images"]:
            pins[image["ref"]] = images.make(image)
            if image["ref"] in images.made:
                remember(image["ref"], pins[image["ref"]])
    except (ImageError, EngineError, OSError, tarfile.TarError, json.JSONDecodeError) as error:
        module.fail_json(msg=str(error), pins=pins, made=images.made, notes=images.notes)
    module.exit_json(changed=bool(images.made), pins=pins, made=images.made, notes=images.notes)


if __name__ == "__main__":
    main()
