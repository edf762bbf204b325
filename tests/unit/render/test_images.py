"""Images out of files."""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path
from typing import Any

import pytest

from llmdeploy.errors import ConfigError
from llmdeploy.render.images import archive_images

ID = "0123456789abcdef" * 4


def archive(path: Path, manifest: Any, name: str = "manifest.json") -> Path:
    """Write what `docker save` writes, as far as it is read."""
    data = json.dumps(manifest).encode()
    with tarfile.open(path, "w") as tar:
        entry = tarfile.TarInfo(name)
        entry.size = len(data)
        tar.addfile(entry, io.BytesIO(data))
    return path


@pytest.mark.parametrize("config", [f"{ID}.json", f"blobs/sha256/{ID}"])
def test_an_archive_says_which_id_each_of_its_images_has(tmp_path: Path, config: str) -> None:
    """Older Docker writes the first form, newer the second."""
    manifest = [{"Config": config, "RepoTags": ["a:1", "b:2"]}, {"Config": config, "RepoTags": None}]
    assert archive_images(archive(tmp_path / "a.tar", manifest)) == {"a:1": f"sha256:{ID}", "b:2": f"sha256:{ID}"}


@pytest.mark.parametrize(
    ("manifest", "name"),
    [([{"RepoTags": ["a:1"]}], "manifest.json"), ([], "other.json"), (None, "")],
    ids=["no id", "no manifest", "no tar"],
)
def test_what_is_no_archive_of_images_is_told_by_name(tmp_path: Path, manifest: Any, name: str) -> None:
    path = tmp_path / "grafana.tar"
    if name:
        archive(path, manifest, name)
    else:
        path.write_text("<html>not found</html>")
    with pytest.raises(ConfigError) as raised:
        archive_images(path)
    told = str(raised.value.problems[0])
    assert told.startswith("grafana.tar: not an archive of images: ")
    assert told.endswith("(docker save --output FILE IMAGE makes one)")
