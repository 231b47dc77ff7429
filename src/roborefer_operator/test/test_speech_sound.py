# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Sound before it is recognised: checks, rates, files, preparation, ends of utterances."""

import wave

import numpy as np
import pytest
from roborefer_operator.core.speech.audio import (
    RATE,
    AudioLimits,
    checked,
    contrast_db,
    level_db,
    read_wav,
    resampled,
)
from roborefer_operator.core.speech.endpointing import (
    Endpointer,
    EndpointSettings,
    SileroDetector,
)
from roborefer_operator.core.speech.preparation import with_floor, without_steady_noise
from roborefer_operator.exceptions import Reason, TaskFailure


def tone(seconds, amplitude=8000.0, frequency=440.0, rate=RATE):
    times = np.arange(int(seconds * rate)) / rate
    return np.round(amplitude * np.sin(2 * np.pi * frequency * times)).astype(np.int16)


def silence(seconds):
    return np.zeros(int(seconds * RATE), np.int16)


def hiss(seconds, amplitude, seed=1):
    values = np.random.default_rng(seed).standard_normal(int(seconds * RATE)) * amplitude
    return np.round(values).astype(np.int16)


@pytest.mark.parametrize(
    ("samples", "reason", "said"),
    [
        (np.zeros(0, np.int16), Reason.NO_AUDIO, "no samples"),
        (silence(1.0), Reason.NO_AUDIO, "-120 dB"),
        (tone(1.0, 20.0), Reason.NO_AUDIO, "-67 dB"),
        (tone(0.1), Reason.INVALID_AUDIO, "0.10 s"),
        (tone(20.5), Reason.INVALID_AUDIO, "20.5 s"),
        (tone(1.0).astype(np.float32), Reason.INVALID_AUDIO, "float32"),
        (tone(1.0).reshape(-1, 2), Reason.INVALID_AUDIO, "(8000, 2)"),
        (np.clip(tone(1.0, 32767) * 3.0, -32768, 32767).astype(np.int16),
         Reason.INVALID_AUDIO, "78 % of the samples"),
    ],
)  # fmt: skip
def test_unusable_sound_is_refused_with_its_numbers(samples, reason, said):
    with pytest.raises(TaskFailure) as failure:
        checked(samples)

    assert failure.value.reason is reason
    assert said in str(failure.value)


def test_limits_are_kept_to_the_sample():
    limits = AudioLimits(least_s=0.5, most_s=1.0)

    assert len(checked(tone(0.5), limits)) == RATE // 2
    assert len(checked(tone(1.0), limits)) == RATE


@pytest.mark.parametrize("rate", [8000, 11025, 22050, 44100, 48000])
def test_other_rates_keep_length_and_pitch(rate):
    found = resampled(tone(1.0, rate=rate), rate)

    spectrum = np.abs(np.fft.rfft(found * np.hanning(len(found))))
    assert abs(len(found) - RATE) <= 1
    assert np.argmax(spectrum) * RATE / len(found) == pytest.approx(440, abs=1.5)
    # What the finer grid leaves of other tones is far below speech.
    assert np.abs(found).max() == pytest.approx(8000, rel=0.02)


@pytest.mark.parametrize("rate", [0, 1, 7999, 96001, 2**32 - 1])
def test_a_strange_rate_is_refused(rate):
    with pytest.raises(TaskFailure, match=f"rate is {rate}"):
        resampled(tone(0.5), rate)


