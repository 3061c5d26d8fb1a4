"""A registry with a history, and what an image's Dockerfile says."""

from tests.unit.serving import models

REF = "model:digits@champion"


def filled(store, folder):
    """Five versions: 1, 2 and 4 were champion, 4 is; 3 is nothing; 5 was rolled back."""
    for place in range(5):
        path = models.save_digits(folder / f"{place}.onnx", shift=100.0 * place)
        models.register(store, "digits", path)
    for number in (1, 2, 4, 5):
        store.models.promote("digits", number)
    store.models.rollback("digits")
    return store


def lines(context, word):
    """The arguments of a Dockerfile's instructions."""
    text = (context.folder / "Dockerfile").read_text()
    return [line.split(" ", 1)[1] for line in text.splitlines() if line.startswith(f"{word} ")]
