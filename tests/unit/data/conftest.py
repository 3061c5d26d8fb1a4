"""Small real data in the forms in which people have it."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_digits, load_wine


@pytest.fixture(scope="session")
def digits():
    """Pictures (1797, 8, 8), 0 to 16, and their classes."""
    found = load_digits()
    return found.images, found.target


@pytest.fixture
def picture_folder(tmp_path, digits):
    """A function that writes digits as picture files by class and returns the folder."""

    def write(name="图片", count=60, parts=("",), suffix=".png"):
        images, targets = digits
        root = tmp_path / name
        for index in range(count):
            part = parts[index % len(parts)]
            folder = root / part / f"类{targets[index] % 3}"
            folder.mkdir(parents=True, exist_ok=True)
            pixels = (images[index] * 15.9).astype(np.uint8)
            Image.fromarray(pixels).save(folder / f"{index:03d}{suffix}")
        return root

    return write


@pytest.fixture(scope="session")
def wine():
    """The wine table as a DataFrame, 178 rows, 13 numbers and a target of 3 classes."""
    return load_wine(as_frame=True).frame


@pytest.fixture
def customers(tmp_path):
    """A function that writes a CSV with holes, categories, dates and Chinese names."""

    def write(name="客户.csv", rows=120, encoding="utf-8", mend=lambda lines: lines):
        rng = np.random.default_rng(0)
        lines = ["编号,年龄,城市,收入,开户日期,流失"]
        for i in range(rows):
            age = "" if i % 7 == 0 else str(rng.integers(18, 80))
            city = ["北京", "上海", "广州", ""][rng.integers(0, 4)]
            day = f"{2020 + i % 5}/{1 + i % 12}/{1 + i % 28}"
            gone = "是" if i % 3 else "否"
            lines.append(f"{i},{age},{city},{rng.normal(5000, 900):.2f},{day},{gone}")
        path = tmp_path / "数据 目录" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text("\n".join(mend(lines)), encoding=encoding)
        return path

    return write
