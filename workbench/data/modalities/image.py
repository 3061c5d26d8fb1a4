"""Images: files, bytes, Pillow images and arrays → float32 (channels, height, width)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
from pydantic import Field, field_validator

from workbench.core.batch import Batch
from workbench.core.config import Config
from workbench.core.errors import InputError
from workbench.core.records import Finding
from workbench.data import pictures
from workbench.data.chunks import StoredArray, chunks
from workbench.data.json_files import base64_bytes, each_value
from workbench.data.modality import ExampleSamples, FileKind, Normalizing, Sketch
from workbench.data.picture_file import SUFFIXES, PictureLimits, open_picture, pillow
from workbench.data.sketches import image_sketch

_KEPT = 128
_DEFAULT = 64
_USUAL_CHANNELS = (1, 3, 4)


class ImageOptions(Config):
    """What may be chosen of how pictures in files are prepared."""

    size: tuple[int, int] | None = Field(
        default=None,
        description="Height and width; by default kept if all are one size, else 64×64.",
    )
    channels: Literal[1, 3] | None = Field(
        default=None, description="1 gray, 3 color; by default gray if all are gray."
    )
    resize: Literal["stretch", "crop"] = Field(
        default="stretch", description="How a picture of another shape is made to fit."
    )
    max_pixels: int = Field(
        default=PictureLimits.pixels,
        ge=1,
        le=PictureLimits.pixels,
        exclude=True,
        description="Most pixels of one picture; its header tells, and more is not opened.",
    )

    @field_validator("size", mode="before")
    @classmethod
    def _square(cls, value: Any) -> Any:
        return (value, value) if isinstance(value, int) else value

    @field_validator("size")
    @classmethod
    def _positive(cls, value: tuple[int, int] | None) -> tuple[int, int] | None:
        if value is not None and not all(1 <= side <= 4096 for side in value):
            raise ValueError("height and width must be 1 to 4096 pixels")
        return value


class ImageConfig(Config):
    """Preprocessing of images, fitted on train. Normalization is in the model's graph."""

    size: tuple[int, int] = Field(description="Height and width in pixels.")
    channels: int = Field(
        default=1, ge=1, description="1 gray, 3 color; arrays may have any number."
    )
    layout: Literal["hw", "hwc", "chw"] = Field(
        default="hwc", description="Axes of one raw array: a gray picture is hw."
    )
    dtype: Literal["uint8", "float32"] = Field(
        default="uint8", description="How pixels are stored."
    )
    low: float = Field(default=0.0, description="Value of black; pictures are scaled to it.")
    high: float = Field(default=255.0, description="Value of white; pictures are scaled to it.")
    resize: Literal["stretch", "crop"] = Field(
        default="stretch", description="How a picture of another size is made to fit."
    )


