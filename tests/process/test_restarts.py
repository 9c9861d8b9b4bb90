"""What a process knows that starts again."""

from __future__ import annotations

from tests.processes import eventually
from tests.scripted_vllm import ScriptedVllm

FIRST_KEY, SECOND_KEY = "sk-first-0123456789abcdef", "sk-second-0123456789abcdef"
MODEL = "vllm/meta-llama/Llama-3.1-8B-Instruct"
REVOKE = "from providers.models import ApiKey; ApiKey.objects.holding({!r}).revoke()"


def test_a_restart_knows_the_models_of_a_server_that_is_down(serve, vllm: ScriptedVllm) -> None:
    variables = {"AURORA_MASTER_KEY": FIRST_KEY, "VLLM_BASE_URL": vllm.url}
    before = serve(**variables)
    eventually(lambda: before.get("/ready").is_success)
    before.stop()
    vllm.will_refuse()

    aurora = serve(**variables)

    assert aurora.get("/ready").status_code == 200
    assert aurora.models(FIRST_KEY) == [MODEL]
    refused = aurora.chat(FIRST_KEY, MODEL)
    error = refused.json()["error"]
    assert (refused.status_code, error["code"]) == (502, "upstream_unreachable")
    assert "'vllm'" in error["message"]
    vllm.start()
    eventually(lambda: aurora.chat(FIRST_KEY, MODEL).is_success)


def test_another_master_key_retires_the_one_before_until_it_is_set_again(serve) -> None:
    def statuses(key: str) -> list[int]:
        """Of both keys, when the variable holds `key`."""
        aurora = serve(AURORA_MASTER_KEY=key)
        both = [aurora.get("/v1/models", each).status_code for each in (FIRST_KEY, SECOND_KEY)]
        aurora.stop()
        return both

    assert statuses(FIRST_KEY) == [200, 401]
    assert statuses(SECOND_KEY) == [401, 200]
    assert statuses(FIRST_KEY) == [200, 401]


def test_a_revoked_key_stays_dead_though_the_variable_still_holds_it(serve, orm) -> None:
    before = serve(AURORA_MASTER_KEY=FIRST_KEY)
    assert before.get("/v1/models", FIRST_KEY).status_code == 200

    orm(REVOKE.format(FIRST_KEY))

    eventually(lambda: before.get("/v1/models", FIRST_KEY).status_code == 401)
    before.stop()
    aurora = serve(AURORA_MASTER_KEY=FIRST_KEY)
    assert aurora.get("/v1/models", FIRST_KEY).status_code == 401
    assert "AURORA_MASTER_KEY: this key was revoked, so it is not usable; set another" in (
        aurora.messages()
    )
