"""A strict request/response client: each request waits for one answer.

client.py HOST PORT ROUNDS [CAFILE]     with CAFILE: TLS, fully verified
"""
import socket
import ssl
import sys

host, port, rounds = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])

connection = socket.create_connection((host, port), timeout=20)
if len(sys.argv) > 4:
    context = ssl.create_default_context(cafile=sys.argv[4])
    assert context.check_hostname and context.verify_mode == ssl.CERT_REQUIRED
    connection = context.wrap_socket(connection, server_hostname=host)
    print("tls", connection.version())

for number in range(rounds):
    request = b"request %d" % number
    connection.sendall(request)
    answer = connection.recv(4096)
    if answer != b"answer to " + request:
        sys.exit("got %r" % answer)

# Like most scripts, it closes without a close_notify.
connection.close()
print("rounds", rounds)