class Image(Normalizing):
    """Pictures of one size; see `ImageConfig`."""

    summary = "Pictures: files, bytes, Pillow images or arrays"
    Config = ImageConfig
    Options = ImageOptions
    array_ranks = (3, 4)
    array_words = "N×H×W or N×H×W×C"
    place_axes = 2
    what = "images"
    files = FileKind("picture", "image/*", ".png", SUFFIXES)

    def examples(self, rng: np.random.Generator) -> ExampleSamples:
        """Small pictures of noise in color."""
        noise = rng.integers(0, 255, (20, 6, 5, 3), np.uint8)
        return ExampleSamples(noise, [b"x", None, np.zeros((1, 1))], noise[0].tolist())

    def fit(
        self, samples: Sequence[Any], shapes: np.ndarray | None, options: Mapping[str, Any]
    ) -> tuple[ImageConfig, tuple[Finding, ...]]:
        """Takes layout and range from arrays; size and channels from the headers of files."""
        if shapes is not None:
            return _fit_files(shapes, options)
        first = np.asarray(samples[0])
        layout = options.get("layout") or _layout(first.shape)
        height, width, channels = _axes(first.shape, layout)
        is_bytes = first.dtype == np.uint8
        low, high = (0.0, 255.0) if is_bytes else _range(samples)
        config = ImageConfig(
            size=(height, width),
            channels=channels,
            layout=layout,
            dtype="uint8" if is_bytes else "float32",
            low=low,
            high=high,
        )
        return config, ()

    def measure(self, value: Any, options: Mapping[str, Any], *, is_read: bool) -> tuple[int, ...]:
        """Height, width and channels."""
        limits = PictureLimits(options.get("max_pixels", PictureLimits.pixels))
        picture = open_picture(value, limits)
        size, channels = pictures.upright_size(picture), pictures.channels_of(picture)
        if is_read:  # the end of a file may be missing, too
            pictures.picture_array(picture, channels, size, "stretch")
        return (*size, channels)

    def prepare(self) -> None:
        """Imports Pillow with its readers of the common formats."""
        pictures.prepare()

    def decode(self, value: Any, config: ImageConfig) -> np.ndarray:
        """Arrays are taken at their own scale; pictures are resized and scaled to low…high."""
        if pictures.is_picture(value):
            return _from_picture(value, config)
        if isinstance(value, (list, tuple)) or hasattr(value, "__array__"):
            return _from_array(_array(value), config)
        return _from_picture(open_picture(value), config)

    def weigh(self, value: Any, config: ImageConfig, limits: PictureLimits) -> int:
        """What decoding a file takes; arrays and pictures in memory take nothing more."""
        if pictures.is_picture(value) or hasattr(value, "__array__") or isinstance(value, list):
            return 0
        if config.channels not in pictures.MODES:
            return 0
        return pictures.weigh(value, config.channels, config.size, limits)

    def decode_batch(self, values: Sequence[Any], config: ImageConfig) -> Batch:
        """Arrays of the right shape are decoded together, all else one by one."""
        if isinstance(values, np.ndarray) and values.shape[1:] == _raw_shape(config):
            decoded = _float32(_channels_first(values, config.layout))
            if np.isfinite(decoded).all():
                return decoded
        return super().decode_batch(values, config)

    def split_batch(self, value: Any, config: ImageConfig) -> list[Any]:
        """A list is a batch; an array of one more axis than a sample is a batch, too."""
        if isinstance(value, (list, tuple)):
            return list(value)
        if pictures.is_picture(value) or not hasattr(value, "__array__"):
            return [value]
        array = _array(value)
        if array.ndim < 2 or array.ndim > 4:
            raise InputError(
                f"An array of shape {array.shape} holds no picture; {_wanted(config)}."
            )
        return list(array) if array.ndim > _rank(array.shape, config) else [array]

    def from_json(self, value: Any, config: ImageConfig) -> Any:
        """Text is base64 of a picture file, numbers are pixels; in a list each item by itself."""
        if isinstance(value, str):
            return base64_bytes(value, _JSON_HINT)
        if isinstance(value, Mapping):
            if set(value) != {"b64"}:
                raise InputError(
                    f"Got an object with {sorted(value)}; a picture would be right.",
                    hint=_JSON_HINT,
                )
            return base64_bytes(value["b64"], _JSON_HINT)
        if isinstance(value, list) and any(isinstance(item, (str, Mapping)) for item in value):
            return each_value(value, lambda v: self.from_json(v, config), "pictures", _JSON_HINT)
        if isinstance(value, list):
            return _array(value)
        raise InputError(
            f"Got {_JSON_WORDS.get(type(value), 'this')}; a picture would be right.",
            hint=_JSON_HINT,
        )

    def sample_shape(self, config: ImageConfig) -> tuple[int, ...]:
        """Channels, height, width."""
        return (config.channels, *config.size)

    def example(self, config: ImageConfig) -> list[Any]:
        """A black picture, as an array of the raw layout."""
        black: list[Any] = np.full(_raw_shape(config), config.low).tolist()
        return black

    def storage_dtype(self, config: ImageConfig) -> str:
        """Bytes stay bytes."""
        return config.dtype

    def raw(self, prepared: np.ndarray, config: ImageConfig) -> np.ndarray:
        """The axes as they were given."""
        if config.layout == "hw":
            return np.asarray(prepared[0])
        return prepared if config.layout == "chw" else np.moveaxis(prepared, 0, -1)

    def tiles(self, prepared: np.ndarray, config: ImageConfig) -> tuple[np.ndarray, float]:
        """The pictures themselves, gray if they have an odd number of channels."""
        shown = prepared if config.channels in (1, 3) else prepared[:, :1]
        return np.asarray(shown, np.float32), config.high

    def shape_words(self, config: ImageConfig) -> str:
        """Height and width."""
        return "×".join(map(str, config.size))

    def normalization(
        self, train: StoredArray, config: ImageConfig
    ) -> tuple[np.ndarray, np.ndarray]:
        """One mean and one deviation for each channel, shape (channels, 1, 1)."""
        count, total, squares = 0, np.zeros(config.channels), np.zeros(config.channels)
        for rows in chunks(train):
            pixels = train[rows].astype(np.float64)
            count += pixels.size // config.channels
            total += pixels.sum((0, 2, 3))
            squares += np.square(pixels).sum((0, 2, 3))
        mean = total / count
        std = np.sqrt(np.maximum(squares / count - mean**2, 0))
        std[std < 1e-6 * max(1e-6, config.high - config.low)] = 1.0
        shape = (-1, 1, 1)
        return mean.astype(np.float32).reshape(shape), std.astype(np.float32).reshape(shape)

    def sketch(self, prepared: np.ndarray, config: ImageConfig) -> Sketch:
        """Difference hashes and thumbnails."""
        return image_sketch(prepared, config.low, config.high)


