"""Ground truth: torchvision's networks, their weights, and pictures prepared as their records say."""

from __future__ import annotations

from layerdiff.reference.architectures import (
    ARCHITECTURES,
    categories,
    expected_tensors,
    weights_record,
)
from layerdiff.reference.files import export_safetensors
from layerdiff.reference.images import Picture, load_image, preprocess
from layerdiff.reference.models import torchvision_model
from layerdiff.reference.numpy_preprocessing import preprocess_array
from layerdiff.reference.text_dump import export_text
from layerdiff.reference.weights import Weights, covered_prefix, state_dict
from layerdiff.reference.weights_language import LANGUAGE, load_weights

__all__ = [
    "ARCHITECTURES",
    "LANGUAGE",
    "Picture",
    "Weights",
    "categories",
    "covered_prefix",
    "expected_tensors",
    "export_safetensors",
    "export_text",
    "load_image",
    "load_weights",
    "preprocess",
    "preprocess_array",
    "state_dict",
    "torchvision_model",
    "weights_record",
]
