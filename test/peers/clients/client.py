"""Calls peer.v1.KindsService with grpcio, as the lines of standard input say: see child-client.ts."""

import base64
import json
import sys
import threading

import grpc

SERVICE = "/peer.v1.KindsService/"
lock = threading.Lock()


def value(metadata, name):
    return next((each.value for each in metadata or () if each.key == name), "")


def begin(channel, order):
    method = order["method"]
    requests = [base64.b64decode(each) for each in order["requests"]]
    kind = {"Unary": "unary_unary", "Server": "unary_stream", "Client": "stream_unary", "Bidi": "stream_stream"}
    function = getattr(channel, kind[method])(SERVICE + method)
    argument = iter(requests) if method in ("Client", "Bidi") else requests[0]
    options = {"metadata": (("x-request-tag", order["tag"]),), "timeout": order["timeout_ms"] / 1000 or None}
    return (function if streams(order) else function.future)(argument, **options)


def streams(order):
    return order["method"] in ("Server", "Bidi")


def finish(call, order):
    responses = []
    try:
        for response in call if streams(order) else iter([call.result()]):
            responses.append(base64.b64encode(response).decode())
            if len(responses) == order["cancel_after"]:
                call.cancel()
    except (grpc.RpcError, grpc.FutureCancelledError):
        pass
    code = call.code().value[0]
    details = value(call.trailing_metadata(), "grpc-status-details-bin")
    outcome = {
        "id": order["id"],
        "responses": responses,
        "code": code,
        "message": "" if code == 0 else call.details(),
        "details": base64.b64encode(details).decode() if details else "",
        "initial": value(call.initial_metadata(), "x-initial"),
        "trailing": value(call.trailing_metadata(), "x-trailing"),
    }
    with lock:
        print(json.dumps(outcome), flush=True)


def main():
    address, authority = sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else ""
    if authority:
        with open(authority, "rb") as file:
            channel = grpc.secure_channel(address, grpc.ssl_channel_credentials(file.read()))
    else:
        channel = grpc.insecure_channel(address)
    calls = {}
    for line in sys.stdin:
        order = json.loads(line)
        if "cancel" in order:
            calls[order["cancel"]].cancel()
        else:
            call = calls[order["id"]] = begin(channel, order)
            threading.Thread(target=finish, args=(call, order), daemon=True).start()
    channel.close()


main()
