"""What an operator's edit does to aliases, whichever door it comes through: the admin or the API."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from django.core.exceptions import ValidationError

from providers import aliases, catalog, patterns
from providers.models import Alias, AliasTarget
from providers.transactions import edit, locked, one_at_a_time

LOCK = 0x616C6961736573
"""One edit of aliases is judged at a time, since two can make a cycle that neither sees: any number
that nobody else locks in this database."""


def check(alias: Alias, targets: Sequence[AliasTarget]) -> None:
    """Whether `alias` may have `targets`, beside the other aliases as they are.

    Raises ValidationError, worded for the operator, with one of the codes empty, too_many,
    pattern, repeated and cycle.
    """
    if not targets:
        raise ValidationError("An alias needs at least one target.", code="empty")
    if len(targets) > aliases.MOST_TARGETS:
        text = f"An alias has {aliases.MOST_TARGETS} targets at most, not {len(targets)}."
        raise ValidationError(text, code="too_many")
    _check_patterns(targets)
    _check_repeated(targets)
    if alias.enabled:
        _check_resolution(alias, targets)


def _check_patterns(targets: Iterable[AliasTarget]) -> None:
    """A provider's model may hold a `*`: its server says so."""
    for target in targets:
        if not target.provider and patterns.is_pattern(target.model):
            text = (
                f"{target.model} is a pattern, which no target can be: name one model, or an alias"
                " without a * in its name."
            )
            raise ValidationError(text, code="pattern")


def _check_repeated(targets: Iterable[AliasTarget]) -> None:
    counted = Counter((each.tier, each.provider, each.model, each.named) for each in targets)
    (tier, _, _, name), count = counted.most_common(1)[0]
    if count > 1:
        text = f"{name} is in tier {tier} more than once: give it all its weight in one place."
        raise ValidationError(text, code="repeated")


def _check_resolution(alias: Alias, targets: Sequence[AliasTarget]) -> None:
    one_at_a_time(LOCK)
    others = [row for row in catalog.enabled_aliases() if row.pk != alias.pk]
    written = catalog.written(others)
    before = aliases.resolve(written)
    written[alias.name] = [(each.tier, catalog.target_entry(each)) for each in targets]
    after = aliases.resolve(written)
    if made := [cycle for cycle in after.cycles if alias.name in cycle]:
        text = f"Aliases must not lead back to themselves: {_words(made[0])}."
        raise ValidationError(text, code="cycle")
    if lengthened := set(after.shortened) - set(before.shortened):
        most = aliases.MOST_RESOLVED_TARGETS
        text = f"With the aliases it names, {min(lengthened)} would have over {most} targets."
        raise ValidationError(text, code="too_many")


def _words(cycle: Sequence[str]) -> str:
    """A long cycle without its middle."""
    named = cycle if len(cycle) <= 12 else (*cycle[:6], "…", *cycle[-5:])
    return " -> ".join(named)


@edit()
def save(alias: Alias, targets: Iterable[AliasTarget] | None) -> None:
    """Save `alias`, and make `targets` its targets; None leaves them. What is as it was before is
    not written, so the history tells what has changed."""
    held = Alias.objects.filter(pk=alias.pk).first()
    names = [each.attname for each in Alias._meta.concrete_fields]
    if held is None:
        alias.save()
    elif changed := [name for name in names if getattr(held, name) != getattr(alias, name)]:
        alias.save(update_fields=changed)
    if targets is not None:
        _replace(alias, targets)


def _replace(alias: Alias, targets: Iterable[AliasTarget]) -> None:
    left = {_place(each): each for each in alias.targets.all()}
    for target in targets:
        held = left.pop(_place(target), None)
        if held is None:
            target.alias = alias
            target.save()
        elif held.weight != target.weight:
            held.weight = target.weight
            held.save(update_fields=["weight"])
    for each in left.values():
        each.delete()


def _place(target: AliasTarget) -> tuple[int, str, str]:
    return target.tier, target.provider, target.model


def rename_provider(before: str, after: str) -> None:
    """Let the targets that name a provider name it by its new name, in the caller's transaction.

    One that was there under the new name already, left from a provider that is gone, is kept, and
    the other given up. Targets are written by those alone who have locked their aliases.
    """
    named = AliasTarget.objects.filter(provider=before)
    list(locked(Alias.objects.filter(pk__in=named.values("alias"))))
    for target in named.select_related("alias"):
        target.provider = after
        there = AliasTarget.objects.filter(
            alias=target.alias_id, tier=target.tier, provider=after, model=target.model
        )
        if there.exists():
            target.delete()
        else:
            target.save(update_fields=["provider"])
