"""`python -m workbench.serving.health PORT`: exit code 0 if the endpoint is ready.

For health checks in containers, where nothing but Python is sure to be there.
"""

from __future__ import annotations

import http.client
import sys

_WAIT_S = 3.0


def is_ready(port: int) -> bool:
    """Returns whether every model of the endpoint on 127.0.0.1 answers."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=_WAIT_S)
    try:
        connection.request("GET", "/v2/health/ready")
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


if __name__ == "__main__":
    sys.exit(0 if is_ready(int(sys.argv[1])) else 1)