PLUGIN = Image()

_JSON_WORDS = {int: "a number", float: "a number", bool: "a truth value", type(None): "null"}
_JSON_HINT = "Give the base64 text of a picture file, {'b64': …}, or nested lists of pixels."


def _layout(shape: tuple[int, ...]) -> Literal["hw", "hwc", "chw"]:
    """Returns the axes of one array, by where a number of channels would be."""
    if len(shape) == 2:
        return "hw"
    is_channels_first = shape[0] in _USUAL_CHANNELS and shape[2] not in _USUAL_CHANNELS
    return "chw" if is_channels_first else "hwc"


def _fit_files(
    shapes: np.ndarray, options: Mapping[str, Any]
) -> tuple[ImageConfig, tuple[Finding, ...]]:
    channels = options.get("channels") or int(shapes[:, 2].max())
    size, findings = options.get("size"), []
    sizes, counts = np.unique(shapes[:, :2], axis=0, return_counts=True)
    if size is None:
        size = _default_size(sizes)
    if len(sizes) > 1 or tuple(sizes[0]) != tuple(size):
        common = sizes[np.argmax(counts)]
        findings.append(
            Finding(
                "image_size",
                f"Pictures in train have {len(sizes)} sizes (most often {common[0]}×{common[1]}); "
                f"all become {size[0]}×{size[1]}. Another size: size=(height, width).",
                "info",
            )
        )
    mixed = len(np.unique(shapes[:, 2])) > 1
    if mixed:
        kept = "color" if channels == 3 else "gray"
        findings.append(
            Finding(
                "image_channels", f"Gray and color pictures are mixed; all become {kept}.", "info"
            )
        )
    layout: Literal["hw", "hwc"] = "hw" if channels == 1 else "hwc"
    config = ImageConfig(
        size=(int(size[0]), int(size[1])),
        channels=channels,
        layout=layout,
        resize=options.get("resize", "stretch"),
    )
    return config, tuple(findings)


def _default_size(sizes: np.ndarray) -> tuple[int, int]:
    if len(sizes) == 1 and sizes.max() <= _KEPT:
        return int(sizes[0, 0]), int(sizes[0, 1])
    return _DEFAULT, _DEFAULT


