from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from bot import config
from bot.config import Settings, changed, load, place
from diagnostics.errors import ConfigurationError

EXAMPLE = Path(__file__).parents[2] / "config.example.yaml"


@pytest.fixture(autouse=True)
def _empty_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(config, "PLACES", (tmp_path / "none.yaml",))


def written(folder: Path, text: str) -> Path:
    file = folder / "config.yaml"
    file.write_text(text)
    return file


def test_the_example_shows_every_setting_and_its_defaults() -> None:
    example, shown = load(EXAMPLE), yaml.safe_load(EXAMPLE.read_text())
    assert shown.keys() == Settings.model_fields.keys()
    for name in ("probe", "ssh", "look", "slack", "store", "serve"):
        section = getattr(example, name)
        assert shown[name].keys() == type(section).model_fields.keys()
        defaults = type(section)().model_copy(update={"hosts": example.ssh.hosts} if name == "ssh" else {})
        assert section == defaults
    assert {
        key for cluster in shown["clusters"].values() for key in cluster
    } == config.ClusterSettings.model_fields.keys()


def test_without_any_file_the_defaults_hold() -> None:
    assert load() == Settings()


def test_the_first_usual_place_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = written(tmp_path, "probe: {image: mine}")
    monkeypatch.setattr(config, "PLACES", (tmp_path / "none.yaml", file))
    assert load().probe.image == "mine"


def test_the_environment_wins_over_the_file_and_leaves_the_rest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CONNTRACK_BOT_PROBE__IMAGE", "from-environment")
    found = load(written(tmp_path, "probe: {image: from-file, namespace: mine}"))
    assert (found.probe.image, found.probe.namespace) == ("from-environment", "mine")


def test_the_command_line_wins_and_what_it_does_not_say_stays() -> None:
    found = changed(Settings(), probe={"image": "x", "namespace": None}, ssh={"user": None})
    assert (found.probe.image, found.probe.namespace) == ("x", Settings().probe.namespace)
    assert found.ssh == Settings().ssh


@pytest.mark.parametrize(
    ("text", "says"),
    [
        pytest.param(
            "probe:\n  imge: x\n", "line 2: there is no setting `probe.imge`; did you mean `image`?", id="typo"
        ),
        pytest.param("sshh: {}\n", "line 1: there is no setting `sshh`; did you mean `ssh`?", id="typo in a section"),
        pytest.param("clusters:\n  a:\n    contxt: b\n", "line 3: there is no setting `clusters.a.contxt`", id="deep"),
        pytest.param("look: {zzz: 1}\n", "known are: sample_entries, watch_seconds", id="nothing like it"),
        pytest.param(
            "\nlook:\n  watch_seconds: 900\n", "line 3: `look.watch_seconds`: Input should be", id="too large"
        ),
        pytest.param("slack: {channels: ['#ops']}\n", "'#ops' is no channel's id: write C0123ABCD", id="a name"),
        pytest.param("look: {connect: nowhere}\n", "`look.connect`: 'nowhere' is not HOST:PORT", id="no port"),
        pytest.param("default_cluster: x\n", "default_cluster is 'x', which clusters does not list", id="no such"),
        pytest.param("clusters: {a: {in_cluster: true, context: b}}\n", "give one or the other", id="two ways"),
        pytest.param("a: [\n", "line 2 is not YAML", id="no YAML"),
        pytest.param("a: b: c\n", "line 1 is not YAML", id="YAML with two colons"),
        pytest.param("- a\n", "must hold keys such as `probe:`", id="a list"),
        pytest.param("1: a\n", "must hold keys such as `probe:`", id="a key that is no text"),
    ],
)
def test_a_mistake_is_told_with_file_line_and_key(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        load(written(tmp_path, text))
    assert says in str(caught.value)
    assert "config.yaml" in str(caught.value)


def test_a_mistake_in_the_environment_names_the_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONNTRACK_BOT_PROBE__IMGE", "x")
    with pytest.raises(ConfigurationError, match="CONNTRACK_BOT_PROBE__IMGE: there is no setting"):
        load()


def test_an_empty_file_is_no_mistake(tmp_path: Path) -> None:
    assert load(written(tmp_path, "# nothing yet\n")) == Settings()


def test_a_file_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="cannot be read: No such file"):
        load(tmp_path / "missing.yaml")
    binary = tmp_path / "binary.yaml"
    binary.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigurationError, match="not UTF-8"):
        load(binary)


@pytest.mark.parametrize(
    ("text", "found"), [("10.0.0.1:443", ("10.0.0.1", 443)), ("[fd00::1]:80", ("fd00::1", 80)), ("api:1", ("api", 1))]
)
def test_a_place_has_a_host_and_a_port(text: str, found: tuple[str, int]) -> None:
    assert place(text) == found


@pytest.mark.parametrize("text", ["", ":80", "host", "host:", "host:0", "host:65536", "host:x"])
def test_what_is_no_place_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not HOST:PORT"):
        place(text)
