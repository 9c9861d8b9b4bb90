"""The admin: one module per page. It presents; the rules live in the models."""

from providers.admin import history, keys, people, providers

__all__ = ["history", "keys", "people", "providers"]
