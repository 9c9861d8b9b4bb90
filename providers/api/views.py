"""What the management API does. Each view is guarded; each change is recorded."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from uuid import UUID

from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.http import Http404
from django.shortcuts import get_object_or_404
from django.utils.functional import cached_property
from drf_spectacular.renderers import OpenApiJsonRenderer, OpenApiYamlRenderer
from drf_spectacular.utils import OpenApiParameter, extend_schema
from drf_spectacular.views import SpectacularAPIView
from rest_framework import exceptions
from rest_framework.exceptions import NotFound, PermissionDenied
from rest_framework.renderers import BaseRenderer, JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.serializers import BaseSerializer

from providers import consequences, discovery, edits, health_rows, key_edits, model_search
from providers.api import serializers
from providers.api.base import Uncached
from providers.api.errors import Conflict, TooManyTests
from providers.api.key_actors import rights
from providers.api.permissions import KeyOrStaff
from providers.api.reading import ConsistentReads
from providers.api.recording import change
from providers.key_edits import Rotation
from providers.key_kinds import CLIENT
from providers.key_rights import NotAllowed
from providers.models import ApiKey, Provider
from providers.transactions import locked

MODEL = OpenApiParameter(
    "model",
    description="Only the servers that have this model, disabled ones among them. A model's id,"
    " `<provider>/<id>`, `vllm/<id>` or an alias.",
)

KIND = OpenApiParameter("kind", enum=ApiKey.Kind.values, description="Only keys of this kind.")

WARNINGS_HEADER = "Aurora-Warnings"
MOST_WARNING_CHARACTERS = 500
WARNINGS = OpenApiParameter(
    WARNINGS_HEADER,
    location=OpenApiParameter.HEADER,
    response=True,
    description="What clients miss from now on: a JSON list of sentences. Left out: nothing.",
)


class Providers(Uncached, ConsistentReads):
    """vLLM servers, by name."""

    queryset = Provider.objects.select_related(*health_rows.RELATED).order_by("name")
    serializer_class = serializers.ProviderSerializer
    lookup_field = "name"
    needs = {
        "list": ("providers.view_provider",),
        "retrieve": ("providers.view_provider",),
        "consequences": ("providers.view_provider",),
        "create": ("providers.add_provider",),
        "partial_update": ("providers.change_provider",),
        "destroy": ("providers.delete_provider",),
        "refresh": ("providers.change_provider",),
        "test": ("providers.change_provider",),
        "follow": ("providers.change_provider",),
        "clone": ("providers.add_provider", "providers.change_provider"),
    }

    @cached_property
    def live(self) -> health_rows.Live:
        """What they report, read once for an answer."""
        return health_rows.live()

    @extend_schema(parameters=[MODEL])
    def list(self, request: Request) -> Response:
        """All servers, or those that have one model."""
        return super().list(request)

    def get_queryset(self) -> QuerySet[Provider]:
        rows = super().get_queryset()
        model = self.request.query_params.get("model")
        if model is None or self.action != "list":
            return rows
        return rows.filter(pk__in=model_search.serving(model))

    def create(self, request: Request) -> Response:
        """Add a server. It is asked for its models at once."""
        with change(request):
            row = _saved(self.get_serializer(data=request.data))
        return self._answer(row.pk, 201)

    @extend_schema(responses=serializers.ChangedProviderSerializer)
    def partial_update(self, request: Request, name: str) -> Response:
        """Change what is sent. A row of the environment or a YAML file follows it no longer.

        Where it takes the server out of service, `warnings` says what clients miss; and where a new
        origin of `base_url` removes the stored key, that."""
        with change(request):
            held = _locked(name)
            took_calls, lost = held.takes_calls, consequences.of({held.pk})
            had_key = bool(held.sealed_api_key)
            row = _saved(self.get_serializer(held, data=request.data, partial=True))
        answer = self._answer(row.pk)
        lost_key = had_key and not row.sealed_api_key and "api_key" not in request.data
        answer.data["warnings"] = [
            *(lost.sentences if took_calls and not row.takes_calls else []),
            *([edits.KEY_STAYS_BEHIND] if lost_key else []),
        ]
        return answer

    @extend_schema(responses={204: None}, parameters=[WARNINGS])
    def destroy(self, request: Request, name: str) -> Response:
        """Remove a server. The environment or YAML file brings it back if it still names it."""
        with change(request):
            held = _locked(name, to_delete=True)
            lost = consequences.of_deleting({held.pk})
            held.delete()
        return Response(status=204, headers=_warned(lost.sentences))

    @extend_schema(responses=serializers.ConsequencesSerializer)
    def consequences(self, request: Request, name: str) -> Response:
        """What clients would miss if the server were drained, disabled or deleted now."""
        lost = consequences.of_deleting({self.get_object().pk})
        told = {
            "models": lost.models,
            "aliases": sorted({*lost.stranded, *lost.naming}),
            "warnings": lost.sentences,
        }
        return Response(serializers.ConsequencesSerializer(told).data)

    @extend_schema(request=None)
    def refresh(self, request: Request, name: str) -> Response:
        """Ask the server for its models now, and keep what it says: see `health`."""
        try:
            with _tests_refused():
                asked = discovery.ask_now(self.get_object().pk)
        except Provider.DoesNotExist:  # deleted or moved while it was asked
            raise Http404 from None
        return self._answer(asked.pk)

    @extend_schema(request=None, responses=serializers.OutcomeSerializer)
    def test(self, request: Request, name: str) -> Response:
        """Ask the server for its models now, and keep nothing."""
        with _tests_refused():
            outcome = discovery.test(self.get_object())
        models = [card["id"] for card in outcome.cards]
        said = {"ok": outcome.ok, "text": outcome.text, "models": models}
        return Response(serializers.OutcomeSerializer(said).data)

    @extend_schema(
        request=serializers.CloneSerializer, responses={201: serializers.ProviderSerializer}
    )
    def clone(self, request: Request, name: str) -> Response:
        """Copy a server with its key; the copy is disabled."""
        with change(request):
            held = _locked(name)
            sent = serializers.CloneSerializer(data=request.data)
            sent.is_valid(raise_exception=True)
            copy = edits.clone(held, **sent.validated_data)
        return self._answer(copy.pk, 201)

    @extend_schema(request=None)
    def follow(self, request: Request, name: str) -> Response:
        """Let an edited row follow the environment or YAML file again, from the next start on."""
        with change(request):
            row = _locked(name)
            edits.follow(row)
        return self._answer(row.pk)

    def _answer(self, pk: UUID, status: int = 200) -> Response:
        """By its key: another may have renamed it by now."""
        return self.told(get_object_or_404(self.get_queryset(), pk=pk), status)


def _locked(name: str, *, to_delete: bool = False) -> Provider:
    return get_object_or_404(locked(Provider.objects.all(), to_delete=to_delete), name=name)


@contextmanager
def _tests_refused() -> Iterator[None]:
    """429 where too many servers are being asked at once."""
    try:
        yield
    except discovery.TooManyTests as error:
        raise TooManyTests(str(error)) from None


def _warned(sentences: list[str]) -> dict[str, str]:
    """The header for answers without a body. ASCII alone, whatever models and aliases are called."""
    cut = [sentence[:MOST_WARNING_CHARACTERS] for sentence in sentences]
    return {WARNINGS_HEADER: json.dumps(cut)} if cut else {}


def _saved(serializer: BaseSerializer[Any]) -> Any:
    serializer.is_valid(raise_exception=True)
    return serializer.save()


class ApiKeys(Uncached, ConsistentReads):
    """Callers' keys. They are never deleted: a revoked one keeps its secret from coming back."""

    queryset = ApiKey.objects.order_by("-created", "id")
    serializer_class = serializers.ApiKeySerializer
    lookup_field = "id"
    needs = {
        "list": ("providers.view_apikey",),
        "retrieve": ("providers.view_apikey",),
        "create": ("providers.add_apikey",),
        "partial_update": ("providers.change_apikey",),
        "rotate": ("providers.change_apikey", "providers.add_apikey"),
        "revoke": ("providers.change_apikey",),
        "rotate_many": ("providers.change_apikey", "providers.add_apikey"),
        "revoke_many": ("providers.change_apikey",),
    }

    @extend_schema(parameters=[KIND])
    def list(self, request: Request) -> Response:
        """All keys, or those of one kind."""
        return super().list(request)

    def get_queryset(self) -> QuerySet[ApiKey]:
        rows = super().get_queryset()
        kind = self.request.query_params.get("kind")
        if kind is None or self.action != "list":
            return rows
        if kind not in ApiKey.Kind.values:
            told = f"One of {', '.join(ApiKey.Kind.values)}."
            raise exceptions.ValidationError({"kind": [told]})
        return rows.filter(kind=kind)

    @extend_schema(responses={201: serializers.IssuedKeySerializer})
    def create(self, request: Request) -> Response:
        """Issue a key. Its `secret` is in this answer and nowhere else."""
        sent = self.get_serializer(data=request.data)
        sent.is_valid(raise_exception=True)
        with change(request), _conflicts():
            key, secret = key_edits.issue(
                rights(request), **{"kind": CLIENT, **sent.validated_data}
            )
        return self.told(key, 201, secret=secret)

    def partial_update(self, request: Request, id: UUID) -> Response:
        """Change the name, the kind or the expiry of a key that is usable; not the key's own."""
        with change(request), _conflicts():
            held = key_edits.lock([id], rights(request))
            [key] = held.keys
            if not key.usable:
                raise Conflict(f"This key is {key.state}: it cannot be changed.")
            sent = self.get_serializer(key, data=request.data, partial=True)
            sent.is_valid(raise_exception=True)
            changed = {"kind": key.kind, "expires": key.expires} | sent.validated_data
            more = key_edits.check_change(key, held.rights, changed["kind"], changed["expires"])
            sent.save(**more)
        return self.told(key)

    @extend_schema(
        request=serializers.RotateSerializer, responses={201: serializers.RotatedKeySerializer}
    )
    def rotate(self, request: Request, id: UUID) -> Response:
        """Issue a successor, whose `secret` is in this answer alone; the old key goes on a while.

        A key cannot rotate itself, and only a master key hands on what the old key stored."""
        sent = serializers.RotateSerializer(data=request.data)
        sent.is_valid(raise_exception=True)
        with change(request), _conflicts():
            [made] = key_edits.rotate_all([id], rights=rights(request), **sent.rotation())
        return Response(self._rotated(made), 201)

    @extend_schema(request=None)
    def revoke(self, request: Request, id: UUID) -> Response:
        """End a key for good, and the manager and master keys that it made. Revoking again changes
        nothing. The last manager or master key is revoked in the admin alone."""
        with change(request), _conflicts():
            [key] = key_edits.revoke_all([id], rights(request))
        return self.told(key)

    @extend_schema(
        operation_id="keys_rotate_many",
        request=serializers.RotateManySerializer,
        responses={201: serializers.RotatedKeySerializer(many=True)},
    )
    def rotate_many(self, request: Request) -> Response:
        """Rotate all these keys, or none. Their successors, each with its `secret`, in that order."""
        sent = serializers.RotateManySerializer(data=request.data)
        sent.is_valid(raise_exception=True)
        with change(request), _conflicts():
            ids = sent.validated_data["ids"]
            rotations = key_edits.rotate_all(ids, sent.overlap, rights(request))
        return Response([self._rotated(each) for each in rotations], 201)

    @extend_schema(
        operation_id="keys_revoke_many",
        request=serializers.ChosenKeysSerializer,
        responses=serializers.ApiKeySerializer(many=True),
    )
    def revoke_many(self, request: Request) -> Response:
        """End all these keys for good, or none. Revoking again changes nothing."""
        sent = serializers.ChosenKeysSerializer(data=request.data)
        sent.is_valid(raise_exception=True)
        with change(request), _conflicts():
            keys = key_edits.revoke_all(sent.validated_data["ids"], rights(request))
        return Response(self.get_serializer(keys, many=True).data)

    def _rotated(self, made: Rotation) -> dict[str, Any]:
        successor = self.get_serializer(made.successor).data
        return {**successor, "secret": made.secret, "keeps_stored_responses": made.keeps_stored}


@contextmanager
def _conflicts() -> Iterator[None]:
    """What the keys' states do not allow is 409, what whoever asks may not do 403, a key that is not
    there 404."""
    try:
        yield
    except ValidationError as error:
        raise Conflict(error.messages[0]) from None
    except ApiKey.DoesNotExist as error:
        raise NotFound(str(error)) from None
    except NotAllowed as error:
        raise PermissionDenied(str(error)) from None


class Schema(Uncached, SpectacularAPIView):
    """The OpenAPI 3 description of this API, as JSON or (?format=yaml) YAML."""

    permission_classes = [KeyOrStaff]
    renderer_classes: list[type[BaseRenderer]] = [
        OpenApiJsonRenderer,
        JSONRenderer,
        OpenApiYamlRenderer,
    ]
