# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Several samples become places, candidates and a confidence."""

from __future__ import annotations

import numpy as np
import pytest
from roborefer_perception.core.agreement import AgreementSettings, agree
from roborefer_perception.core.types import Kind, Place

SHAPE = (40, 60)


def place(point, kind=Kind.UNKNOWN, columns=slice(0, 0), extent=0.0):
    region = np.zeros(SHAPE, bool)
    region[:, columns] = True
    return Place(
        point=np.array(point, float), rotation=np.eye(3), covariance=np.eye(6) * 1e-6,
        extent=np.full(3, extent), pixel=(1.0, 2.0), snapped_px=0.0, region=region, kind=kind,
    )  # fmt: skip


def near(rng, middle, count, spread_m=0.004):
    return [place(np.array(middle) + rng.normal(0, spread_m, 3)) for _ in range(count)]


def test_one_sample_has_the_confidence_that_the_model_gives():
    found = agree([place([0, 0, 1])], [0.7])

    assert found.confidence == pytest.approx(0.7)
    assert found.clusters[0].spread_m == 0
    assert not found.ambiguous


def test_samples_at_one_place_agree_fully():
    found = agree([place([0.1, 0, 1])] * 5, [0.9] * 5)

    assert found.clusters[0].members == (0, 1, 2, 3, 4)
    assert found.confidence == pytest.approx(0.9)


def test_spread_is_the_standard_deviation_in_space():
    found = agree([place([x, 0, 1]) for x in (-0.01, 0.0, 0.01)], [1] * 3)

    cluster = found.clusters[0]
    assert cluster.place == 1
    assert cluster.spread_m == pytest.approx(0.01)
    assert cluster.scatter == pytest.approx(np.diag([1e-4, 0, 0]))


def test_two_equal_clusters_are_ambiguous_and_the_surer_one_comes_first():
    rng = np.random.default_rng(1)
    places = near(rng, [0, 0, 1], 3) + near(rng, [0.2, 0, 1], 3)

    found = agree(places, [0.5] * 3 + [0.9] * 3)

    assert found.ambiguous
    assert [cluster.members for cluster in found.clusters] == [(3, 4, 5), (0, 1, 2)]


def test_a_single_stray_sample_is_outvoted_and_costs_confidence():
    rng = np.random.default_rng(2)
    places = near(rng, [0, 0, 1], 4, 0.0) + near(rng, [0.5, 0, 1], 1)

    found = agree(places, [1] * 5)

    assert not found.ambiguous
    assert found.clusters[0].members == (0, 1, 2, 3)
    assert found.confidence == pytest.approx(0.8)


@pytest.mark.parametrize("rival", [0.5, 0.7])
def test_the_setting_decides_how_near_a_rival_may_come(rival):
    places = [place([0, 0, 1])] * 5 + [place([0.3, 0, 1])] * 3

    found = agree(places, [1] * 8, AgreementSettings(rival=rival))

    assert found.ambiguous == (rival < 3 / 5)


def test_samples_without_a_place_count_as_disagreement():
    found = agree([place([0, 0, 1]), None, None, place([0, 0, 1])], [1.0] * 4)

    assert found.confidence == pytest.approx(0.5)
    assert found.clusters[0].share == 0.5


@pytest.mark.parametrize("places", [[], [None], [None, None]])
def test_no_place_at_all_gives_no_cluster(places):
    found = agree(places, [1.0] * len(places))

    assert found.clusters == ()
    assert found.confidence == 0
    assert not found.ambiguous


def test_points_far_apart_on_one_object_agree():
    ends = [place([x, 0, 1], Kind.OBJECT, slice(10, 40), 0.3) for x in (0.0, 0.1)]

    found = agree(ends, [1, 1])

    assert len(found.clusters) == 1
    # 10 cm apart on a thing of 30 cm: 1 / (1 + (0.1 / 0.15)²) for the one, 1 for the other.
    assert found.confidence == pytest.approx((1 + 1 / (1 + (0.1 / 0.15) ** 2)) / 2)


@pytest.mark.parametrize("kind", [Kind.FREE_SPACE, Kind.PART, Kind.UNKNOWN, Kind.INSIDE])
def test_points_far_apart_on_one_surface_disagree(kind):
    found = agree([place([x, 0, 1], kind, slice(0, 60)) for x in (0.0, 0.1)], [1, 1])

    assert found.ambiguous


