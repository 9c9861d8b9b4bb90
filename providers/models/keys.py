"""Callers' keys."""

from __future__ import annotations

import uuid
from datetime import datetime, timedelta
from enum import Enum
from typing import Any

from django.core.exceptions import ValidationError
from django.db import models, transaction
from django.db.models import Count, F, Max, Q
from django.utils import timezone

from providers import chosen_secrets, key_kinds, secrets
from providers.models.sources import Source


class SameSpan(Enum):
    """Says of a successor's expiry that its life is as long as its predecessor's."""

    SAME_SPAN = "same span"


SAME_SPAN = SameSpan.SAME_SPAN


def _conditions() -> dict[str, Q]:
    """What holds now of the keys in each state, and of the usable ones: all, those for calls, and
    those for the management API."""
    unexpired = Q(expires=None) | Q(expires__gt=timezone.now())
    unended = Q(revoked=None, retired=None)
    return {
        "usable": unended & unexpired,
        "calling": unended & unexpired & Q(kind__in=key_kinds.THAT_CALL),
        "managing": unended & unexpired & Q(kind__in=key_kinds.THAT_MANAGE),
        "active": unended & unexpired & Q(successor=None),
        "rotated": unended & unexpired & ~Q(successor=None),
        "expired": unended & ~unexpired,
        "retired": Q(revoked=None) & ~Q(retired=None),
        "revoked": ~Q(revoked=None),
    }


class ApiKeyQuerySet(models.QuerySet["ApiKey"]):
    def usable(self) -> ApiKeyQuerySet:
        """The keys that are accepted now: see `ApiKey.Kind` for where."""
        return self.in_state("usable")

    def in_state(self, state: str) -> ApiKeyQuerySet:
        """The keys of which `ApiKey.state` says so now, or all "usable", "calling" or "managing"
        ones; none for other words."""
        conditions = _conditions()
        return self.filter(conditions[state]) if state in conditions else self.none()

    def known_to_everybody(self) -> ApiKeyQuerySet:
        """The usable keys whose secrets stand in the documentation."""
        return self.usable().filter(digest__in=chosen_secrets.example_digests())

    def counted(self) -> dict[str, Any]:
        """How many keys are in each state now, and `overlap_ends`: when the last overlap does."""
        conditions = _conditions()
        counts: dict[str, Any] = {
            f"{s}_keys": Count("pk", filter=held) for s, held in conditions.items()
        }
        counts |= {"overlap_ends": Max("expires", filter=conditions["rotated"])}
        return {name.removesuffix("_keys"): n for name, n in self.aggregate(**counts).items()}

    def issue(self, name: str, **fields: Any) -> tuple[ApiKey, str]:
        """A new key, for calls unless `kind` says otherwise, and its secret, which is nowhere else
        and cannot be had again."""
        secret = secrets.new_key()
        return self.register(secret, **{"kind": key_kinds.CLIENT, **fields, "name": name}), secret

    def register(self, secret: str, **fields: Any) -> ApiKey:
        """A key for a secret that somebody else chose: a master key unless `kind` says otherwise."""
        fields.setdefault("kind", key_kinds.MASTER)
        return self.create(digest=secrets.digests(secret)[0], hint=secrets.hint(secret), **fields)

    def holding(self, secret: str) -> ApiKey | None:
        """The key with this secret, usable or not."""
        return self.filter(digest__in=secrets.digests(secret)).first()


