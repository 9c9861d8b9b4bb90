"""The Dockerfile's own words, carried out without a container engine.

What its COPY lines take is laid out in a folder of its own, and its ENTRYPOINT, ENV and
HEALTHCHECK are run there, as another user where that is possible. Not covered: the base image,
the installation of the requirements and the volume's owner.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath
from typing import Any

import httpx
import pytest
import yaml
from django.conf import settings

from tests.loopback import CLIENT
from tests.patience import PATIENCE_SECONDS
from tests.processes import free_port, soon

ROOT = Path(__file__).resolve().parents[2]
MASTER_KEY = "sk-aurora-container-0123456789"
START_SECONDS = 2 * PATIENCE_SECONDS
NOBODY = 65534
RANDOM_USER = 1_000_660_000


@dataclass(frozen=True, slots=True)
class Dockerfile:
    """The instructions of a Dockerfile with one stage, in their order."""

    instructions: tuple[tuple[str, str], ...]

    @classmethod
    def parse(cls, text: str) -> Dockerfile:
        lines = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
        whole = "\n".join(lines).replace("\\\n", " ").splitlines()
        return cls(tuple((line.split()[0], line.split(maxsplit=1)[1]) for line in whole if line))

    def all(self, name: str) -> list[str]:
        return [rest for given, rest in self.instructions if given == name]

    def one(self, name: str) -> str:
        (rest,) = self.all(name)
        return rest

    @property
    def environment(self) -> dict[str, str]:
        words = [word for rest in self.all("ENV") for word in shlex.split(rest)]
        return dict(word.split("=", 1) for word in words)

    @property
    def mode_of_data(self) -> int:
        """Of the volume's folder."""
        found = re.search(r"install -d -m (\d+) -o aurora -g root /data", " ".join(self.all("RUN")))
        assert found is not None
        return int(found[1], 8)

    @property
    def command(self) -> list[str]:
        return [*json.loads(self.one("ENTRYPOINT")), *json.loads(self.one("CMD"))]

    @property
    def health_command(self) -> list[str]:
        return list(json.loads(self.one("HEALTHCHECK").split("CMD", 1)[1]))


def ignored(path: PurePosixPath, patterns: list[str]) -> bool:
    """Whether .dockerignore keeps a path out: plain paths and `**/name` are understood."""
    for pattern in patterns:
        assert not pattern.startswith("!"), "exceptions are not understood here"
        for place in (path, *path.parents):
            anywhere = pattern.startswith("**/") and fnmatchcase(place.name, pattern[3:])
            if anywhere or str(place) == pattern.strip("/"):
                return True
    return False


def copy(instruction: str, workdir: Path) -> None:
    """One COPY: of a folder its content, a file into a folder only if that ends in a slash."""
    *sources, target = [word for word in instruction.split() if not word.startswith("--")]
    patterns = (ROOT / ".dockerignore").read_text().split()
    for source in sources:
        origin, found = ROOT / source, 0
        for file in [origin] if origin.is_file() else sorted(origin.rglob("*")):
            if file.is_dir() or ignored(PurePosixPath(file.relative_to(ROOT)), patterns):
                continue
            inside = workdir / target
            if origin.is_dir():
                inside /= file.relative_to(origin)
            elif target.endswith("/"):
                inside /= file.name
            inside.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, inside)
            found += 1
        assert found, f"COPY {source} takes nothing"


@dataclass(frozen=True, slots=True)
class Container:
    """The folder that stands for the image, and the process that serves from it."""

    app: Path
    data: Path
    url: str
    user: int
    process: subprocess.Popen[bytes]
    environment: dict[str, str]

    def run(self, command: list[str]) -> int:
        """A command inside it, such as the health check. Its exit status."""
        done = subprocess.run(
            command, cwd=self.app, env=self.environment, check=False, stderr=subprocess.DEVNULL
        )
        return done.returncode


@pytest.fixture(scope="module")
def dockerfile() -> Dockerfile:
    return Dockerfile.parse((ROOT / "Dockerfile").read_text())


@pytest.fixture(scope="module", params=["the image's user", "a user of the platform's"])
def container(dockerfile: Dockerfile, request: pytest.FixtureRequest) -> Iterator[Container]:
    """Some platforms, as OpenShift, run each start as another user, of the group root."""
    user, python = someone_else()
    owner, group = user, os.getgid()
    if request.param != "the image's user":
        if user == os.getuid():
            pytest.skip("NOT RUN: only root can start the image's entry point as another user")
        user, owner, group = RANDOM_USER, NOBODY, 0
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        root.chmod(0o755)
        app, data, path = root / "app", root / "data", root / "bin"
        path.mkdir()
        (path / "python").write_text(f'#!/bin/sh\nexec {shlex.join(python)} "$@"\n')
        (path / "python").chmod(0o755)
        for instruction in dockerfile.all("COPY"):
            copy(instruction, app)
        data.mkdir()
        os.chown(data, owner, group)
        data.chmod(dockerfile.mode_of_data)
        port = free_port()
        environment = {
            name: value.replace("/data", str(data))
            for name, value in dockerfile.environment.items()
        }
        environment |= {
            "PATH": f"{path}:/usr/bin:/bin",
            "HOME": "/nonexistent",
            "AURORA_PORT": str(port),
            "AURORA_MASTER_KEY": MASTER_KEY,
            "VLLM_BASE_URL": f"http://127.0.0.1:{free_port()}/v1",
        }
        with (root / "log").open("wb") as log:
            process = subprocess.Popen(
                dockerfile.command,
                cwd=app,
                env=environment,
                stdout=log,
                stderr=log,
                user=user,
                group=group,
                extra_groups=[] if os.getuid() == 0 else None,
            )
        try:
            url = f"http://127.0.0.1:{port}"
            wait_until_healthy(url, process, root / "log")
            yield Container(app, data, url, user, process, environment)
        finally:
            process.kill()
            process.wait()


