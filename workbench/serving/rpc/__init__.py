"""Open Inference Protocol V2 over gRPC, beside HTTP: the same models, tokens, limits and logs.

Nothing here imports grpc or protobuf before a port for it is asked for.
"""

from workbench.serving.rpc.listener import RpcServer

__all__ = ["RpcServer"]
