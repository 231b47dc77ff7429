# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""The RoboRefer network (arXiv 2506.04308): towers, projectors and a Qwen2 decoder.

Depth is a second picture with a tower and projector of its own; the features of both replace
placeholder tokens of a chat prompt, and an ordinary language model writes the answer.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from functools import partial
from threading import Event
from typing import Any

import torch
from torch import nn
from torch.nn import functional
from torch.utils.checkpoint import checkpoint
from transformers import Qwen2Config, Qwen2ForCausalLM
from transformers.modeling_layers import GradientCheckpointingLayer
from transformers.models.qwen2.modeling_qwen2 import Qwen2RotaryEmbedding

from roborefer_vlm.exceptions import CheckpointError, ConfigurationError, QueryError
from roborefer_vlm.model import configuration as parts
from roborefer_vlm.model.configuration import RoboReferConfig
from roborefer_vlm.model.decoding import Decoding
from roborefer_vlm.model.generation import Generation, Generator
from roborefer_vlm.model.inputs import ModelInput, PictureBlock
from roborefer_vlm.model.multiscale import join_tiles, merge_scales
from roborefer_vlm.model.part_configurations import LanguageConfig, TowerConfig
from roborefer_vlm.model.projector import Projector
from roborefer_vlm.model.reading import Embedded, read
from roborefer_vlm.model.splicing import IGNORED, MediaItems, splice
from roborefer_vlm.model.towers import VisionTower
from roborefer_vlm.model.vocabulary import Vocabulary
from roborefer_vlm.types import Sampling


