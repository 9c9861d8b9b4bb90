"""OpenAI's own client holds a realtime session through the gateway."""

from __future__ import annotations

import json

import pytest
from openai import AsyncOpenAI

from tests.mounted import MASTER_KEY, UPSTREAM_KEY
from tests.patience import PATIENCE_SECONDS
from tests.realtime_mounted import MODEL

pytestmark = pytest.mark.anyio


async def test_the_openai_client_transcribes(gateway, vllm):
    """The events are vLLM's: a session, audio in, text out."""

    async def transcribe(session):
        await session.send(json.dumps({"type": "session.created", "id": "s", "created": 1}))
        async for text in session:
            event = json.loads(text)
            if event["type"] == "input_audio_buffer.commit":
                break
        await session.send(json.dumps({"type": "transcription.delta", "delta": "hello"}))
        await session.send(json.dumps({"type": "transcription.done", "text": "hello"}))

    vllm.will(transcribe)
    async with (
        AsyncOpenAI(base_url=f"{gateway.url}/v1", api_key=MASTER_KEY) as openai,
        openai.realtime.connect(
            model=f"alpha/{MODEL}",
            websocket_connection_options={"open_timeout": PATIENCE_SECONDS},  # type: ignore[typeddict-unknown-key]
        ) as connection,
    ):
        created = await connection.recv()
        await connection.send({"type": "session.update", "model": MODEL})  # type: ignore[arg-type]
        await connection.input_audio_buffer.append(audio="AAAA")
        await connection.input_audio_buffer.commit()
        delta, done = await connection.recv(), await connection.recv()

    assert [event.type for event in (created, delta, done)] == [
        "session.created", "transcription.delta", "transcription.done",
    ]  # fmt: skip
    [opened] = vllm.opened
    assert opened.values("authorization") == [f"Bearer {UPSTREAM_KEY}"]
    assert (await vllm.ended()).code == 1000
