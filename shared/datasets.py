"""Typed samples, the same on every call: what needs no network, and real data sets from disk or a download."""

from .data.captions import CaptionedImages, captioned_images
from .data.cues import CUE_SHAPES, CUE_TEXTURES, Cues, cue_images
from .data.digits import DIGIT_FONTS, Digits, RenderedDigits, digits, rendered_digits
from .data.domains import domain_images
from .data.glyphs import GLYPHS, PlantedGlyphs, planted_glyphs
from .data.image_folders import image_folder, imagenette
from .data.labeled_images import LabeledImages, cifar10, cifar100, data_folder, food101, on_disk
from .data.photos import Photograph, photograph
from .data.scenes import SCENE_CLASSES, SceneTarget, ShapeScenes, shape_scenes
from .data.shapes import COLORS, QUADRANTS, SCALES, SHAPES, Shapes, shapes
from .data.tiles import LAND_USES, FieldTiles, field_tiles
from .data.tracks import DetectionFrame, TrackingSequence, TruthFrame, tracking_sequence

__all__ = [
    "COLORS",
    "CUE_SHAPES",
    "CUE_TEXTURES",
    "DIGIT_FONTS",
    "GLYPHS",
    "LAND_USES",
    "QUADRANTS",
    "SCALES",
    "SCENE_CLASSES",
    "SHAPES",
    "CaptionedImages",
    "Cues",
    "DetectionFrame",
    "Digits",
    "FieldTiles",
    "LabeledImages",
    "Photograph",
    "PlantedGlyphs",
    "RenderedDigits",
    "SceneTarget",
    "ShapeScenes",
    "Shapes",
    "TrackingSequence",
    "TruthFrame",
    "captioned_images",
    "cifar10",
    "cifar100",
    "cue_images",
    "data_folder",
    "digits",
    "domain_images",
    "field_tiles",
    "food101",
    "image_folder",
    "imagenette",
    "on_disk",
    "photograph",
    "planted_glyphs",
    "rendered_digits",
    "shape_scenes",
    "shapes",
    "tracking_sequence",
]
