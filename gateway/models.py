"""What callers own: responses with their items and events, and conversations.

A caller is known by the `owner` of its key, which is no foreign key: what it owns outlives the key.
JSON is kept as text, exactly as it came. Rows are removed by `gateway.state.retention` alone, in
its order, so nothing cascades. Only `gateway.state` reads and writes them.
"""

from __future__ import annotations

from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now

from gateway.state.values import MOST_ID_CHARACTERS, RUNNING

LIVE = Q(removable=None)
"""Not deleted: what its owner can see."""


def _id() -> models.CharField:
    return models.CharField(max_length=MOST_ID_CHARACTERS)


def _removable() -> models.DateTimeField:
    return models.DateTimeField(
        null=True, help_text="Set: deleted. From then on the row may go, once nothing needs it."
    )


class StoredConversation(models.Model):
    owner = models.UUIDField()
    conversation_id = _id()
    metadata = models.TextField(help_text="A JSON object.")
    created = models.DateTimeField(db_default=Now())
    used = models.DateTimeField(db_default=Now(), help_text="When it was last made longer.")
    next_position = models.PositiveBigIntegerField(default=0)
    removable = _removable()

    class Meta:
        constraints = (
            models.UniqueConstraint(
                fields=["owner", "conversation_id"], condition=LIVE, name="conversation_id_is_one"
            ),
        )
        indexes = (
            models.Index(fields=["used"], name="conversation_by_use"),
            models.Index(fields=["removable"], condition=~LIVE, name="conversation_removable"),
        )

    def __str__(self) -> str:
        return self.conversation_id


class StoredResponse(models.Model):
    """A response, and which it continues. A deleted one stays while another continues from it."""

    owner = models.UUIDField()
    response_id = _id()
    body = models.TextField(help_text="The response as a JSON object.")
    status = models.CharField(max_length=32)
    previous = models.ForeignKey("self", models.DO_NOTHING, null=True, related_name="successors")
    conversation_id = models.CharField(max_length=MOST_ID_CHARACTERS, blank=True, default="")
    conversation_position = models.PositiveBigIntegerField(
        null=True, help_text="Items of the conversation before this one are what it began with."
    )
    background = models.BooleanField(default=False)
    created = models.DateTimeField(db_default=Now())
    removable = _removable()
    lease_until = models.DateTimeField(
        null=True, help_text="Until when the process that generates it is taken to be alive."
    )
    cancel_requested = models.BooleanField(default=False)

    class Meta:
        constraints = (
            models.UniqueConstraint(
                fields=["owner", "response_id"], condition=LIVE, name="response_id_is_one"
            ),
            models.CheckConstraint(
                condition=~Q(previous=F("id")), name="response_continues_another"
            ),
            models.CheckConstraint(
                condition=Q(lease_until=None) | Q(background=True, status__in=RUNNING),
                name="response_lease_is_of_a_running_one",
            ),
            models.CheckConstraint(
                condition=Q(conversation_position=None) | ~Q(conversation_id=""),
                name="response_position_is_in_a_conversation",
            ),
        )
        indexes = (
            models.Index(fields=["owner", "response_id"], name="response_by_id"),
            models.Index(fields=["created"], name="response_by_age"),
            models.Index(fields=["removable"], condition=~LIVE, name="response_removable"),
            models.Index(
                fields=["lease_until"],
                condition=Q(lease_until__isnull=False),
                name="response_by_lease",
            ),
        )

    def __str__(self) -> str:
        return self.response_id


class StoredItem(models.Model):
    """An item of a response, its input or output, or of a conversation."""

    owner = models.UUIDField()
    item_id = models.CharField(
        max_length=MOST_ID_CHARACTERS, blank=True, help_text="Empty: it cannot be found by one."
    )
    response = models.ForeignKey(
        StoredResponse, models.DO_NOTHING, null=True, db_index=False, related_name="items"
    )
    conversation = models.ForeignKey(
        StoredConversation, models.DO_NOTHING, null=True, db_index=False, related_name="items"
    )
    position = models.PositiveBigIntegerField()
    is_output = models.BooleanField(default=False)
    size_bytes = models.PositiveIntegerField()
    body = models.TextField(help_text="The item as a JSON object.")

    class Meta:
        constraints = (
            models.CheckConstraint(
                condition=Q(response=None, conversation__isnull=False)
                | Q(response__isnull=False, conversation=None),
                name="item_is_of_one",
            ),
            models.UniqueConstraint(fields=["response", "position"], name="item_in_response"),
            models.UniqueConstraint(
                fields=["conversation", "position"], name="item_in_conversation"
            ),
            models.UniqueConstraint(
                fields=["conversation", "item_id"],
                condition=Q(conversation__isnull=False) & ~Q(item_id=""),
                name="item_id_is_one_in_conversation",
            ),
        )
        indexes = (models.Index(fields=["owner", "item_id"], name="item_by_id"),)

    def __str__(self) -> str:
        return self.item_id


class StoredEvent(models.Model):
    """One event of a background response's stream, as clients get it."""

    response = models.ForeignKey(
        StoredResponse, models.DO_NOTHING, db_index=False, related_name="events"
    )
    sequence_number = models.PositiveBigIntegerField()
    data = models.BinaryField(help_text="The event as server-sent bytes.")

    class Meta:
        constraints = (
            models.UniqueConstraint(
                fields=["response", "sequence_number"], name="event_in_response"
            ),
        )

    def __str__(self) -> str:
        return f"{self.response_id}:{self.sequence_number}"
