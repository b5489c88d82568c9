"""The model: encoder, prompts, decoder, and memory."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from safetensors.torch import load_file
from torch import nn
import json
import math
import torch
import torch.nn.functional as F


class ImageEncoder(nn.Module):
    """Features (B, D, H / 4, W / 4) of images, and the finer maps that the decoder gets as skips."""

    def __init__(self, dim: int) -> None:
        super().__init__()

        def step(before: int, after: int, stride: int) -> nn.Module:
            return nn.Sequential(
                nn.Conv2d(before, after, 3, stride, padding=1), nn.BatchNorm2d(after), nn.ReLU(),
                nn.Conv2d(after, after, 3, padding=1), nn.BatchNorm2d(after), nn.ReLU(),
            )  # fmt: skip

        self.fine, self.middle, self.coarse = step(3, dim // 4, 1), step(dim // 4, dim // 2, 2), step(dim // 2, dim, 2)
        self.skips = nn.ModuleList([nn.Conv2d(dim // 2, dim // 4, 1), nn.Conv2d(dim // 4, dim // 8, 1)])

    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, tuple[torch.Tensor, torch.Tensor]]:
        fine = self.fine(images)
        middle = self.middle(fine)
        return self.coarse(middle), (self.skips[0](middle), self.skips[1](fine))


class Attention(nn.Module):
    """Attention of several heads in `inner` channels: a suggestion. No test asks for it, so you may do without."""

    def __init__(self, dim: int, heads: int, inner: int) -> None:
        ### BEGIN SOLUTION
        super().__init__()
        self.heads = heads
        self.query, self.key, self.value = (nn.Linear(dim, inner) for _ in range(3))
        self.out = nn.Linear(inner, dim)
        ### END SOLUTION

    def forward(self, q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
        """Queries (B, T, D) look at keys (B, N, D) and take from values (B, N, D): (B, T, D)."""
        ### BEGIN SOLUTION
        q, k, v = (
            layer(x).unflatten(-1, (self.heads, -1)).transpose(1, 2)
            for layer, x in ((self.query, q), (self.key, k), (self.value, v))
        )
        return self.out(F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2))


class TwoWayBlock(nn.Module):
    """Tokens look at tokens and at the image, and the image looks back (Kirillov et al. 2023).

    Parameters
    ----------
    dim : D. heads : of every attention. down : attention between tokens and image has dim / down channels.

    Raises
    ------
    ValueError : when `down` does not divide `dim`, or `heads` does not divide `dim / down`.
    """

    def __init__(self, dim: int, heads: int, down: int = 2) -> None:
        ### BEGIN SOLUTION
        super().__init__()
        if dim % down or (dim // down) % heads:
            raise ValueError(f"dim={dim} cannot be divided by down={down} and then by heads={heads}")
        self.own = Attention(dim, heads, dim)
        self.to_image, self.to_tokens = (Attention(dim, heads, dim // down) for _ in range(2))
        self.mlp = nn.Sequential(nn.Linear(dim, 4 * dim), nn.GELU(), nn.Linear(4 * dim, dim))
        self.norms = nn.ModuleList(nn.LayerNorm(dim) for _ in range(4))
        ### END SOLUTION

    def forward(
        self, q: torch.Tensor, k: torch.Tensor, q_pe: torch.Tensor, k_pe: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Tokens (B, T, D) and image (B, N, D), with their positions, after the four steps."""
        ### BEGIN SOLUTION
        q = self.norms[0](q + self.own(q + q_pe, q + q_pe, q))
        q = self.norms[1](q + self.to_image(q + q_pe, k + k_pe, k))
        q = self.norms[2](q + self.mlp(q))
        k = self.norms[3](k + self.to_tokens(k + k_pe, q + q_pe, q))
        return q, k