def _range(samples: Any) -> tuple[float, float]:
    lows, highs = [0.0], [0.0]
    for rows in chunks(samples):
        lows.append(float(np.min(samples[rows])))
        highs.append(float(np.max(samples[rows])))
    low, high = min(lows), max(highs)
    return low, high if high > low else low + 1.0


def _axes(shape: tuple[int, ...], layout: str) -> tuple[int, int, int]:
    if layout == "hw":
        return shape[0], shape[1], 1
    first, second, third = shape
    return (first, second, third) if layout == "hwc" else (second, third, first)


def _raw_shape(config: ImageConfig) -> tuple[int, ...]:
    height, width = config.size
    shapes = {
        "hw": (height, width),
        "hwc": (height, width, config.channels),
        "chw": (config.channels, height, width),
    }
    return shapes[config.layout]


def _channels_first(values: np.ndarray, layout: str) -> np.ndarray:
    if layout == "hw":
        return values[..., None, :, :]
    return values if layout == "chw" else np.moveaxis(values, -1, -3)


def _array(value: Any) -> np.ndarray:
    if hasattr(value, "detach"):
        value = value.detach().cpu()
    try:
        array = np.asarray(value)
    except ValueError as error:
        raise InputError(
            "The rows of the picture have different lengths; each must be as long as the first."
        ) from error
    if array.dtype == bool:
        array = array.astype(np.uint8)
    if array.dtype.kind not in "uif":
        raise InputError(
            f"An array of {array.dtype} is not a picture.", hint="Give an array of numbers."
        )
    return array


def _from_array(array: np.ndarray, config: ImageConfig) -> np.ndarray:
    for layout in (config.layout, "hwc", "chw", "hw"):
        if array.shape == _raw_shape(config.model_copy(update={"layout": layout})):
            if layout == "hw" and config.channels != 1:
                continue
            decoded = _float32(_channels_first(array, layout))
            if not np.isfinite(decoded).all():
                raise InputError(
                    "The picture holds NaN, infinity or numbers beyond float32.",
                    hint="Give finite numbers below 3.4e38.",
                )
            return np.ascontiguousarray(decoded)
    is_bytes = array.dtype == np.uint8 and config.dtype == "uint8"
    flat = array[:, :, 0] if array.ndim == 3 and array.shape[2] == 1 else array
    if is_bytes and (flat.ndim == 2 or (flat.ndim == 3 and flat.shape[2] in (3, 4))):
        return _from_picture(pillow().fromarray(flat), config)
    raise InputError(f"got an array of shape {array.shape}; {_wanted(config)}")


def _float32(array: np.ndarray) -> np.ndarray:
    """Returns float32; what is beyond it becomes infinite, and is refused as such."""
    with np.errstate(over="ignore"):
        return array.astype(np.float32)


def _from_picture(picture: Any, config: ImageConfig) -> np.ndarray:
    if config.channels not in pictures.MODES:
        raise InputError(f"A picture cannot become {config.channels} channels; {_wanted(config)}.")
    pixels = pictures.picture_array(picture, config.channels, config.size, config.resize)
    decoded = np.moveaxis(pixels, -1, 0).astype(np.float32)
    if (config.low, config.high) != (0.0, 255.0):
        decoded = config.low + decoded * np.float32((config.high - config.low) / 255)
    return np.ascontiguousarray(decoded)


def _rank(shape: tuple[int, ...], config: ImageConfig) -> int:
    usual = 2 if config.layout == "hw" else 3
    if len(shape) == 3 and usual == 2:
        is_one = shape[:2] == config.size and shape[2] == 1
        is_color = shape[1:] != config.size and shape[2] in (3, 4)
        return 3 if is_one or is_color else 2
    if len(shape) == 4:
        return 3
    return 2 if len(shape) == 2 else usual


def _wanted(config: ImageConfig) -> str:
    return f"right is {_raw_shape(config)} for one, (n, …) for several"
