"""Joins the bus from Python: JSON objects, each ended by a NUL byte. The standard library is enough.

Start hello/ben.js first. This asks him, tells whoever listens, answers one question, and leaves:
    busybody publish python:add 1 2 --address /tmp/busybody-example.sock
"""
import itertools
import json
import socket
import sys


class Node:
    def __init__(self, path, name):
        self.name, self.ids, self.unread = name, itertools.count(1), b""
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.connect(path)
        self.ask("IDENT", None)

    def send(self, method, data):
        message = {"id": f"{self.name}-{next(self.ids)}", "method": method, "data": data, "nodeName": self.name}
        self.socket.sendall(json.dumps(message).encode() + b"\0")
        return message["id"]

    def receive(self, method):
        while True:  # A real client would keep the other messages instead of skipping them.
            while b"\0" not in self.unread:
                self.unread += self.socket.recv(65536) or sys.exit("the bus was closed")
            text, self.unread = self.unread.split(b"\0", 1)
            message = json.loads(text)
            if message["method"] == method:
                return message["data"]

    def ask(self, method, data):
        id = self.send(method, data)
        while True:
            answered, values = self.receive("ACK")
            if answered == id:
                return values  # [error, value], as the callbacks of Node.js


node = Node(sys.argv[1] if len(sys.argv) > 1 else "/tmp/busybody-example.sock", "python")
print(node.ask("PUBLISH", ["ben", "hello", ["Python"]])[1])
node.send("BROADCAST", ["news", "Python was here"])

print("waiting for python:add", flush=True)
asker, question, event, numbers = node.receive("PUBLISH")
node.send("ACK", [asker, question, [None, sum(numbers)]])
node.ask("LEAVE", None)
