"""FastAPI with a pydantic body, on uvicorn with uvloop and httptools."""

import sys
from typing import Any

import fastapi
import pydantic
import uvicorn
from session import answer, session_of

app = fastapi.FastAPI()
session = session_of(sys.argv[1])


class Body(pydantic.BaseModel):
    """What is sent."""

    inputs: list[list[float]]


@app.post("/predict")
async def predict(body: Body) -> dict[str, Any]:
    """Answers one request."""
    return {"outputs": answer(session, body.inputs).tolist()}


if __name__ == "__main__":
    uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[2]), log_level="error", access_log=False)
