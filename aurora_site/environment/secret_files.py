"""`NAME_FILE`: the file that holds the value of the setting `NAME`, as orchestrators mount secrets."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from aurora_site.environment.cleaning import cleaned
from aurora_site.environment.files import BadFile, read_text
from aurora_site.environment.names import FILE
from aurora_site.environment.showing import Hidden


def read(
    values: Mapping[str, str], folder: Path, is_setting: Callable[[str], bool]
) -> Iterator[tuple[str, Hidden]]:
    """Each setting whose file is named, with the file's cleaned text.

    A path is relative to `folder`. Raises BadFile, which names the variable and the file, also
    where the setting has a value as well.
    """
    for variable in sorted(values):
        name = variable.removesuffix(FILE)
        if name == variable or not is_setting(name):
            continue
        if values.get(name):
            raise BadFile(f"{name}, {variable}: both are set; keep one of them")
        yield name, _value(variable, values[variable], folder)


def _value(variable: str, written: str, folder: Path) -> Hidden:
    try:
        path = folder / Path(written).expanduser()
        value = cleaned(read_text(path))
    except FileNotFoundError:
        raise BadFile(f"{variable}: {path}: there is no such file") from None
    except (BadFile, RuntimeError) as error:  # RuntimeError: a user whose home nobody knows
        raise BadFile(f"{variable}: {error}") from None
    if not value:
        raise BadFile(f"{variable}: {path}: the file is empty")
    return Hidden(value)
