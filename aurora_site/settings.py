"""Django's settings. What an operator may set is in `options`; the rest is fixed here."""

import os
import sys
from pathlib import Path

from aurora_site import data_folder, database, environment, keyring, options
from aurora_site.environment.showing import Hidden
from aurora_site.rest import REST_FRAMEWORK, SPECTACULAR_SETTINGS  # noqa: F401 - read here
from aurora_site.unfold import UNFOLD  # noqa: F401 - django-unfold reads it here

BASE_DIR = Path(__file__).resolve().parent.parent

try:
    ENVIRONMENT = environment.load(os.environ, BASE_DIR, options.NAMES)
    os.environ |= ENVIRONMENT.for_libraries
    OPTIONS = options.read(ENVIRONMENT.values)
    DATA_DIR = BASE_DIR / OPTIONS["AURORA_DATA_DIR"]
    if OPTIONS["DATABASE_URL"]:
        KEYRING = keyring.given(OPTIONS["AURORA_SECRET_KEYS"])
        DATABASE = database.of_url(OPTIONS["DATABASE_URL"], BASE_DIR)
        DATABASE_VARIABLE = "DATABASE_URL"
    else:
        folder = data_folder.prepare(DATA_DIR)
        KEYRING = keyring.load(OPTIONS["AURORA_SECRET_KEYS"], folder)
        DATABASE = database.of_file(DATA_DIR / data_folder.DATABASE)
        DATABASE_VARIABLE = data_folder.VARIABLE
except (
    environment.BadFile,
    options.BadOption,
    keyring.BadKeyring,
    data_folder.BadDataFolder,
    database.BadDatabase,
) as error:
    sys.exit(f"aurora: {error}")

PUBLIC_URLS = OPTIONS["AURORA_PUBLIC_URL"]
EXPECTS_TLS = any(url.is_https for url in PUBLIC_URLS)

DEBUG = False
SECRET_KEY, *SECRET_KEY_FALLBACKS = map(Hidden, KEYRING.derived_texts("django"))
ALLOWED_HOSTS = ["*"]  # `PublicHosts` decides, for pages alone: a key is good under any name
CSRF_TRUSTED_ORIGINS = [str(url) for url in PUBLIC_URLS]
# Named after the keyring: two installations on one host do not sign each other's people out, and
# processes that share one keyring share sessions. By the oldest secret, which rotation keeps.
COOKIE_SUFFIX = KEYRING.derived_texts("cookie names")[-1][:8]
SESSION_COOKIE_NAME = f"aurora_session_{COOKIE_SUFFIX}"
CSRF_COOKIE_NAME = f"aurora_csrf_{COOKIE_SUFFIX}"
# A secure cookie does not come back over plain HTTP, which a second public URL may be.
CSRF_COOKIE_SECURE = SESSION_COOKIE_SECURE = EXPECTS_TLS and all(u.is_https for u in PUBLIC_URLS)
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if EXPECTS_TLS else None
SECURE_HSTS_SECONDS = OPTIONS["AURORA_HSTS_SECONDS"] if EXPECTS_TLS else 0
SILENCED_SYSTEM_CHECKS = [
    "security.W003",  # forged forms: `SameOriginForms` is Django's middleware, taught more
    "security.W004",  # HSTS: the operator decides, by AURORA_HSTS_SECONDS
    "security.W008",  # `PublicHosts` redirects to https: the management API is never redirected
]
X_FRAME_OPTIONS = "DENY"

INSTALLED_APPS = [
    "unfold",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "auditlog",
    "rest_framework",
    "drf_spectacular",
    "providers",
    "gateway",
]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "aurora_site.private_answers.PrivateAnswers",
    "aurora_site.content_policy.ContentPolicy",
    "aurora_site.public_hosts.PublicHosts",
    "aurora_site.outages.Outages",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "aurora_site.forgery.SameOriginForms",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "providers.admin.actor.ActorMiddleware",
]
CSRF_FAILURE_VIEW = "aurora_site.forgery.refuse"
MESSAGE_STORAGE = "django.contrib.messages.storage.session.SessionStorage"
LOGIN_REDIRECT_URL = "admin:index"
ROOT_URLCONF = "aurora_site.urls"
ASGI_APPLICATION = "aurora_site.asgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    },
]

if DATABASE["ENGINE"] == "django.db.backends.sqlite3":
    # Writers wait for each other instead of failing, and readers never wait for a writer.
    DATABASE["OPTIONS"] = {
        "transaction_mode": "IMMEDIATE",
        "timeout": 20,
        "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;",
    }
elif DATABASE["ENGINE"] == "django.db.backends.postgresql":
    # A database that is gone must be noticed: the thread that reads it has no other clock.
    alive = {"keepalives_idle": 10, "keepalives_interval": 5, "keepalives_count": 3}
    DATABASE["DISABLE_SERVER_SIDE_CURSORS"] = True  # a pool may end them with their transaction
    DATABASE["OPTIONS"] = {
        "connect_timeout": 5,
        "tcp_user_timeout": 15_000,
        **alive,
        **DATABASE.get("OPTIONS", {}),
    }
DATABASES = {"default": DATABASE}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator"},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
LANGUAGE_CODE = "en"
TIME_ZONE = "UTC"
USE_TZ = True
STATIC_URL = "static/"
WHITENOISE_USE_FINDERS = True  # the admin's files are served from the packages: nothing to collect

LOG_FORMAT = OPTIONS["AURORA_LOG_FORMAT"]
if LOG_FORMAT == "auto":
    LOG_FORMAT = "text" if sys.stdout.isatty() else "json"
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "json": {"()": "aurora_site.logs.JsonFormatter"},
        "text": {"()": "aurora_site.logs.TextFormatter"},
    },
    "filters": {
        "no_outages": {"()": "aurora_site.logs.NoOutages"},
        "no_callers_words": {"()": "aurora_site.logs.NoCallersWords"},
        "no_cancelled_calls": {"()": "aurora_site.logs.NoCancelledCalls"},
    },
    "handlers": {
        "stdout": {
            "()": "aurora_site.logs.StdoutHandler",
            "formatter": LOG_FORMAT,
            "filters": ["no_callers_words"],
        }
    },
    "root": {"handlers": ["stdout"], "level": "WARNING"},
    "loggers": {
        "aurora": {"level": OPTIONS["AURORA_LOG_LEVEL"].upper()},
        # A Host that is none is any scanner's; a traceback for each would fill the log.
        "django.security.DisallowedHost": {"level": "CRITICAL"},
        "django.security.csrf": {"level": "CRITICAL"},  # `forgery` logs it, with what to do
        "asyncio": {"filters": ["no_cancelled_calls"]},
        "django.request": {"level": "ERROR", "filters": ["no_outages"]},
        "python_multipart": {"level": "CRITICAL"},  # of a broken form, its sender is told
    },
}  # fmt: skip

AUDITLOG_CID_HEADER = None  # a client's header is no part of the history

# How `providers` reaches the network: the gateway's one door (see docs/architecture.md).
AURORA_FETCH = "gateway.upstream.fetch"
