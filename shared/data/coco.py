"""Detections in COCO's JSON: what detectors are compared and exchanged by. Boxes there are (x, y, width, height)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

Item = Mapping[str, "torch.Tensor"]
"""One image: "boxes" (M, 4) xyxy in pixels, "labels" (M,) int64 from 0, and of detections "scores" (M,)."""


def coco_truth(targets: Sequence[Item], size: tuple[int, int], classes: Sequence[str]) -> dict[str, Any]:
    """The content of an annotation file: images, categories (counted from 1) and annotations.

    Args:
        targets: an `Item` for each image. Image k gets the id k.
        size: height and width of the images, in pixels.
        classes: the name of each label.

    Returns:
        What `json.dump` can write.
    """
    height, width = size
    images = [{"id": k, "width": width, "height": height, "file_name": f"{k:06d}.png"} for k, _ in enumerate(targets)]
    annotations: list[dict[str, Any]] = []
    for k, target in enumerate(targets):
        for label, box in zip(target["labels"].tolist(), _corner_and_size(target["boxes"]), strict=True):
            entry = {"id": len(annotations) + 1, "image_id": k, "category_id": label + 1, "bbox": box}
            annotations.append(entry | {"area": box[2] * box[3], "iscrowd": 0})
    categories = [{"id": number, "name": name} for number, name in enumerate(classes, 1)]
    return {"images": images, "categories": categories, "annotations": annotations}


def coco_results(found: Sequence[Item]) -> list[dict[str, Any]]:
    """The content of a file of results: all detections, with the ids that `coco_truth` gives."""
    return [
        {"image_id": k, "category_id": label + 1, "bbox": box, "score": score}
        for k, item in enumerate(found)
        for label, score, box in zip(
            item["labels"].tolist(), item["scores"].tolist(), _corner_and_size(item["boxes"]), strict=True
        )
    ]


def from_coco(
    truth: Mapping[str, Any], results: Sequence[Mapping[str, Any]] = ()
) -> tuple[list[dict[str, torch.Tensor]], list[dict[str, torch.Tensor]]]:
    """Detections and targets from the content of the two files, image by image in the order of the annotation file.

    Labels are places in its list of categories, so ids with gaps, as COCO's own have, are read as well. Annotations of
    crowds are left out.

    Args:
        truth: an annotation file's content.
        results: a results file's content.

    Returns:
        The detections, an `Item` with scores for each image, and the targets.

    Raises:
        KeyError: an entry names an image or a category that the annotation file does not have.
    """
    import torch

    place = {image["id"]: k for k, image in enumerate(truth["images"])}
    label = {category["id"]: k for k, category in enumerate(truth["categories"])}

    def of_images(entries: Sequence[Mapping[str, Any]]) -> list[dict[str, torch.Tensor]]:
        rows: list[list[Mapping[str, Any]]] = [[] for _ in place]
        for entry in entries:
            rows[place[entry["image_id"]]].append(entry)
        items = []
        for row in rows:
            boxes = torch.tensor([entry["bbox"] for entry in row], dtype=torch.float32).reshape(-1, 4)
            boxes[:, 2:] += boxes[:, :2]
            labels = torch.tensor([label[entry["category_id"]] for entry in row], dtype=torch.int64)
            items.append({"boxes": boxes, "labels": labels})
        return items

    found = of_images(results)
    scores: list[list[float]] = [[] for _ in place]
    for entry in results:
        scores[place[entry["image_id"]]].append(entry["score"])
    for item, row in zip(found, scores, strict=True):
        item["scores"] = torch.tensor(row, dtype=torch.float32)
    return found, of_images([entry for entry in truth["annotations"] if not entry["iscrowd"]])


def _corner_and_size(boxes: torch.Tensor) -> list[list[float]]:
    return [[x1, y1, x2 - x1, y2 - y1] for x1, y1, x2, y2 in boxes.tolist()]
