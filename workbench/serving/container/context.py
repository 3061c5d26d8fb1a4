"""Writes the folder that a container engine builds: everything an endpoint needs, and no secret."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from workbench.core.errors import ConflictError, InputError
from workbench.core.files import private_folder, write_private, writing
from workbench.core.refs import parse_ref
from workbench.core.yaml_text import yaml_text
from workbench.serving.container import kubernetes
from workbench.serving.container.config import PORT, SECRET, ContainerConfig
from workbench.serving.container.requirements import needed_by, pinned
from workbench.serving.container.wheel import pack
from workbench.serving.tokens import new_token
from workbench.store import Store, open_store
from workbench.store.carrying import carry
from workbench.store.sealing import leave_keyless
from workbench.store.versions import Version

TOKEN = "token"
_MARK = "# Written by `workbench container`."
_HOME = "/srv/workbench"
_SHIPPED = ("requirements.txt", "wheels", "workspace")
_USER = 10001


@dataclass(frozen=True)
class Context:
    """A written context.

    Attributes:
        folder: Where it is.
        image: Name for the image.
        refs: What it serves.
        versions: Refs of the versions inside, verified.
        entrypoint: What the container runs.
    """

    folder: Path
    image: str
    refs: tuple[str, ...]
    versions: tuple[str, ...]
    entrypoint: tuple[str, ...]

    @property
    def token_file(self) -> Path:
        """The token that goes in as a secret; it is never part of the image."""
        return self.folder / TOKEN


def write_context(
    store: Store,
    refs: Sequence[str],
    folder: Path,
    config: ContainerConfig,
    *,
    name: str | None = None,
    options: Iterable[str] = (),
) -> Context:
    """Writes everything for an image that serves registered models.

    Args:
        store: The workspace.
        refs: As `model:NAME@ALIAS`.
        folder: New, empty, or written by this function before; its token is then kept.
        config: How the image is made.
        name: To serve the only model under.
        options: Further arguments of `workbench serve`.

    Raises:
        InputError: A ref is no registered model, or the folder cannot be written.
        ConflictError: The folder holds something else.
        IntegrityError: A version is not what was registered.
    """
    names = _names(refs)
    _check(folder)
    with writing(folder):
        private_folder(folder)
        for part in _SHIPPED[1:]:
            shutil.rmtree(folder / part, ignore_errors=True)
        carried = _carry(store, names, folder / "workspace", config.keep)
        versions = [version.ref for version in carried]
        wheel = pack(folder / "wheels")
        entrypoint = _entrypoint(refs, name, options)
        image = re.sub("[^a-z0-9]+", "-", names[0].lower()).strip("-") or "model"
        texts = {
            "Dockerfile": _dockerfile(config.base, wheel.name, entrypoint),
            ".dockerignore": "\n".join(["*", *(f"!{part}" for part in _SHIPPED), ""]),
            "requirements.txt": "\n".join([*pinned((*config.packages, *_decoding(carried))), ""]),
            "kubernetes.yml": yaml_text(*kubernetes.manifests(image, config.replicas)),
            "kserve.yml": yaml_text(kubernetes.kserve(image)),
            "README.md": _read_me(image, names[0], versions),
        }
        for file, text in texts.items():
            (folder / file).write_text(text, encoding="utf-8")
        if not (folder / TOKEN).exists():
            write_private(folder / TOKEN, new_token())
    return Context(folder, image, tuple(refs), tuple(versions), tuple(entrypoint))


def _names(refs: Sequence[str]) -> list[str]:
    wrong = [ref for ref in refs if not ref.startswith("model:")]
    if wrong or not refs:
        raise InputError(
            f"Got {', '.join(wrong) or 'nothing'}; registered models would be right.",
            hint="`workbench register MODEL NAME` makes a signed version, which is what goes in.",
        )
    return list(dict.fromkeys(parse_ref(ref).name for ref in refs))


def _check(folder: Path) -> None:
    if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
        return
    made = folder / "Dockerfile"
    if not made.is_file() or not made.read_text(encoding="utf-8").startswith(_MARK):
        raise ConflictError(
            f"'{folder}' is not empty and was not written by `workbench container`.",
            hint="Name a new folder.",
        )


def _carry(store: Store, names: Sequence[str], root: Path, keep: int) -> list[Version]:
    """Fills a workspace of its own; closed, so that it is one file without a journal beside."""
    target = open_store(root)
    found = [version for name in names for version in carry(store, target, name, keep=keep)]
    leave_keyless(target)  # the container makes its own key
    target.db.close()
    for path in [root, *root.rglob("*")]:  # any user of the group 0 may use it
        mode = path.stat().st_mode & 0o777
        path.chmod(mode | (mode & 0o700) >> 3)
    return found


def _decoding(versions: Sequence[Version]) -> list[str]:
    """Returns the packages that the modalities of these versions decode with."""
    told = [version.manifest.get("description") or {} for version in versions]
    return needed_by({key for one in told if (key := one.get("modality")) is not None})


def _entrypoint(refs: Sequence[str], name: str | None, options: Iterable[str]) -> list[str]:
    first, *others = refs
    words = ["workbench", "serve", first]
    for ref in others:
        words += ["--ref", ref]
    words += ["--name", name] if name else []
    words += ["--host", "0.0.0.0", "--port", str(PORT), "--id", "container"]
    return [*words, "--token-file", str(SECRET), *options]


def _dockerfile(base: str, wheel: str, entrypoint: Sequence[str]) -> str:
    health = ["python", "-m", "workbench.serving.health", str(PORT)]
    return f"""\
{_MARK} See README.md.
FROM {base}

ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore
COPY requirements.txt /tmp/build/
RUN python -m pip install --no-cache-dir --requirement /tmp/build/requirements.txt
COPY wheels/{wheel} /tmp/build/
RUN python -m pip install --no-cache-dir --no-deps /tmp/build/{wheel} && rm -r /tmp/build

