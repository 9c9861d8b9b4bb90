from django.apps import AppConfig


class ProvidersConfig(AppConfig):
    """What exists: vLLM servers, keys, and what was discovered of them."""

    name = "providers"
    verbose_name = "Aurora"

    def ready(self) -> None:
        from aurora_site import checks  # noqa: PLC0415
        from providers import audit, logins, revision, roles  # noqa: PLC0415 - models are ready only now

        checks.register()
        audit.register()
        logins.connect()
        revision.connect()
        roles.connect(self)