class RoboReferModel(nn.Module):
    """The whole network; its children are named as the sub-directories of a checkpoint.

    Without a depth tower, depth pictures go through the tower of colour and only the projector
    differs.
    """

    def __init__(self, config: RoboReferConfig, vocabulary: Vocabulary) -> None:
        """Build the network with random weights on the current default device.

        Args:
            config: Shapes.
            vocabulary: Meaning of the token ids; its size is that of the embedding.

        Raises:
            CheckpointError: The configuration describes no network that can be built.
        """
        super().__init__()
        self.config = config
        self.vocabulary = vocabulary
        try:
            self.llm = Qwen2ForCausalLM(_qwen2(config.language, vocabulary.size))
        except (TypeError, ValueError, KeyError) as error:
            raise CheckpointError(f"{parts.LLM}/config.json is no Qwen2: {error}") from error
        self.vision_tower = _tower(parts.VISION_TOWER, config.vision)
        widths = (config.mm_hidden_size, config.language.hidden_size)
        self.mm_projector = Projector(config.projector_type, *widths)
        self.depth_tower = _tower(parts.DEPTH_TOWER, config.depth) if config.depth else None
        self.depth_projector = (
            Projector(config.depth_projector_type, *widths)
            if config.depth_projector_type
            else None
        )
        self.generator = Generator(self.llm)

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return self.generator.weight.device

    @property
    def dtype(self) -> torch.dtype:
        """Number format of the weights."""
        return self.generator.weight.dtype

    def fill_buffers(self, device: torch.device) -> None:
        """Compute what is no weight; needed after construction on the meta device."""
        with torch.device(device):
            self.llm.model.rotary_emb = Qwen2RotaryEmbedding(self.llm.config)
        for tower in (self.vision_tower, self.depth_tower):
            if tower is not None:
                tower.fill_buffers(device)

    # Pictures to embeddings.

    def encode_images(
        self, tiles: torch.Tensor, blocks: Sequence[PictureBlock]
    ) -> list[torch.Tensor]:
        """Turn colour pictures into features for the decoder.

        Args:
            tiles: Shape (N, 3, S, S), normalised.
            blocks: Layout of each picture; see `PictureBlock`.

        Returns:
            One tensor (vectors, hidden) per placeholder, without surrounding tokens.
        """
        return self._encode(self.vision_tower, self.mm_projector, tiles, blocks)

    def encode_depths(
        self, tiles: torch.Tensor, blocks: Sequence[PictureBlock]
    ) -> list[torch.Tensor]:
        """Turn depth pictures into features; as `encode_images`.

        Raises:
            QueryError: This checkpoint does not understand depth.
        """
        if self.depth_projector is None:
            raise QueryError("this checkpoint has no depth; ask without depth pictures")
        tower = self.depth_tower if self.depth_tower is not None else self.vision_tower
        return self._encode(tower, self.depth_projector, tiles, blocks)

    def _encode(
        self,
        tower: VisionTower,
        projector: Projector,
        tiles: torch.Tensor,
        blocks: Sequence[PictureBlock],
    ) -> list[torch.Tensor]:
        counts = [block.tiles for block in blocks]
        size = tower.config.image_size
        if sum(counts) != len(tiles) or tiles.shape[1:] != (tower.config.channels, size, size):
            raise QueryError(
                f"tiles have shape {tuple(tiles.shape)};"
                f" {(sum(counts), tower.config.channels, size, size)} is needed"
            )
        features = tower(tiles.to(self.device, self.dtype))
        if not self.config.s2_scales:
            return list(projector(features))
        config = self.config
        merged = [
            merge_scales(some, config.s2_scales, config.s2_output_scale, block.rows, block.cols)
            for some, block in zip(torch.split(features, counts), blocks, strict=True)
        ]
        projected = projector(torch.cat([one for one, _ in merged]))
        pieces = torch.split(projected, [len(one) for one, _ in merged])
        return [
            join_tiles(piece, *grid).flatten(0, 1)
            for piece, (_, grid) in zip(pieces, merged, strict=True)
        ]

    def embed_rows(
        self, inputs: Sequence[ModelInput], labels: Sequence[torch.Tensor] | None = None
    ) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
        """Replace the placeholders of several prompts by features.

        All pictures of one kind go through their tower together. A row that is longer than the
        model allows is cut at its end.

        Args:
            inputs: The prompts.
            labels: Token ids to learn, aligned with the input ids of each prompt.

        Returns:
            Per prompt its embeddings (n, hidden), and its labels (n,), which are ignored where
            features are; without `labels` all are.

        Raises:
            QueryError: Placeholders and pictures of a prompt do not match.
        """
        images = self._encode_all(
            [(one.image_tiles, one.image_blocks) for one in inputs], self.encode_images
        )
        depths = self._encode_all(
            [(one.depth_tiles, one.depth_blocks) for one in inputs], self.encode_depths
        )
        if labels is None:
            labels = [torch.full_like(one.input_ids, IGNORED) for one in inputs]
        vocabulary = self.vocabulary
        rows, targets = [], []
        for row, (one, label) in enumerate(zip(inputs, labels, strict=True)):
            media: dict[int | None, MediaItems] = {
                vocabulary.image: self._items("image", images[row], vocabulary.around_image),
                vocabulary.depth: self._items("depth", depths[row], vocabulary.around_depth),
            }
            words = self._embed_tokens(one.input_ids)
            embedded, target = splice(one.input_ids, words, label, media)
            rows.append(embedded[: vocabulary.longest])
            targets.append(target[: vocabulary.longest].to(self.device))
        return rows, targets

    def _encode_all(
        self,
        media: Sequence[tuple[torch.Tensor, Sequence[PictureBlock]]],
        encode: Callable[[torch.Tensor, Sequence[PictureBlock]], list[torch.Tensor]],
    ) -> list[list[torch.Tensor]]:
        """Encode the pictures of several prompts at once and give each prompt its own."""
        blocks = [block for _, some in media for block in some]
        if not blocks:
            return [[] for _ in media]
        tiles = [tiles for tiles, some in media if some]
        features = iter(encode(tiles[0] if len(tiles) == 1 else torch.cat(tiles), blocks))
        # One sequence per tile, or one per picture where the tiles of a picture are merged.
        merged = bool(self.config.s2_scales)
        return [
            [next(features) for block in some for _ in range(1 if merged else block.tiles)]
            for _, some in media
        ]

    def _items(
        self, kind: str, features: Sequence[torch.Tensor], around: Sequence[Sequence[int]]
    ) -> MediaItems:
        before, behind = (self._embed_tokens(ids) for ids in around)
        return MediaItems(kind, features, before, behind)

    def _embed_tokens(self, ids: torch.Tensor | Sequence[int]) -> torch.Tensor:
        indices = torch.as_tensor(ids, dtype=torch.long, device=self.device)
        embedded: torch.Tensor = self.llm.model.embed_tokens(indices)
        return embedded

    def embed(self, inputs: Sequence[ModelInput]) -> Embedded:
        """Return the embeddings of several prompts, padded on the right."""
        rows, _ = self.embed_rows(inputs)
        return Embedded.from_rows(rows)

    # Embeddings to words.

    def forward(self, inputs: Sequence[ModelInput]) -> torch.Tensor:
        """Return the logits of every position, shape (rows, T, vocabulary).

        Positions behind the end of a row hold nothing of meaning; `embed` tells the lengths.
        """
        logits: torch.Tensor = self.llm.lm_head(read(self.llm, self.embed(inputs)))
        return logits

    def loss(
        self,
        inputs: Sequence[ModelInput],
        labels: Sequence[torch.Tensor],
        num_items: int | None = None,
    ) -> torch.Tensor:
        """Return the next-token cross entropy of several conversations, in float32.

        Args:
            inputs: The conversations, answers included.
            labels: Token ids to learn, aligned with the input ids, -100 elsewhere.
            num_items: Supervised tokens of the whole optimiser step, over all its batches and
                processes; the sum of the losses is divided by it. None: those of this batch.

        Raises:
            QueryError: Nothing is supervised, or labels and ids do not match.
        """
        rows, targets = self.embed_rows(inputs, labels)
        hidden = read(self.llm, Embedded.from_rows(rows))
        return self.loss_of_states(list(hidden), targets, num_items)

    def loss_of_states(
        self,
        hidden: Sequence[torch.Tensor],
        targets: Sequence[torch.Tensor],
        num_items: int | None = None,
    ) -> torch.Tensor:
        """Return the next-token cross entropy of what the decoder made of several conversations.

        Args:
            hidden: Per conversation its last hidden states, (n or more, hidden).
            targets: Per conversation the token ids to learn, (n,), -100 elsewhere.
            num_items: See `loss`.

        Raises:
            QueryError: Nothing is supervised.
        """
        if num_items is not None and num_items < 1:
            raise QueryError(f"num_items is {num_items}; at least 1 is needed")
        # Only supervised positions meet the large output matrix.
        kept, wanted = [], []
        for state, target in zip(hidden, targets, strict=True):
            places = (target[1:] != IGNORED).nonzero()[:, 0]
            kept.append(state[places])
            wanted.append(target[places + 1])
        wanted_ids = torch.cat(wanted)
        if not len(wanted_ids) and num_items is None:
            raise QueryError("no token is supervised; labels other than -100 are needed")
        logits = self.llm.lm_head(torch.cat(kept)).float()
        total = functional.cross_entropy(logits, wanted_ids, reduction="sum")
        return total / (len(wanted_ids) if num_items is None else num_items)

    def train_only(self, names: Collection[str]) -> None:
        """Let only these parts learn; frozen towers and projectors go to evaluation mode.

        Args:
            names: Sub-directory names, such as "depth_projector".

        Raises:
            ConfigurationError: This network has no such part.
        """
        children = dict(self.named_children())
        unknown = set(names) - set(children)
        if unknown:
            raise ConfigurationError(
                f"no part is called {', '.join(sorted(unknown))}; there are {', '.join(children)}"
            )
        for name, part in children.items():
            part.requires_grad_(name in names)
            # A frozen language model has nothing that training mode changes, but gradients pass
            # through it, and its layers are recomputed in training mode only.
            part.train(name in names or name == parts.LLM)

    def checkpoint_gradients(self, enabled: bool = True) -> None:
        """Trade time for memory in training: recompute layers instead of keeping their insides."""
        recompute: Any = partial(checkpoint, use_reentrant=False)
        for module in self.modules():
            if isinstance(module, GradientCheckpointingLayer):
                module.gradient_checkpointing = enabled
                module._gradient_checkpointing_func = recompute

    @torch.no_grad()
    def generate(
        self,
        inputs: Sequence[ModelInput],
        *,
        max_new_tokens: int | Sequence[int] = 1024,
        sampling: Sampling | Sequence[Sampling] | None = None,
        stop_ids: Collection[int] | None = None,
        on_token: Callable[[int, int], None] | None = None,
        cancelled: Event | None = None,
        decoding: Decoding = Decoding.AUTO,
    ) -> list[Generation]:
        """Write an answer to each prompt.

        Without `stop_ids` those of the vocabulary end an answer; see `Generator.generate` for
        the other arguments.
        """
        return self.generator.generate(
            lambda: self.embed_rows(inputs)[0],
            rows=len(inputs),
            max_new_tokens=max_new_tokens,
            sampling=sampling,
            longest=self.vocabulary.longest,
            stop_ids=self.vocabulary.stop if stop_ids is None else stop_ids,
            on_token=on_token,
            cancelled=cancelled,
            decoding=decoding,
        )


def _qwen2(config: LanguageConfig, vocabulary: int) -> Qwen2Config:
    rope: dict[str, Any] = {"rope_type": "default", "rope_theta": config.rope_theta}
    if config.rope_factor != 1.0:
        rope |= {"rope_type": "linear", "factor": config.rope_factor}
    qwen2 = Qwen2Config(
        vocab_size=vocabulary,
        hidden_size=config.hidden_size,
        intermediate_size=config.intermediate_size,
        num_hidden_layers=config.layers,
        num_attention_heads=config.heads,
        num_key_value_heads=config.kv_heads,
        hidden_act=config.activation,
        max_position_embeddings=config.max_positions,
        rms_norm_eps=config.norm_eps,
        tie_word_embeddings=config.tied,
        rope_parameters=rope,
        use_sliding_window=False,
    )
    # No field of this configuration, but the attention takes its width from here.
    qwen2.head_dim = config.head_width
    qwen2._attn_implementation = "sdpa"
    return qwen2


def _tower(name: str, config: TowerConfig) -> VisionTower:
    try:
        return VisionTower(config)
    except (TypeError, ValueError, KeyError) as error:
        raise CheckpointError(f"{name}/config.json describes no SigLIP: {error}") from error
