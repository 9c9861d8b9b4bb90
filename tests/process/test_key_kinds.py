"""Kinds of keys on a running Aurora: what each is accepted for, live."""

from __future__ import annotations

from typing import Any

from tests.processes import eventually

MASTER_KEY = "sk-of-the-kinds-0123456789"


def test_each_kind_is_accepted_where_it_belongs_and_a_change_of_it_is_live(serve: Any) -> None:
    aurora = serve(AURORA_MASTER_KEY=MASTER_KEY)

    def issued(**fields: str) -> dict[str, Any]:
        made: dict[str, Any] = aurora.post(
            "/api/keys", MASTER_KEY, {"name": "new", **fields}
        ).json()
        return made

    def statuses(key: str) -> tuple[int, int, int]:
        """Of a call, a question to the management API, and a change that is none."""
        return (
            aurora.get("/v1/models", key).status_code,
            aurora.get("/api/keys", key).status_code,
            aurora.post("/api/keys", key, {}).status_code,
        )

    application, terraform = issued(), issued(kind="manager")
    eventually(lambda: statuses(application["secret"]) == (200, 403, 403))
    eventually(lambda: statuses(terraform["secret"]) == (403, 200, 400))
    assert statuses(MASTER_KEY) == (200, 200, 400)

    changed = {"kind": "manager"}
    aurora.request("PATCH", f"/api/keys/{application['id']}", MASTER_KEY, json=changed)
    eventually(lambda: statuses(application["secret"]) == (403, 200, 400))

    told = aurora.get("/v1/models", application["secret"]).json()["error"]
    assert (told["type"], told["code"]) == ("permission_error", "not_permitted")
