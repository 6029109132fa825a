"""A strict request/response server for one connection at a time.

server.py [CERT KEY]     with CERT and KEY: TLS
"""
import socket
import ssl
import sys

context = None
if len(sys.argv) > 1:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(sys.argv[1], sys.argv[2])

listener = socket.create_server(("127.0.0.1", 0))
print("listening at %s:%d" % listener.getsockname(), flush=True)
while True:
    connection, _ = listener.accept()
    connection.settimeout(20)
    if context:
        connection = context.wrap_socket(connection, server_side=True)
    rounds = 0
    while request := connection.recv(4096):
        connection.sendall(b"answer to " + request)
        rounds += 1
    connection.close()
    print("end of stream after", rounds, flush=True)
