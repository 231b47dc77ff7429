# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""What the server counts, in Prometheus' words; each server has a registry of its own."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from roborefer_vlm.types import Answer

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120)
_STAGES = ("preprocess", "encode", "prefill", "decode", "postprocess")


class Metrics:
    """The figures of one server."""

    def __init__(self) -> None:
        self._registry = registry = CollectorRegistry()
        self.requests = Counter(
            "roborefer_requests_total",
            "Requests answered, by route and status.",
            ("route", "method", "status"),
            registry=registry,
        )
        self.request_seconds = Histogram(
            "roborefer_request_seconds",
            "Time from the head of a request to the end of its answer.",
            ("route",),
            buckets=_SECONDS,
            registry=registry,
        )
        self.answers = Counter(
            "roborefer_answers_total", "Answers of the engine.", ("outcome",), registry=registry
        )
        self.failures = Counter(
            "roborefer_failures_total",
            "Queries that ended with an error.",
            ("code",),
            registry=registry,
        )
        self.queue_seconds = Histogram(
            "roborefer_queue_seconds",
            "Time that a query waited for the engine.",
            buckets=_SECONDS,
            registry=registry,
        )
        self.stage_seconds = Histogram(
            "roborefer_stage_seconds",
            "Time that an answer took in each stage of the engine.",
            ("stage",),
            buckets=_SECONDS,
            registry=registry,
        )
        self.batch_size = Histogram(
            "roborefer_batch_size",
            "Queries that the engine got at once.",
            buckets=(1, 2, 4, 8, 16, 32, 64),
            registry=registry,
        )
        self.tokens = Counter(
            "roborefer_tokens_total", "Tokens that the engine wrote.", registry=registry
        )
        self.queue_length = Gauge(
            "roborefer_queue_length", "Queries that wait for the engine.", registry=registry
        )
        self.in_flight_bytes = Gauge(
            "roborefer_in_flight_bytes", "Memory of requests under way.", registry=registry
        )
        self.ready = Gauge(
            "roborefer_ready", "1 when queries are answered, else 0.", registry=registry
        )

    def count_answer(self, answer: Answer) -> None:
        """Add one answer of the engine."""
        self.answers.labels(answer.outcome.value).inc()
        self.tokens.inc(answer.latency.new_tokens)
        self.queue_seconds.observe(answer.latency.queue_s)
        for stage in _STAGES:
            self.stage_seconds.labels(stage).observe(getattr(answer.latency, f"{stage}_s"))

    def render(self) -> bytes:
        """Return all figures in Prometheus' text format."""
        return generate_latest(self._registry)
