# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""A server with the fake engine, as a program: fake_server.py [PORT [SECONDS_PER_QUERY]].

Writes its URL when it listens, and "query" whenever the engine begins with one.
"""

from __future__ import annotations

import sys
import time
from threading import Event

from roborefer_vlm.server.run import serve
from roborefer_vlm.server.settings import ServerSettings
from roborefer_vlm.testing import FakeEngine
from roborefer_vlm.types import Query


def main(port: int = 0, seconds: float = 0.0) -> None:
    def work(query: Query, cancelled: Event | None) -> None:
        if seconds:
            print("query", flush=True)
            time.sleep(seconds)

    settings = ServerSettings(port=port, max_batch=1 if seconds else None)
    serve(FakeEngine(on_query=work), settings, on_listening=lambda url: print(url, flush=True))


if __name__ == "__main__":
    main_arguments = [kind(value) for kind, value in zip((int, float), sys.argv[1:], strict=False)]
    main(*main_arguments)
