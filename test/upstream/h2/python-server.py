"""A gRPC server for the tests: prints its port and answers until its standard input is closed.

/test.Service/Unary echoes, with metadata and gzip when asked; /test.Service/Stream echoes each message three times.
"""
import sys
from concurrent import futures

import grpc


def unary(request, context):
    sent = dict(context.invocation_metadata())
    if sent.get("x-fail"):
        context.set_trailing_metadata((("grpc-status-details-bin", b"\x08\x05"),))
        context.abort(grpc.StatusCode.NOT_FOUND, "nicht da: t\u00e4glich")
    if sent.get("x-gzip"):
        context.set_compression(grpc.Compression.Gzip)
    context.send_initial_metadata((("x-head", "h"), ("x-head-bin", sent.get("x-raw-bin", b""))))
    context.set_trailing_metadata((("x-tail", "t"),))
    return request


def stream(requests, context):
    for request in requests:
        for _ in range(3):
            yield request


handlers = {
    "Unary": grpc.unary_unary_rpc_method_handler(unary),
    "Stream": grpc.stream_stream_rpc_method_handler(stream),
}
server = grpc.server(
    futures.ThreadPoolExecutor(4),
    options=[("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)],
)
server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("test.Service", handlers),))
print(server.add_insecure_port("127.0.0.1:0"), flush=True)
server.start()
sys.stdin.read()
server.stop(0)
