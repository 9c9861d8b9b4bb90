"""How the form of a provider is divided, and what is said above each part."""

from __future__ import annotations

SERVER = (
    "Server",
    {"description": "Where the vLLM server answers, and what it asks for as a key."},
)
MODELS = (
    "Models",
    {
        "fields": ("models_mode", "model_ids"),
        "description": "Clients ask for a model as <i>provider name</i>/<i>model id</i>."
        " With discover, its models are those the server says it serves.",
    },
)
PASSTHROUGH = (
    "Passthrough",
    {
        "fields": ("passthrough",),
        "description": "What clients may call of the server's own paths, under /p/<i>provider"
        " name</i>/, beside the OpenAI-compatible ones under /v1.",
    },
)
TRANSLATION = (
    "Translation",
    {
        "fields": ("translation",),
        "description": "With auto, Responses and Messages calls go as they came to a server that"
        " speaks them, and are translated to chat completions for one that does not.",
    },
)
ROUTING = (
    "Routing",
    {
        "fields": ("weight", "max_concurrency", "repeats_after_timeout"),
        "description": "Calls for a model that several servers have are shared among them.",
    },
)
LIMITS = (
    "Time limits",
    {
        "fields": ("connect_seconds", "first_byte_seconds", "idle_seconds"),
        "description": "In seconds. A call that exceeds one is answered 504.",
    },
)
OTHERS = (MODELS, ROUTING, PASSTHROUGH, TRANSLATION, LIMITS)