class ApiKey(models.Model):
    """A caller's credential. Its secret is shown once, when issued; what is kept is a digest.

    A revoked key stays as a tombstone, so that an environment variable still holding its secret
    does not bring it back.
    """

    class Kind(models.TextChoices):
        CLIENT = key_kinds.CLIENT, "client: calls"
        MANAGER = key_kinds.MANAGER, "manager: the management API"
        MASTER = key_kinds.MASTER, "master: calls and the management API"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    name = models.CharField(max_length=80, help_text="Who uses this key, and for what.")
    kind = models.CharField(
        max_length=16,
        choices=Kind.choices,
        default=Kind.CLIENT,
        help_text="What it is accepted for.",
    )
    hint = models.CharField(max_length=16, editable=False)
    digest = models.CharField(max_length=64, unique=True, editable=False)
    created = models.DateTimeField(auto_now_add=True)
    expires = models.DateTimeField(null=True, blank=True, help_text="Empty: never.")
    revoked = models.DateTimeField(null=True, editable=False)
    retired = models.DateTimeField(
        null=True, editable=False, help_text="When its environment variable stopped holding it."
    )
    unnamed = models.DateTimeField(
        null=True, editable=False, help_text="Since when its environment variable holds no key."
    )
    successor = models.OneToOneField(
        "self", models.SET_NULL, null=True, editable=False, related_name="predecessor"
    )
    issued_by = models.ForeignKey(
        "self",
        models.SET_NULL,
        null=True,
        editable=False,
        related_name="issued",
        help_text="The key that made it over the management API; null: a person or Aurora did.",
    )
    owner = models.UUIDField(
        default=uuid.uuid4,
        editable=False,
        db_index=True,
        help_text="Who owns what is kept: the same for a key and all that it is rotated into, but"
        " where whoever rotated it may not read what it stored.",
    )
    last_used = models.DateTimeField(null=True, editable=False)
    source = models.CharField(
        max_length=8, choices=Source.choices, default=Source.ADMIN, editable=False
    )

    objects = ApiKeyQuerySet.as_manager()

    class Meta:
        verbose_name = "API key"
        ordering = ("-created",)
        permissions = (
            ("issue_manager_apikey", "Can issue, change and rotate manager keys"),
            ("issue_master_apikey", "Can issue, change and rotate keys of all kinds"),
            ("take_over_stored_apikey", "Can rotate keys with the responses that they stored"),
        )
        constraints = (
            models.CheckConstraint(
                condition=Q(kind__in=[key_kinds.CLIENT, key_kinds.MANAGER, key_kinds.MASTER]),
                name="api_key_kind_is_known",
            ),
            models.CheckConstraint(
                condition=Q(source__in=Source.values), name="api_key_source_is_known"
            ),
            models.CheckConstraint(
                condition=~Q(successor=F("id")), name="api_key_succeeds_another"
            ),
        )

    def __str__(self) -> str:
        return f"{self.name} ({self.hint})"

    @property
    def is_known_to_everybody(self) -> bool:
        """Whether its secret stands in the documentation, and it is usable."""
        return self.usable and self.digest in chosen_secrets.example_digests()

    @property
    def may_call(self) -> bool:
        return self.kind in key_kinds.THAT_CALL

    @property
    def may_manage(self) -> bool:
        return self.kind in key_kinds.THAT_MANAGE

    @property
    def usable(self) -> bool:
        return self.state in {"active", "rotated"}

    @property
    def state(self) -> str:
        """revoked, retired, expired, rotated (usable until its overlap ends) or active."""
        if self.revoked or self.retired:
            return "revoked" if self.revoked else "retired"
        if self.expires and self.expires <= timezone.now():
            return "expired"
        return "rotated" if self.successor_id else "active"

    @property
    def next_expiry(self) -> datetime | None:
        """When a successor made now expires, so that it lives as long as this key; None: never."""
        if self.expires is None:
            return None
        try:
            return timezone.now() + (self.expires - self.created)
        except OverflowError:  # an expiry in the year 9999, as some write "never"
            return self.expires

    @transaction.atomic
    def rotate(
        self,
        overlap: timedelta,
        expires: datetime | SameSpan | None = SAME_SPAN,
        *,
        keeps_stored: bool = True,
        issued_by: uuid.UUID | None = None,
    ) -> tuple[ApiKey, str]:
        """A successor and its secret; this key goes on for `overlap`, or to its own earlier expiry.

        The successor lives as long as this key was to, or until `expires`; None: for ever. It reads
        what this key stored only if `keeps_stored`; `issued_by` is the key that asked for it.
        Raises ValidationError if this key is not usable or has been rotated before.
        """
        held = ApiKey.objects.select_for_update().get(pk=self.pk)
        if held.state != "active":
            raise ValidationError(f"This key is {held.state}: it cannot be rotated.")
        successor, secret = ApiKey.objects.issue(
            self.name,
            kind=held.kind,
            owner=held.owner if keeps_stored else uuid.uuid4(),
            expires=held.next_expiry if isinstance(expires, SameSpan) else expires,
            issued_by_id=issued_by,
        )
        end = timezone.now() + overlap
        self.expires = min(end, held.expires or end)
        self.successor = successor
        self.save(update_fields=["expires", "successor"])
        return successor, secret

    def revoke(self, now: datetime | None = None) -> None:
        """End this key for good. Revoking twice keeps the first time."""
        self.revoked = self.revoked or now or timezone.now()
        self.save(update_fields=["revoked"])
