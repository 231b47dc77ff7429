# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""`roborefer serve`: what its arguments become, and how it ends."""

from __future__ import annotations

import argparse
import socket

import pytest
from roborefer_vlm.cli import asking, serve
from roborefer_vlm.cli.main import main
from roborefer_vlm.server.settings import ServerSettings


def parse(*arguments: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser(allow_abbrev=False)
    serve.add_arguments(parser)
    return parser.parse_args(arguments)


@pytest.fixture(autouse=True)
def _no_token(monkeypatch):
    monkeypatch.delenv(asking.TOKEN_VARIABLE, raising=False)


def test_without_arguments_the_defaults_of_the_settings_hold():
    assert serve.settings_from(parse()) == ServerSettings()


def test_arguments_and_the_environment_become_settings(monkeypatch):
    monkeypatch.setenv(asking.TOKEN_VARIABLE, "correct-horse-battery")

    made = serve.settings_from(
        parse("--host", "0.0.0.0", "--port", "0", "--max-batch", "4", "--allowed-host", "R.local")
    )

    assert (made.host, made.port, made.max_batch) == ("0.0.0.0", 0, 4)
    assert (made.token, made.allowed_hosts) == ("correct-horse-battery", ("r.local",))


def test_a_token_cannot_be_given_where_ps_shows_it(capsys):
    with pytest.raises(SystemExit):
        main(["serve", "--token", "correct-horse-battery"])
    assert "unrecognized arguments" in capsys.readouterr().err


def test_a_wide_address_without_a_token_ends_with_2_and_says_why(capsys):
    assert main(["serve", "--host", "0.0.0.0"]) == 2
    assert "needs a token" in capsys.readouterr().err


def test_a_port_in_use_ends_with_2_and_says_so(capsys):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        assert main(["serve", "--port", str(taken.getsockname()[1])]) == 2
    assert "cannot bind 127.0.0.1" in capsys.readouterr().err


def test_an_engine_that_is_unknown_ends_the_server_and_says_which_there_are(capsys):
    assert main(["serve", "--port", "0", "--engine", "oracle"]) == 2
    assert "known engines" in capsys.readouterr().err


def test_a_checkpoint_that_is_none_ends_the_server(capsys, tmp_path):
    pytest.importorskip("torch", reason="the network needs torch")

    assert main(["serve", "--port", "0", "--engine", f"roborefer:{tmp_path}"]) != 0
    assert "config.json" in capsys.readouterr().err
