"""Settings: every knob has a meaning, layers override in order, and each mistake is one line that mends itself."""

import ast
import inspect
from typing import Any

import pytest

from foa.errors import ConfigError
from foa.settings import Entry, Settings, entries, from_env, resolve
from tests.house.tree import modules, none


def test_the_defaults_stand_when_nothing_is_given() -> None:
    settings, sources = resolve([])
    assert settings == Settings()
    assert set(sources.values()) == {"default"}
    assert settings.broker.url == "mqtt://127.0.0.1:1883"
    assert settings.wire.partitions == 64


def test_later_layers_win_and_each_value_knows_its_source() -> None:
    settings, sources = resolve(
        [
            ("foa.toml", {"broker": {"url": "mqtt://one:1883", "keep_alive_s": 30}, "log": {"json": True}}),
            ("environment", from_env({"FOA_BROKER_URL": "mqtt://two:1884", "FOA_LOG_LEVEL": "debug"})),
            ("--set", {"log.level": "error"}),
        ]
    )
    assert settings.broker.url == "mqtt://two:1884"
    assert settings.broker.keep_alive_s == 30
    assert (settings.log.level, settings.log.json) == ("error", True)
    picked = ("broker.url", "broker.keep_alive_s", "log.level", "log.json", "wire.root")
    assert [sources[key] for key in picked] == ["environment", "foa.toml", "--set", "foa.toml", "default"]


def test_every_knob_can_be_set_by_its_own_default_as_text() -> None:
    rows = list(entries(Settings(), {}))
    environ = {f"FOA_{row.key.replace('.', '_').upper()}": str(row.value) for row in rows}
    settings, sources = resolve([("environment", from_env(environ))])
    assert settings == Settings()
    assert set(sources.values()) == {"environment"}


def test_every_knob_and_group_says_its_meaning() -> None:
    rows = list(entries(Settings(), {}))
    assert len(rows) == len({row.key for row in rows}) > 40
    assert all(len(row.meaning) > 10 for row in rows)
    groups = [getattr(Settings(), row.key.partition(".")[0]) for row in rows]
    assert all(inspect.getdoc(type(group)) for group in groups)


def test_variables_of_others_are_left_alone_and_the_alias_works() -> None:
    assert from_env({"PATH": "/bin", "FOA_CONFIG": "x.toml", "FOA_TOPIC_ROOT": "a/b"}) == {"wire.root": "a/b"}
    assert resolve([("environment", from_env({"FOA_LOG_JSON": "true"}))])[0].log.json is True


def test_a_secret_is_never_shown() -> None:
    settings = Settings.from_mapping({"broker.password": "hush-hush"}, "foa.toml")
    assert settings.broker.password == "hush-hush"
    assert "hush" not in repr(settings) + str(list(entries(settings, {})))
    assert Entry("broker.password", "(set)", "default", "password of that account; never shown") in entries(
        settings, {}
    )
    with pytest.raises(ConfigError) as caught:
        Settings.from_mapping({"broker.password": ["hush-hush"]}, "foa.toml")
    assert "hush" not in str(caught.value)


@pytest.mark.parametrize(
    ("mapping", "words"),
    [
        ({"brokr.url": "x"}, ["brokr.url", "no setting", "did you mean broker.url?"]),
        ({"broker": {"ulr": "x"}}, ["broker.ulr", "did you mean broker.url?"]),
        ({"xyzzy": 1}, ["xyzzy", "foa config show"]),
        ({"wire": 3}, ["wire = 3", "[wire]"]),
        ({"broker.url": "http://x"}, ["broker.url = 'http://x'", "mqtt://host[:port]"]),
        ({"broker.url": "mqtt://x\n"}, ["broker.url"]),
        ({"wire.partitions": 0}, ["wire.partitions = 0", "int >= 1", "default 64"]),
        ({"wire.partitions": "many"}, ["'many'", "expected int"]),
        ({"http.port": True}, ["http.port = True", "expected int"]),
        ({"log.level": "loud"}, ["'loud'", "debug, info, warning, error"]),
        ({"log.json": "perhaps"}, ["'perhaps'", "expected bool"]),
        ({"coordinator.refresh_s": float("nan")}, ["coordinator.refresh_s = nan"]),
        ({"node.name": "a/b"}, ["node.name = 'a/b'"]),
    ],
)
def test_a_mistake_is_one_line_that_names_key_value_source_and_mend(mapping: dict[str, Any], words: list[str]) -> None:
    with pytest.raises(ConfigError) as caught:
        Settings.from_mapping(mapping, "foa.toml")
    line = str(caught.value)
    assert "\n" not in line.replace("\\n", "")
    assert "in foa.toml" in line
    assert [word for word in words if word not in line] == []


def test_an_unknown_variable_of_ours_is_a_mistake() -> None:
    with pytest.raises(ConfigError, match="did you mean FOA_BROKER_URL"):
        from_env({"FOA_BROKER_ULR": "x"})


def test_a_mistake_in_a_hidden_layer_is_told_too() -> None:
    with pytest.raises(ConfigError, match=r"in foa\.toml"):
        resolve([("foa.toml", {"http.port": -1}), ("environment", {"http.port": "0"})])


def test_every_knob_is_read_somewhere() -> None:
    """A knob that nothing reads is a promise nobody keeps."""
    read = {
        ast.unparse(node)
        for module in modules("foa")
        if module.room != "settings"
        for node in ast.walk(module.tree)
        if isinstance(node, ast.Attribute)
    }
    read_names = {text.rpartition(".")[2] for text in read}
    unread = [row.key for row in entries(Settings(), {}) if row.key.partition(".")[2] not in read_names]
    none(unread, "read it, or remove it from foa.settings")
