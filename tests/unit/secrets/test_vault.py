"""The file is one of ansible-vault's; a wrong password, a damaged file and somebody's ansible.cfg."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from llmdeploy.errors import Exit, SecretsError
from llmdeploy.secrets.vault import decrypt, encrypt
from tests.unit.secrets.conftest import PEM, RIGHT, WRONG

ANSIBLE_VAULT = Path(sys.executable).parent / "ansible-vault"
TEXT = "a: b\nc: ü\n"


@pytest.fixture(scope="module")
def data() -> bytes:
    return encrypt(TEXT, RIGHT)


def ansible_vault(folder: Path, *words: str, **variables: str) -> str:
    """Runs the real tool on files in `folder`."""
    secret = folder / "password"
    secret.write_bytes(RIGHT.value)
    done = subprocess.run(
        [ANSIBLE_VAULT, *words, "--vault-password-file", secret],
        cwd=folder,
        env={**os.environ, "LC_ALL": "C.UTF-8", "ANSIBLE_LOCAL_TEMP": str(folder / "tmp"), **variables},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_what_we_write_ansible_vault_reads_and_the_other_way_round(tmp_path: Path, data: bytes) -> None:
    file = tmp_path / "dev.secrets.yml"
    file.write_bytes(data)
    assert ansible_vault(tmp_path, "view", file.name) == TEXT
    ansible_vault(tmp_path, "edit", file.name, EDITOR="sed -i s/b/changed/")
    assert decrypt(file.read_bytes(), RIGHT, "f") == TEXT.replace("b", "changed")


def test_a_file_with_a_label_opens_as_well(data: bytes) -> None:
    labelled = data.replace(b"$ANSIBLE_VAULT;1.1;AES256", b"$ANSIBLE_VAULT;1.2;AES256;dev")
    assert decrypt(labelled, RIGHT, "f") == TEXT


@pytest.mark.parametrize("text", ["", "{}\n", "x", PEM, "ü€𝄞\n", pytest.param("a" * 600_000, id="large")])
def test_round_trips(text: str) -> None:
    encrypted = encrypt(text, RIGHT)
    assert encrypted.startswith(b"$ANSIBLE_VAULT;1.1;AES256\n")
    assert decrypt(encrypted, RIGHT, "f") == text


def test_the_same_text_is_never_the_same_file(data: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANSIBLE_VAULT_ENCRYPT_SALT", "always the same")
    assert encrypt(TEXT, RIGHT) != encrypt(TEXT, RIGHT)


def test_a_wrong_password_is_one_clear_line(data: bytes) -> None:
    with pytest.raises(SecretsError) as caught:
        decrypt(data, WRONG, "environments/dev.secrets.yml")
    message = caught.value.message
    assert "environments/dev.secrets.yml does not open with the password from another test" in message
    assert "\n" not in message
    assert "horse" not in message
    assert caught.value.exit_code == Exit.CONFIG


@pytest.mark.parametrize("part", [0.1, 0.25, 0.5, 0.75, 0.99])
def test_a_changed_character_is_noticed(data: bytes, part: float) -> None:
    at = max(30, int(len(data) * part))
    at += data[at : at + 1] == b"\n"
    # The body is hex of hex: 3 and 6 begin its pairs, so that another digit is still hex of something.
    changed = data[:at] + (b"7" if data[at : at + 1] != b"7" else b"5") + data[at + 1 :]
    with pytest.raises(SecretsError):
        decrypt(changed, RIGHT, "f")


@pytest.mark.parametrize("length", [0, 5, 14, 26, 30, 100, 200, -1, -2, -3, -80])
def test_a_file_that_was_cut_off_does_not_open(data: bytes, length: int) -> None:
    cut = data.strip()[:length]
    with pytest.raises(SecretsError, match=r"^f (is damaged|does not open)"):
        decrypt(cut, RIGHT, "f")


@pytest.mark.parametrize(
    "stranger", [b"\xff\xfe\x00", b"$ANSIBLE_VAULT;1.1;AES256\n\xff", b"$ANSIBLE_VAULT;1.1;DES\n6161\n", b"a: b\n"]
)
def test_what_is_no_vault_at_all(stranger: bytes) -> None:
    with pytest.raises(SecretsError, match=r"^f "):
        decrypt(stranger, RIGHT, "f")


def test_ansible_is_loaded_without_what_is_around_us(tmp_path: Path) -> None:
    """A broken ansible.cfg, variables, a home that cannot be written: none of it matters, and all of it stays."""
    (tmp_path / "ansible.cfg").write_text("[defaults\nnonsense")
    program = (
        "import os, sys\n"
        "from llmdeploy.secrets.vault import decrypt, encrypt\n"
        "from llmdeploy.secrets.password import Password\n"
        "assert 'ansible' not in sys.modules and 'cryptography' not in sys.modules\n"
        "one = Password(b'x', 't')\n"
        "assert decrypt(encrypt('a: b', one), one, 'f') == 'a: b'\n"
        "assert os.environ['ANSIBLE_VERBOSITY'] == '5' and 'ANSIBLE_CONFIG' not in os.environ\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=tmp_path,
        env={**os.environ, "HOME": "/proc/none", "ANSIBLE_VERBOSITY": "5", "ANSIBLE_VAULT_ID_MATCH": "1"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert [path.name for path in tmp_path.iterdir()] == ["ansible.cfg"]