class MaskDecoder(nn.Module):
    """Masks and their predicted IoU from image features and prompts (Kirillov et al. 2023; skips as in SAM 2).

    Parameters
    ----------
    dim : D, a multiple of 8. depth : number of `TwoWayBlock`s. heads : of their attention.

    Raises
    ------
    ValueError : when 8 does not divide `dim`.
    """

    def __init__(self, dim: int, depth: int = 2, heads: int = 4) -> None:
        ### BEGIN SOLUTION
        super().__init__()
        if dim % 8:
            raise ValueError(f"dim={dim} is not a multiple of 8")

        def mlp(out: int) -> nn.Module:
            return nn.Sequential(nn.Linear(dim, dim), nn.ReLU(), nn.Linear(dim, out))

        self.iou_token, self.mask_tokens = nn.Parameter(torch.randn(1, dim)), nn.Parameter(torch.randn(4, dim))
        self.blocks = nn.ModuleList(TwoWayBlock(dim, heads) for _ in range(depth))
        self.up = nn.ModuleList(
            [nn.ConvTranspose2d(dim, dim // 4, 2, stride=2), nn.ConvTranspose2d(dim // 4, dim // 8, 2, stride=2)]
        )
        self.hypers = nn.ModuleList(mlp(dim // 8) for _ in range(4))
        self.scores = mlp(4)
        ### END SOLUTION

    def attend(
        self, image_feats: torch.Tensor, image_pe: torch.Tensor, sparse: torch.Tensor, dense: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """The five tokens (B, 5, D) and the image (B, D, h, w) after they have looked at each other."""
        ### BEGIN SOLUTION
        learned = torch.cat([self.iou_token, self.mask_tokens]).expand(len(image_feats), -1, -1)
        tokens = torch.cat([learned, sparse], dim=1)
        positions = image_pe.expand_as(image_feats).flatten(2).transpose(1, 2)
        q, k = tokens, (image_feats + dense).flatten(2).transpose(1, 2)
        for block in self.blocks:
            q, k = block(q, k, tokens, positions)
        return q[:, :5], k.transpose(1, 2).unflatten(-1, image_feats.shape[-2:])
        ### END SOLUTION

    def upscale(self, image: torch.Tensor, skips: Sequence[torch.Tensor]) -> torch.Tensor:
        """Features (B, D / 8, 4 h, 4 w) of the pixels."""
        ### BEGIN SOLUTION
        for convolution, skip in zip(self.up, skips):
            image = F.gelu(convolution(image) + skip)
        return image
        ### END SOLUTION

    def hyper(self, mask_tokens: torch.Tensor) -> torch.Tensor:
        """The vectors (B, 4, D / 8) of the masks."""
        ### BEGIN SOLUTION
        return torch.stack([mlp(token) for mlp, token in zip(self.hypers, mask_tokens.unbind(1))], dim=1)
        ### END SOLUTION

    def score(self, iou_token: torch.Tensor) -> torch.Tensor:
        """The predicted IoU (B, 4) of the masks; any real numbers."""
        ### BEGIN SOLUTION
        return self.scores(iou_token)
        ### END SOLUTION

    def forward(
        self,
        image_feats: torch.Tensor,
        image_pe: torch.Tensor,
        sparse: torch.Tensor,
        dense: torch.Tensor,
        multimask: bool,
        skips: Sequence[torch.Tensor],
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Logits and predicted IoU of masks 1 to 3 with `multimask`, else of mask 0."""
        ### BEGIN SOLUTION
        tokens, image = self.attend(image_feats, image_pe, sparse, dense)
        masks = torch.einsum("bmc,bchw->bmhw", self.hyper(tokens[:, 1:]), self.upscale(image, skips))
        iou = self.score(tokens[:, 0])
        return (masks[:, 1:], iou[:, 1:]) if multimask else (masks[:, :1], iou[:, :1])


class RandomFourierPE(nn.Module):
    """Positions by random Fourier features (Tancik et al. 2020), as SAM encodes them.

    Parameters
    ----------
    dim : D, even. scale : standard deviation of the entries of G, which are normal.
    seed : of G, by a generator of its own: the global random state stays where it is.

    G is one buffer, no parameter: it does not learn, it is in the `state_dict`, and it moves with the module.

    Raises
    ------
    ValueError : when `dim` is odd.
    """

    def __init__(self, dim: int, scale: float = 1.0, seed: int = 0) -> None:
        ### BEGIN SOLUTION
        super().__init__()
        if dim % 2:
            raise ValueError(f"dim={dim} is odd: it is halved into sines and cosines")
        generator = torch.Generator().manual_seed(seed)
        self.register_buffer("frequencies", scale * torch.randn(2, dim // 2, generator=generator))
        ### END SOLUTION

    def forward(self, coords: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
        """Places (..., 2), (x, y) in pixels of an image of `size` (H, W), as (..., D) in the dtype of the places."""
        ### BEGIN SOLUTION
        height, width = size
        unit = torch.stack([coords[..., 0] / width, coords[..., 1] / height], dim=-1) * 2 - 1
        angle = 2 * math.pi * unit @ self.frequencies.to(coords.dtype)
        return torch.cat([angle.sin(), angle.cos()], dim=-1)


class PromptEncoder(nn.Module):
    """Clicks, a box and a mask as tokens and a map (Kirillov et al. 2023).

    Parameters
    ----------
    dim : D. Positions are those of `RandomFourierPE(dim)`; all else learns.
    """

    def __init__(self, dim: int) -> None:
        ### BEGIN SOLUTION
        super().__init__()
        self.positions = RandomFourierPE(dim)
        self.kinds = nn.Embedding(5, dim)  # not a point, background, foreground, upper left, lower right
        self.of_mask = nn.Sequential(
            nn.Conv2d(1, 4, 2, stride=2), nn.GELU(), nn.Conv2d(4, 16, 2, stride=2), nn.GELU(), nn.Conv2d(16, dim, 1)
        )
        self.no_mask = nn.Parameter(torch.randn(dim))
        ### END SOLUTION

    def forward(
        self,
        points: torch.Tensor | None,
        labels: torch.Tensor | None,
        boxes: torch.Tensor | None,
        mask: torch.Tensor | None,
        size: tuple[int, int],
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Tokens (B, K, D) and a map (B, D, H / 4, W / 4): see the table. Without any prompt, B is 1 and K is 0.

        Raises
        ------
        ValueError : when a label is none of -1, 0, 1.
        """
        ### BEGIN SOLUTION
        batch = next((len(one) for one in (points, boxes, mask) if one is not None), 1)
        sparse = [self.no_mask.new_zeros(batch, 0, len(self.no_mask))]
        if points is not None:
            if ((labels < -1) | (labels > 1)).any():
                raise ValueError("a label is 1 (foreground), 0 (background) or -1 (padding)")
            places = self.positions(points, size).where(labels[..., None] >= 0, 0)
            sparse.append(places + self.kinds(labels + 1))
        if boxes is not None:
            sparse.append(self.positions(boxes.unflatten(-1, (2, 2)), size) + self.kinds.weight[3:])
        if mask is None:
            dense = self.no_mask[:, None, None].expand(batch, -1, size[0] // 4, size[1] // 4)
        else:
            dense = self.of_mask(mask)
        return torch.cat(sparse, dim=1), dense


def image_positions(encoding: nn.Module, h: int, w: int) -> torch.Tensor:
    """The encodings (1, D, h, w) of the centers of h x w cells, by a `RandomFourierPE`."""
    row, column = torch.meshgrid(torch.arange(h) + 0.5, torch.arange(w) + 0.5, indexing="ij")
    places = torch.stack([column, row], dim=-1).reshape(1, -1, 2)
    some = next(encoding.buffers())
    return encoding(places.to(some), (h, w)).transpose(1, 2).unflatten(-1, (h, w))


class SmallSAM(nn.Module):
    """The three parts together: `encode` once for an image, `answer` for each prompt."""

    def __init__(self, dim: int = 48, depth: int = 2) -> None:
        super().__init__()
        self.encoder, self.prompts, self.decoder = ImageEncoder(dim), PromptEncoder(dim), MaskDecoder(dim, depth)
        self.grid = RandomFourierPE(dim)

    def encode(self, images: torch.Tensor) -> tuple[torch.Tensor, tuple[torch.Tensor, torch.Tensor]]:
        """Features of the images and the skips."""
        return self.encoder(images)

    def answer(
        self,
        features: tuple,
        points: torch.Tensor,
        labels: torch.Tensor,
        mask: torch.Tensor | None = None,
        multimask: bool = True,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Logits (B, 3 or 1, H, W) and predicted IoU, for clicks (B, N, 2) and perhaps an earlier mask (B, 1, H, W)."""
        maps, skips = features
        h, w = maps.shape[-2:]
        sparse, dense = self.prompts(points, labels, None, mask, (4 * h, 4 * w))
        return self.decoder(maps, image_positions(self.grid, h, w), sparse, dense, multimask, skips)


def chosen(masks: torch.Tensor, iou: torch.Tensor) -> torch.Tensor:
    """Of masks (B, M, H, W) the one (B, 1, H, W) with the highest predicted IoU."""
    best = iou.argmax(1)
    return masks[torch.arange(len(masks), device=masks.device), best][:, None]


@torch.no_grad()
def answer_clicks(model: SmallSAM, image: torch.Tensor, clicks: Sequence) -> tuple[torch.Tensor, torch.Tensor]:
    """Masks (M, H, W) bool and predicted IoU (M,) of an image (3, H, W) after clicks ((x, y), label), one by one.

    One click gives three masks; more give one, each with the mask of the click before as a prompt.
    """
    model.eval()
    features, previous = model.encode(image[None]), None
    for turn in range(len(clicks)):
        given = clicks[: turn + 1]
        points = torch.tensor([[place for place, _ in given]], dtype=image.dtype, device=image.device)
        labels = torch.tensor([[label for _, label in given]], device=image.device)
        masks, iou = model.answer(features, points, labels, previous, multimask=turn == 0)
        previous = chosen(masks, iou)
    return masks[0].cpu() > 0, iou[0].cpu()


@torch.no_grad()
def frame_features(model: SmallSAM, frames: torch.Tensor) -> torch.Tensor:
    """Features (T, C, H / 2, W / 2) of frames (T, 3, H, W) for `propagate`: the middle maps of the encoder."""
    model.eval()
    return model.encoder.middle(model.encoder.fine(frames))


class MemoryBank:
    """The frames that a video model remembers (as Ravi et al. 2024).

    Parameters
    ----------
    n_recent : how many frames without a prompt are kept, the latest ones; may be 0.
    n_prompted : how many prompted frames are kept, the latest ones. One kind never pushes out the other.
    """

    def __init__(self, n_recent: int = 6, n_prompted: int = 2) -> None:
        ### BEGIN SOLUTION
        self.limits = {True: n_prompted, False: n_recent}
        self.kept: dict[bool, list] = {True: [], False: []}
        self.latest = 0
        ### END SOLUTION

    def add(self, frame: int, feats: torch.Tensor, mask: torch.Tensor, prompted: bool) -> None:
        """Remember copies of a frame's features (D, h, w) and mask (h, w); forget what is too much of its kind."""
        ### BEGIN SOLUTION
        entry = frame, feats.flatten(1).T.clone(), mask.flatten().to(feats.dtype, copy=True)
        kept = [*self.kept[bool(prompted)], entry]
        self.kept[bool(prompted)] = kept[max(0, len(kept) - self.limits[bool(prompted)]) :]
        self.latest = frame
        ### END SOLUTION

    def read(self) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """All that is remembered: memory (L, D), values (L,), t_offset (L,).

        Raises
        ------
        ValueError : when nothing is.
        """
        ### BEGIN SOLUTION
        entries = self.kept[True] + self.kept[False]
        if not entries:
            raise ValueError("nothing is remembered yet")
        memory, values = (torch.cat([entry[n] for entry in entries]) for n in (1, 2))
        ago = [
            torch.full((len(feats),), self.latest - frame, dtype=torch.int64, device=feats.device)
            for frame, feats, _ in entries
        ]
        return memory, values, torch.cat(ago)


def propagate(
    frames: torch.Tensor,
    first_mask: torch.Tensor,
    n_recent: int = 6,
    n_prompted: int = 2,
    temperature: float = 0.05,
    top_k: int = 8,
) -> torch.Tensor:
    """A mask of the first frame carried through a video, frame by frame, by a `MemoryBank` of these sizes.

    Frame t is answered from the memory of frames 0 to t - 1 and then added to it, with the values that it got.

    Parameters
    ----------
    frames : (T, D, h, w) features. first_mask : (h, w). temperature : cosines are divided by it.
    top_k : memory places that each place of a frame looks at; all, where there are fewer.

    Returns
    -------
    (T, h, w) in the dtype of the frames.
    """
    ### BEGIN SOLUTION
    bank = MemoryBank(n_recent, n_prompted)
    masks = [first_mask.to(frames.dtype)]
    bank.add(0, frames[0], masks[0], prompted=True)
    for t, feats in enumerate(frames[1:], 1):
        memory, values, _ = bank.read()
        asking = F.normalize(feats.flatten(1).T, dim=-1)
        affinity = asking @ F.normalize(memory, dim=-1).T / temperature
        best, places = affinity.topk(min(top_k, len(memory)), dim=-1)
        mask = (best.softmax(dim=-1) * values[places]).sum(dim=-1).unflatten(0, feats.shape[-2:])
        bank.add(t, feats, mask, prompted=False)
        masks.append(mask)
    return torch.stack(masks)


def carried(features: torch.Tensor, first: torch.Tensor, **options: float) -> torch.Tensor:
    """Masks (T, H, W) bool from features (T, C, H / 2, W / 2) and the mask (H, W) of the first frame."""
    small = F.avg_pool2d(first[None, None].to(features), 2)[0, 0]
    masks = propagate(features, small, **options)
    wide = F.interpolate(masks[:, None], scale_factor=2, mode="bilinear", align_corners=False)[:, 0] > 0.5
    return torch.cat([first[None].to(wide.device), wide[1:]]).cpu()


def load_demo(folder: Path) -> tuple:
    """The model, images and videos that `export_demo` wrote."""
    about = json.loads((folder / "about.json").read_text(encoding="utf-8"))
    model = SmallSAM(about["dim"], about["depth"])
    model.load_state_dict(load_file(folder / "model.safetensors"))
    pictures = load_file(folder / "pictures.safetensors")
    return model.eval(), pictures["images"], pictures["videos"]
