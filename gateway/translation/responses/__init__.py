"""OpenAI's Responses API, for vLLM servers that only know chat completions, and beside those that
know it. Pure.

`ask` reads what concerns Aurora itself, `request` and its neighbours make the chat call, `answer`
and `stream` bring the completion back, `restamp` and `watch` go with a native answer.
"""

from gateway.translation.responses.answer import Final, final
from gateway.translation.responses.ask import Ask, expanded, read
from gateway.translation.responses.count import to_tokenize
from gateway.translation.responses.echo import Echo
from gateway.translation.responses.request import pdfs, to_chat
from gateway.translation.responses.restamp import Restamped, unstored
from gateway.translation.responses.watch import Watch

__all__ = [
    "Ask", "Echo", "Final", "Restamped", "Watch",
    "expanded", "final", "pdfs", "read", "to_chat", "to_tokenize", "unstored",
]  # fmt: skip
