"""The admin: one module per page. It presents; the rules live in the models."""

from providers.admin import aliases, history, keys, people, providers

__all__ = ["aliases", "history", "keys", "people", "providers"]
