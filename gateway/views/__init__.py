"""A call on its way: each view is the whole flow of one action, from caller to answer."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping

from gateway.endpoints import Action
from gateway.views import (
    audio,
    conversations,
    counting,
    embed,
    input_items,
    kept_responses,
    messages,
    models,
    passed,
    probes,
    relayed,
    rerank,
    responses,
    tokenizers,
)
from gateway.views.exchange import Exchange

__all__ = ["VIEWS", "Exchange"]

VIEWS: Mapping[Action, Callable[[Exchange], Awaitable[None]]] = {
    Action.RELAY: relayed.relayed,
    Action.RELAY_FORM: audio.relayed_form,
    Action.RERANK: rerank.reranked,
    Action.EMBED: embed.embedded,
    Action.MESSAGE: messages.create,
    Action.COUNT_MESSAGE_TOKENS: messages.count_tokens,
    Action.RESPOND: responses.create,
    Action.SHOW_RESPONSE: kept_responses.show,
    Action.DELETE_RESPONSE: kept_responses.delete,
    Action.CANCEL_RESPONSE: kept_responses.cancel,
    Action.LIST_INPUT_ITEMS: input_items.list_input_items,
    Action.COUNT_RESPONSE_TOKENS: counting.count_input_tokens,
    Action.COMPACT_RESPONSE: counting.compact,
    Action.CREATE_CONVERSATION: conversations.create,
    Action.SHOW_CONVERSATION: conversations.show,
    Action.UPDATE_CONVERSATION: conversations.update,
    Action.DELETE_CONVERSATION: conversations.delete,
    Action.LIST_ITEMS: conversations.list_items,
    Action.ADD_ITEMS: conversations.add_items,
    Action.SHOW_ITEM: conversations.show_item,
    Action.DELETE_ITEM: conversations.delete_item,
    Action.LIST_MODELS: models.list_models,
    Action.SHOW_MODEL: models.show_model,
    Action.PASS_THROUGH: passed.passed_through,
    Action.SHOW_TOKENIZER: tokenizers.show,
    Action.HEALTH: probes.health,
    Action.READY: probes.ready,
}
