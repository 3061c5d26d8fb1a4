"""How the reading process reads each sort of body: the dialects' own functions, by key."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import orjson

from workbench.core.records import Description
from workbench.core.signature import Signature
from workbench.serving import infer_request, json_rows
from workbench.serving.apart.work import Parsed, Work
from workbench.serving.content import reader
from workbench.serving.decoding import Decoder, decoder_for
from workbench.serving.jsonbody import parse_object
from workbench.serving.rpc import coding
from workbench.serving.rpc.outline import check_fields
from workbench.serving.rpc.schema import Schema


def read(work: Work) -> Parsed:
    """Returns what a body holds.

    Raises:
        WorkbenchError: It is not what its dialect takes, or too much.
    """
    return _KINDS[work.kind](work)


def _v2(work: Work) -> Parsed:
    end = work.options["end"]
    blobs = memoryview(work.body)[end:]
    call = infer_request.parse_call(work.body[:end], blobs, work.signature)
    facts = {"wanted": call.wanted, "binary": sorted(call.binary)}
    return Parsed(dict(call.inputs), {**facts, "id": call.id, "timeout_s": call.timeout_s})


def _rows(work: Work) -> Parsed:
    call = json_rows.parse_call(parse_object(work.body), work.signature)
    facts = {"is_rows": call.is_rows, "is_unbatched": call.is_unbatched}
    return Parsed(call.inputs, facts, call.files)


def _content(work: Work) -> Parsed:
    described = work.description
    text = b"" if described is None else orjson.dumps(described.to_json())
    decoder = _decoder(text, orjson.dumps(work.signature.to_json()))
    return Parsed(reader(work.options["type"], work.body, decoder, work.options["keys"])())


def _rpc(work: Work) -> Parsed:
    check_fields(work.body)
    call = coding.parse(_schema().read("InferRequest", work.body), work.signature)
    return Parsed(dict(call.inputs), coding.facts_of(call))


@cache
def _schema() -> Schema:
    return Schema()


@cache
def _decoder(description: bytes, signature: bytes) -> Decoder:
    told = Description.from_json(orjson.loads(description)) if description else None
    return decoder_for(told, Signature.from_json(orjson.loads(signature)))


_KINDS: dict[str, Callable[[Work], Parsed]] = {
    "v2": _v2,
    "rows": _rows,
    "content": _content,
    "rpc": _rpc,
}
