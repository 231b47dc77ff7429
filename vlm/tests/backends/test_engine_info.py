# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest
from roborefer_vlm.backends.base import EngineInfo
from roborefer_vlm.exceptions import ConfigurationError, EngineError
from roborefer_vlm.server.wire import info_from_json


def test_an_engine_that_takes_no_query_at_all_is_refused():
    with pytest.raises(ConfigurationError, match="max_batch is 0; at least 1"):
        EngineInfo("fake", "fake-1", max_batch=0)


@pytest.mark.parametrize(
    "engine", [{}, {"name": "a", "model": "b", "max_batch": 0}, {"name": "a", "wings": 2}, None]
)
def test_what_a_server_says_of_no_engine_is_an_engine_error(engine):
    with pytest.raises(EngineError, match="does not follow the protocol"):
        info_from_json({"engine": engine})
