from django.apps import AppConfig


class GatewayConfig(AppConfig):
    """What happens: a call on its way to a vLLM server and back."""

    name = "gateway"