COPY --chown={_USER}:0 workspace {_HOME}
ENV WORKBENCH_HOME={_HOME} JUPYTER_RUNTIME_DIR=/tmp/runtime HOME=/tmp PYTHONUNBUFFERED=1
WORKDIR {_HOME}
USER {_USER}:0

EXPOSE {PORT}
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 CMD {json.dumps(health)}
ENTRYPOINT {json.dumps(list(entrypoint))}
"""


def _read_me(image: str, model: str, versions: Sequence[str]) -> str:
    user = ' --user "$(id -u):0"' if os.name == "posix" else ""
    return f"""\
# {image}

Serves {", ".join(versions)}. Written by `workbench container`; build it and run it:

    docker build -t {image} .
    docker run --rm --name {image} -p 127.0.0.1:{PORT}:{PORT}{user} \\
      -v "$PWD/token:{SECRET}:ro" {image}

`podman` takes the same words. Ask it:

    curl -H "Authorization: Bearer $(cat token)" http://127.0.0.1:{PORT}/v2/models/{model}

- **Token.** `token` goes in as a secret when the container runs and is not part of the image
  (`.dockerignore` lets in {", ".join(_SHIPPED)} only). Put your own there if you like.
- **Verified.** Files are re-hashed and signatures checked at the start, by the public key of the
  workspace that registered them; its signing key stays there.
- **Roll back** inside; the endpoint follows its alias and fails no request:

      docker exec {image} workbench rollback {model}

  `PUT /manage/traffic/{model}` with a token for `manage` moves shares instead. What is set lives as
  long as the container; `-v {image}-state:{_HOME}` keeps it.
- **Further options** of `workbench serve` go after the image's name, as `--workers 4` or
  `--allow-host models.example.com`, which callers without a token need to name it by.
- **Kubernetes.** `kubectl create secret generic {image}-token --from-file=workbench_token=token`,
  then `kubectl apply -f kubernetes.yml`, or `kserve.yml` for KServe. Roll back in each pod.
"""