def test_objects_that_hardly_overlap_are_two():
    places = [
        place([0.0, 0, 1], Kind.OBJECT, slice(0, 20)),
        place([0.1, 0, 1], Kind.OBJECT, slice(15, 40)),
    ]

    assert len(agree(places, [1, 1]).clusters) == 2


def test_a_chain_of_places_is_not_one_place():
    found = agree([place([0.025 * step, 0, 1]) for step in range(9)], [1] * 9)

    points = [0.025 * member for member in found.clusters[0].members]
    assert max(points) - min(points) <= 2 * AgreementSettings().same_place_m


@pytest.mark.parametrize("seed", range(10))
def test_ties_do_not_depend_on_the_order(seed):
    # Pairs and gaps of one length: each of them could be the first cluster.
    places = [place([0.0625 * (step // 2) + 0.015625 * (step % 2), 0, 1]) for step in range(8)]
    order = np.random.default_rng(seed).permutation(len(places))

    found = agree([places[i] for i in order], [1] * 8)

    middles = [float(places[order[one.place]].point[0]) for one in found.clusters]
    assert middles == sorted(middles)


def test_confidences_outside_0_to_1_are_clipped():
    assert agree([place([0, 0, 1])], [7.0]).confidence == 1
    assert agree([place([0, 0, 1])], [-1.0]).confidence == 0


def test_a_confidence_is_needed_for_each_sample():
    with pytest.raises(ValueError, match="shorter"):
        agree([place([0, 0, 1])], [])


def random_samples(rng):
    """Return random places around up to three middles, some missing, and confidences."""
    middles = rng.uniform(-0.3, 0.3, (rng.integers(1, 4), 3)) + np.array([0, 0, 1])
    count = int(rng.integers(1, 12))
    places = [
        None if rng.random() < 0.15 else place(rng.choice(middles) + rng.normal(0, 0.01, 3))
        for _ in range(count)
    ]
    return places, rng.uniform(0, 1, count)


@pytest.mark.parametrize("seed", range(40))
def test_each_place_is_in_one_cluster_and_numbers_stay_within_bounds(seed):
    places, confidences = random_samples(np.random.default_rng(seed))

    found = agree(places, confidences)

    members = [member for cluster in found.clusters for member in cluster.members]
    assert sorted(members) == [i for i, one in enumerate(places) if one is not None]
    sizes = [len(cluster.members) for cluster in found.clusters]
    assert sizes == sorted(sizes, reverse=True)
    for cluster in found.clusters:
        assert cluster.place in cluster.members
        assert 0 <= cluster.confidence <= max(confidences) + 1e-12
        assert cluster.confidence <= cluster.share + 1e-12


@pytest.mark.parametrize("seed", range(40))
def test_the_order_of_samples_does_not_matter(seed):
    rng = np.random.default_rng(seed)
    places, confidences = random_samples(rng)
    order = rng.permutation(len(places))

    found = agree(places, confidences)
    again = agree([places[i] for i in order], confidences[order])

    clusters = [tuple(sorted(int(order[m]) for m in one.members)) for one in again.clusters]
    assert clusters == [cluster.members for cluster in found.clusters]
    assert again.confidence == pytest.approx(found.confidence, abs=1e-12)
    assert again.ambiguous == found.ambiguous


@pytest.mark.parametrize("seed", range(40))
@pytest.mark.parametrize("harm", ["fails", "goes elsewhere", "is less sure", "all move apart"])
def test_confidence_never_rises_when_samples_agree_less(seed, harm):
    rng = np.random.default_rng(seed)
    count = int(rng.integers(3, 10))
    points = rng.normal(0, 0.003, (count, 3)) + np.array([0, 0, 1])
    confidences = rng.uniform(0, 1, count)
    before = agree([place(point) for point in points], confidences)
    assert len(before.clusters) == 1
    victim = int(rng.integers(count))

    if harm == "goes elsewhere":
        points[victim] += [1, 0, 0]
    elif harm == "is less sure":
        confidences[victim] *= rng.random()
    elif harm == "all move apart":
        points = points.mean(0) + (points - points.mean(0)) * rng.uniform(1, 1.5)
    places = [place(point) for point in points]
    if harm == "fails":
        places[victim] = None
    after = agree(places, confidences)

    assert after.confidence <= before.confidence + 1e-12
