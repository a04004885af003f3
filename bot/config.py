"""Settings: one YAML file plus the environment. Unknown keys are refused; units stand in the names.

``config.example.yaml`` shows every key with its meaning. The environment wins over the file:
``CONNTRACK_BOT_PROBE__IMAGE=…`` sets ``probe.image``. It must not know what is built from a setting.
"""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from diagnostics.errors import ConfigurationError

PREFIX = "CONNTRACK_BOT_"
CHANNEL_ID = re.compile(r"[CGD][A-Z0-9]{4,20}")
PLACES = (Path("~/.config/conntrack-bot/config.yaml"), Path("/etc/conntrack-bot/config.yaml"))


class _Section(BaseModel):
    """A part of the file. A key that is not listed is a mistake, never ignored."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class ClusterSettings(_Section):
    """How to reach one cluster: a kubeconfig and its context, or the service account of the bot's own pod."""

    kubeconfig: Path | None = None
    context: str | None = None
    in_cluster: bool = False

    @model_validator(mode="after")
    def _one_way_only(self) -> ClusterSettings:
        if self.in_cluster and (self.kubeconfig or self.context):
            raise ValueError("in_cluster goes without kubeconfig and context: give one or the other")
        return self


class ProbeSettings(_Section):
    """The debug pod."""

    namespace: str = "conntrack-bot-probes"
    image: str = "localhost/conntrack-bot:dev"
    pull_policy: Literal["IfNotPresent", "Never"] = "IfNotPresent"
    profile: Literal["standard", "privileged", "minimal"] = "standard"
    service_account: str = "probe"
    priority_class: str = "conntrack-bot-probe"
    image_pull_secrets: tuple[str, ...] = ()


class SshAccess(_Section):
    """How to log in to nodes. ``hosts`` maps a node's name to [USER@]HOST[:PORT] where that is not its address."""

    user: str = "root"
    port: int = Field(default=22, ge=1, le=65535)
    key_file: Path | None = None
    certificate: Path | None = None
    agent: bool = True
    known_hosts: tuple[Path, ...] = ()
    bastion: str | None = None
    sudo: bool | None = None
    connect_seconds: float = Field(default=25.0, gt=0)
    hosts: Mapping[str, str] = Field(default_factory=dict)


class LookSettings(_Section):
    """What the probe is asked to do. ``connect`` is HOST:PORT that is known to be served; null: the API Service."""

    sample_entries: int = Field(default=8000, ge=100, le=10_000_000)
    watch_seconds: float = Field(default=2.0, gt=0, le=60)
    deadline_seconds: float = Field(default=30.0, ge=5, le=600)
    connect: str | None = None

    @field_validator("connect")
    @classmethod
    def _host_and_port(cls, value: str | None) -> str | None:
        if value is not None:
            place(value)
        return value


