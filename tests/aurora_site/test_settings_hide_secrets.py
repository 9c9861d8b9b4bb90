"""No secret is printed with the settings: what prints them ends in tickets and in logs."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SECRETS = {
    "AURORA_MASTER_KEY": "sk-of-the-settings-0123456789,sk-another-9876543210",
    "AURORA_ADMIN_PASSWORD": "password-of-the-settings",
    "AURORA_SECRET_KEYS": "new-keyring-secret-0123456789abcdef,old-keyring-secret-0123456789abcdef",
    "VLLM_API_KEY": "sk-of-the-server-0123456789",
}
URL = "postgres://root:password-of-the-database@127.0.0.1/none?sslpassword=password-of-its-key"
OF_URL = ("password-of-the-database", "password-of-its-key")
DERIVED = "print(settings.SECRET_KEY + ',' + settings.SECRET_KEY_FALLBACKS[0])"
BY_REPR = "print({name: getattr(settings, name) for name in dir(settings)}, vars(settings))"


def printed(folder: Path, *command: str) -> str:
    """What `manage.py` prints with every secret set."""
    given = {
        "PATH": os.environ["PATH"],
        "AURORA_DATA_DIR": str(folder),
        "DATABASE_URL": URL,
        "VLLM_BASE_URL": "http://127.0.0.1:9",
        **SECRETS,
    }
    done = subprocess.run(
        [sys.executable, "manage.py", *command],
        cwd=ROOT,
        env=given,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    return done.stdout


def shell(code: str) -> tuple[str, ...]:
    return ("shell", "--no-imports", "-c", f"from django.conf import settings; {code}")


@pytest.mark.parametrize(
    "command",
    [("diffsettings",), ("diffsettings", "--output", "unified"), shell(BY_REPR)],
    ids=["diffsettings", "unified", "shell"],
)
def test_no_secret_is_printed_with_the_settings(tmp_path: Path, command: tuple[str, ...]) -> None:
    derived = printed(tmp_path, *shell(DERIVED)).strip().split(",")
    given = [part for value in SECRETS.values() for part in value.split(",")]

    told = printed(tmp_path, *command)

    assert "<hidden>" in told
    assert len(derived) == 2
    assert [secret for secret in (*given, *OF_URL, *derived) if secret in told] == []
