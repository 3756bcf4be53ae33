"""The same with a callback attached to the socket."""
import bagselectors as selectors
import socket


def accept_connection(server):
    print("About to accept.")
    server.accept()
    print("Accepted.")

# Set up the server
server = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
server.bind(("localhost", 7342))
server.listen()

# Set up the selectors "bag of sockets"
selector = selectors.DefaultSelector()
selector.register(server, selectors.EVENT_READ, accept_connection)

while True:
    events = selector.select()
    for key, _ in events:
        sock = key.fileobj
        callback = key.data
        callback(sock)