class SlackSettings(_Section):
    """How to talk to Slack. A token stands in a file, or in the environment (CONNTRACK_BOT_SLACK__BOT_TOKEN).

    ``channels`` are the ids of the channels where the bot may be asked; none given: every channel it was invited to.
    ``api_url`` leaves Slack itself only for this machine: tokens go there.
    """

    mode: Literal["socket", "http"] = "socket"
    bot_token: SecretStr | None = None
    bot_token_file: Path | None = None
    app_token: SecretStr | None = None
    app_token_file: Path | None = None
    signing_secret: SecretStr | None = None
    signing_secret_file: Path | None = None
    command: str = Field(default="/conntrack", pattern=r"^/[a-z0-9_-]{1,31}$")
    channels: tuple[str, ...] = ()
    api_url: str = "https://slack.com/api/"
    connections: int = Field(default=2, ge=1, le=10)

    @field_validator("channels")
    @classmethod
    def _ids_only(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        """A name would match nothing, and everybody would be refused."""
        for one in value:
            if not CHANNEL_ID.fullmatch(one):
                raise ValueError(f"{one!r} is no channel's id: write C0123ABCD, from the end of the channel's details")
        return value


class StoreSettings(_Section):
    """Where the bot writes down what it knows: an SQLAlchemy URL; null: a file in the user's state folder.

    After ``keep_days`` recordings and messages are let go; what was found and the audit stay.
    """

    url: str | None = None
    keep_days: float = Field(default=90.0, ge=1)


class ServeSettings(_Section):
    """The running bot. ``lookers`` is how many nodes are looked at at once; ``bind`` serves HTTP mode and health."""

    lookers: int = Field(default=8, ge=1, le=64)
    waiting_at_most: int = Field(default=500, ge=1)
    forget_after_seconds: float = Field(default=1800.0, gt=0)
    lease_seconds: float = Field(default=15.0, ge=2)
    stop_seconds: float = Field(default=20.0, ge=0)
    bind: str = "127.0.0.1:8080"


class Settings(BaseSettings):
    """All settings. ``default_cluster`` is the one that a node's name alone means; null: kubectl's current context."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_nested_delimiter="__",
        extra="forbid",
        frozen=True,
        nested_model_default_partial_update=True,
    )

    clusters: Mapping[str, ClusterSettings] = Field(default_factory=dict)
    default_cluster: str | None = None
    probe: ProbeSettings = ProbeSettings()
    ssh: SshAccess = SshAccess()
    look: LookSettings = LookSettings()
    slack: SlackSettings = SlackSettings()
    store: StoreSettings = StoreSettings()
    serve: ServeSettings = ServeSettings()

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003 - pydantic-settings names and passes all of them
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - the same
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - the same
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """The environment first, then the file."""
        return env_settings, init_settings

    @model_validator(mode="after")
    def _default_is_listed(self) -> Settings:
        if self.default_cluster is not None and self.default_cluster not in self.clusters:
            raise ValueError(f"default_cluster is {self.default_cluster!r}, which clusters does not list")
        return self


def load(path: Path | None = None) -> Settings:
    """The settings of a file, of the first of the usual places that exists, or the defaults; then the environment.

    Raises ConfigurationError with the file, the line and the key.
    """
    file = path or next((place.expanduser() for place in PLACES if place.expanduser().is_file()), None)
    text = "" if file is None else _read(file)
    written = {} if file is None else _parsed(file, text)
    try:
        return Settings(**written)
    except ValidationError as error:
        raise ConfigurationError("\n".join(_sentence(one, file, text) for one in error.errors())) from error


def place(text: str) -> tuple[str, int]:
    """HOST and PORT of "host:port" or "[v6]:port". Raises ValueError."""
    host, colon, port = text.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not colon or not host or not port.isdecimal() or not 0 < int(port) < 65536:
        raise ValueError(f"{text!r} is not HOST:PORT")
    return host, int(port)


def _read(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise ConfigurationError(f"The configuration {file} cannot be read: {why}.") from error


def _parsed(file: Path, text: str) -> dict[str, Any]:
    try:
        written = yaml.safe_load(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f", line {mark.line + 1}" if mark else ""
        why = getattr(error, "problem", None) or "it cannot be parsed"
        raise ConfigurationError(f"The configuration {file}{where} is not YAML: {why}.") from error
    if written is None:
        return {}
    if not isinstance(written, dict) or not all(isinstance(key, str) for key in written):
        raise ConfigurationError(f"The configuration {file} must hold keys such as `probe:`, and holds something else.")
    return written


# ---- what is wrong, in a sentence -----------------------------------------------------------------------------------


def _sentence(error: Any, file: Path | None, text: str) -> str:
    keys = tuple(str(key) for key in error["loc"])
    line = _line(text, keys)
    where = f"{file}, line {line}" if line else _elsewhere(keys, file)
    key = ".".join(keys)
    if error["type"] == "extra_forbidden":
        close = difflib.get_close_matches(keys[-1], _known(keys[:-1]), n=1)
        meant = f"; did you mean `{close[0]}`?" if close else f"; known are: {', '.join(_known(keys[:-1]))}."
        return f"{where}: there is no setting `{key}`{meant}"
    why = str(error["msg"]).removeprefix("Value error, ")
    return f"{where}: `{key}`: {why}." if key else f"{where}: {why}."


def _elsewhere(keys: tuple[str, ...], file: Path | None) -> str:
    """What is not in the file came from the environment, unless it is about the settings as a whole."""
    name = PREFIX + "__".join(keys).upper()
    return (
        f"The environment's {name}" if keys and name in map(str.upper, os.environ) else str(file or "The environment")
    )


def _known(keys: tuple[str, ...]) -> list[str]:
    """The keys that a section has; what a name chosen by the user holds is the same for every name."""
    section: Any = {
        "probe": ProbeSettings,
        "ssh": SshAccess,
        "look": LookSettings,
        "slack": SlackSettings,
        "store": StoreSettings,
        "serve": ServeSettings,
        "clusters": ClusterSettings,
    }.get(keys[0] if keys else "", Settings)
    return list(section.model_fields)


def _line(text: str, keys: tuple[str, ...]) -> int:
    """The line on which the last of the keys stands; 0 where the file does not have it."""
    found, node = 0, yaml.compose(text) if text else None
    for key in keys:
        pairs = node.value if isinstance(node, yaml.MappingNode) else ()
        match = next(((name, value) for name, value in pairs if name.value == key), None)
        if match is None:
            return 0
        found, node = match[0].start_mark.line + 1, match[1]
    return found


def changed(settings: Settings, **sections: Mapping[str, Any]) -> Settings:
    """The settings with what was said on the command line; None there means: not said."""
    said = {name: {key: value for key, value in keys.items() if value is not None} for name, keys in sections.items()}
    update = {name: getattr(settings, name).model_copy(update=keys) for name, keys in said.items() if keys}
    return settings.model_copy(update=update)