def someone_else() -> tuple[int, list[str]]:
    """A user id without rights and a Python with the requirements that it can run; else our own."""
    packages = sysconfig.get_paths()["purelib"]
    system = f"/usr/bin/python{sys.version_info.major}.{sys.version_info.minor}"
    candidates = [[sys.executable], ["env", f"PYTHONPATH={packages}", system]]
    for python in candidates if os.getuid() == 0 else []:
        command = [*python, "-c", "import django, psycopg, aiohttp, daphne"]
        try:
            subprocess.run(command, user=NOBODY, cwd="/", check=True, capture_output=True)
        except (OSError, subprocess.CalledProcessError):
            continue
        return NOBODY, python
    return os.getuid(), [sys.executable]


def get(url: str, **options: Any) -> httpx.Response:
    return httpx.get(url, **CLIENT, **options)


def wait_until_healthy(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    def healthy() -> bool:
        assert process.poll() is None, f"exit status {process.poll()}\n{log.read_text()}"
        try:
            return get(url + "/health").status_code == 200
        except httpx.TransportError:
            return False

    assert soon(healthy, START_SECONDS), log.read_text()


def test_it_serves_calls_and_the_admin(container: Container) -> None:
    keyed = {"Authorization": f"Bearer {MASTER_KEY}"}
    assert get(container.url + "/v1/models", headers=keyed).json()["data"] == []
    assert get(container.url + "/v1/models").status_code == 401
    page = get(container.url, follow_redirects=True)
    assert page.url.path == "/admin/login/"
    assert page.status_code == 200


def test_the_health_check_tells_a_living_process_from_none(
    container: Container, dockerfile: Dockerfile
) -> None:
    assert container.run(dockerfile.health_command) == 0
    elsewhere = container.environment | {"AURORA_PORT": str(free_port())}
    done = subprocess.run(
        dockerfile.health_command,
        cwd=container.app,
        env=elsewhere,
        check=False,
        stderr=subprocess.DEVNULL,
    )
    assert done.returncode != 0


def test_all_state_is_in_the_volume(container: Container, dockerfile: Dockerfile) -> None:
    assert dockerfile.one("VOLUME") == dockerfile.environment["AURORA_DATA_DIR"] == "/data"
    assert (container.data / "aurora.sqlite3").exists()
    changed = {file for file in container.app.rglob("*") if not known(file, container.app)}
    assert not changed


def known(file: Path, app: Path) -> bool:
    """Whether a file of the image is one of ours, unchanged."""
    ours = ROOT / file.relative_to(app)
    return file.is_dir() or (ours.exists() and file.read_bytes() == ours.read_bytes())


def test_it_needs_no_rights(container: Container, dockerfile: Dockerfile) -> None:
    user, _, group = dockerfile.one("USER").partition(":")
    assert int(user) > 0
    assert int(group) > 0
    if container.user == 0:
        pytest.skip("no other user can run this Python: only the Dockerfile's USER was looked at")


def test_every_part_of_the_site_is_copied(container: Container) -> None:
    parts = ["manage.py", "aurora_site", *settings.INSTALLED_APPS]
    ours = {ROOT / part for part in parts if (ROOT / part).exists()}
    ours.add(ROOT / "templates")
    assert len(ours) >= 5
    for part in ours:
        assert (container.app / part.relative_to(ROOT)).exists(), part.name


def test_compose_runs_the_same_image_with_its_state_in_a_volume() -> None:
    compose = yaml.safe_load((ROOT / "compose.yaml").read_text())
    aurora = compose["services"]["aurora"]
    assert aurora["build"] == "."
    assert aurora["environment"]["AURORA_DATA_DIR"] == "/data"
    assert "data:/data" in aurora["volumes"]
    used = {volume.split(":")[0] for s in compose["services"].values() for volume in s["volumes"]}
    assert used == set(compose["volumes"])


def test_a_termination_signal_ends_it(container: Container) -> None:
    container.process.terminate()
    assert container.process.wait(timeout=PATIENCE_SECONDS) in {0, -15}