def write(path, samples, rate=RATE, channels=1, width=2):
    with wave.open(str(path), "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(width)
        file.setframerate(rate)
        file.writeframes(samples.tobytes())


def test_two_channels_of_a_file_are_averaged(tmp_path):
    both = np.stack([tone(0.5), -tone(0.5)], axis=1)
    write(tmp_path / "both.wav", both, 22050, channels=2)

    samples, rate = read_wav(tmp_path / "both.wav")

    assert rate == 22050
    assert samples.shape == (8000,)
    assert not samples.any()


@pytest.mark.parametrize("content", [b"", b"RIFF", b"no sound at all" * 9])
def test_what_is_no_wav_file_is_refused(tmp_path, content):
    (tmp_path / "bad.wav").write_bytes(content)

    with pytest.raises(TaskFailure, match=r"bad\.wav is no WAV file"):
        read_wav(tmp_path / "bad.wav")


def test_eight_bits_are_refused_by_number(tmp_path):
    write(tmp_path / "old.wav", np.zeros(800, np.uint8), width=1)

    with pytest.raises(TaskFailure, match="8 bits; 16"):
        read_wav(tmp_path / "old.wav")


def test_the_floor_of_noise_lies_40_db_below_speech():
    found = with_floor(np.concatenate([silence(0.5), tone(1.0), silence(0.5)]))

    levels = level_db(found)
    assert levels[30:70].mean() - levels[:20].mean() == pytest.approx(40, abs=1)
    assert np.array_equal(
        found, with_floor(np.concatenate([silence(0.5), tone(1.0), silence(0.5)]))
    )


@pytest.mark.parametrize(("noise", "contrast"), [(30, 46), (300, 26)])
def test_contrast_is_how_far_speech_stands_above_noise(noise, contrast):
    samples = np.concatenate([silence(0.5), tone(1.0), silence(0.5)]) + hiss(2.0, noise)

    assert contrast_db(samples) == pytest.approx(contrast, abs=2)


def test_steady_noise_is_taken_away_and_speech_is_left():
    noise = hiss(2.0, 400)
    speech = np.concatenate([silence(0.7), tone(0.6), silence(0.7)])

    found = level_db(without_steady_noise(speech + noise))

    before = level_db(speech + noise)
    assert before[:30].mean() - found[:30].mean() > 6
    assert found[40:60].mean() == pytest.approx(before[40:60].mean(), abs=1)


def talk(seconds, seed=3):
    """Sound with the loudness and the hiss of speech."""
    return hiss(seconds, 3000, seed)


def pushed(endpointer, samples, size=533):
    found = []
    for at in range(0, len(samples), size):
        found += endpointer.push(samples[at : at + size])
    return found


def test_push_to_talk_gives_all_that_came_until_the_last_piece():
    endpointer = Endpointer(EndpointSettings())
    samples = np.concatenate([talk(0.5), silence(1.5), talk(0.5)])

    assert pushed(endpointer, samples) == []
    assert endpointer.pending
    (cut,) = endpointer.push(samples[:7], last=True)

    assert np.array_equal(cut.samples, np.concatenate([samples, samples[:7]]))
    assert (cut.begin, cut.end) == (0, len(samples) + 7)
    assert not endpointer.pending


def test_an_utterance_without_end_is_cut():
    endpointer = Endpointer(EndpointSettings(most_s=1.0))

    cuts = pushed(endpointer, talk(2.5))

    assert [len(cut.samples) for cut in cuts] == [RATE, RATE]


@pytest.mark.parametrize("noise", [0, 60])
def test_an_open_microphone_gives_each_sentence_with_a_bit_around_it(noise):
    endpointer = Endpointer(EndpointSettings(open_microphone=True))
    parts = [silence(1.0), talk(0.8), silence(1.2), talk(0.5), silence(1.0)]
    samples = np.concatenate(parts) + hiss(4.5, noise)

    first, second = pushed(endpointer, samples)

    for cut, (begin_s, end_s) in ((first, (1.0, 1.8)), (second, (3.0, 3.5))):
        assert begin_s - 0.5 < cut.begin / RATE <= begin_s
        assert end_s <= cut.end / RATE < end_s + 0.8


def test_steady_noise_and_a_click_are_no_sentences():
    endpointer = Endpointer(EndpointSettings(open_microphone=True))
    samples = hiss(6.0, 300)
    samples[RATE * 3] = 30000

    cuts = pushed(endpointer, samples)

    assert cuts == []


def test_the_last_piece_ends_an_utterance_of_an_open_microphone():
    endpointer = Endpointer(EndpointSettings(open_microphone=True))
    pushed(endpointer, np.concatenate([silence(1.0), talk(0.5)]))

    (cut,) = endpointer.push(silence(0.01), last=True)

    assert 0.5 < len(cut.samples) / RATE < 1.0


def test_a_missing_speech_detector_says_what_to_do(tmp_path):
    with pytest.raises(TaskFailure, match=r"leave endpoint\.silero_file empty") as failure:
        SileroDetector(tmp_path / "none.onnx")

    assert failure.value.reason is Reason.ENGINE_UNAVAILABLE
