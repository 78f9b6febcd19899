#!/usr/bin/env python3
"""serve.py NAME SCHEME DIR: serves the files below DIR from now on, in the background; NAME becomes the port in project.conf and
elements/, which is written to DIR.port too.

SCHEME: http; https (the certificate to trust is DIR.pem); git (git's own protocol; repositories below DIR).  Over http and
https, what is below /git/ is a repository below DIR, asked as git asks ("smart"), and /away/X redirects to /X.  As a
proxy it serves the same files for every host.  Requests are written to DIR.log.  Ends when DIR is gone, after five minutes at the latest.
"""
import functools
import glob
import http.server
import os
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time

LIFE_S = 300


class Handler(http.server.SimpleHTTPRequestHandler):
    def git(self):
        path, _, query = self.path[len("/git"):].partition("?")
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        env = dict(os.environ, GIT_PROJECT_ROOT=self.directory, GIT_HTTP_EXPORT_ALL="1", PATH_INFO=path, QUERY_STRING=query,
                   REQUEST_METHOD=self.command, CONTENT_TYPE=self.headers.get("Content-Type", ""), REMOTE_ADDR="127.0.0.1",
                   HTTP_CONTENT_ENCODING=self.headers.get("Content-Encoding", ""), CONTENT_LENGTH=str(len(body)),
                   GIT_PROTOCOL=self.headers.get("Git-Protocol", ""), GIT_CONFIG_GLOBAL="/dev/null")
        head, _, data = subprocess.run(["git", "http-backend"], input=body, env=env, capture_output=True,
                                       check=True).stdout.partition(b"\r\n\r\n")
        headers = dict(line.split(": ", 1) for line in head.decode().split("\r\n"))
        self.send_response(int(headers.pop("Status", "200").split()[0]))
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def do_GET(self):
        if self.path.startswith("http://"):
            self.path = "/" + self.path.split("/", 3)[3]
        if self.path.startswith("/git/"):
            self.git()
        elif self.path.startswith("/away/"):
            self.send_response(302)
            self.send_header("Location", self.path[len("/away"):])
            self.send_header("Content-Length", "0")
            self.end_headers()
        else:
            super().do_GET()

    def do_POST(self):
        self.git()

    def log_message(self, form, *args):
        with open(self.directory + ".log", "a", encoding="utf-8") as log:
            log.write(form % args + "\n")


def start(scheme, directory):
    if scheme == "git":
        with socket.socket() as probe:
            probe.bind(("localhost", 0))
            port = probe.getsockname()[1]
        daemon = subprocess.Popen(["git", "daemon", "--export-all", "--reuseaddr", "--listen=localhost", f"--port={port}",
                                   "--base-path=" + directory, directory], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                                  start_new_session=True)
        for _ in range(100):
            with socket.socket() as probe:
                if probe.connect_ex(("localhost", port)) == 0:
                    break
            time.sleep(0.1)
        return port, daemon.wait, lambda: os.killpg(daemon.pid, signal.SIGKILL)  # git and the daemon that it started
    server = http.server.ThreadingHTTPServer(("localhost", 0), functools.partial(Handler, directory=directory))
    if scheme == "https":
        key = directory + ".key"
        subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out", directory + ".pem",
                        "-days", "1", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"], check=True,
                       capture_output=True)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(directory + ".pem", key)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    return server.server_port, server.serve_forever, lambda: None


def main():
    name, scheme, directory = sys.argv[1], sys.argv[2], os.path.abspath(sys.argv[3])
    reader, writer = os.pipe()
    if os.fork():
        os.close(writer)
        port = os.read(reader, 100).decode()
        if not port:
            sys.exit("no server could be started")
        with open(directory + ".port", "w", encoding="utf-8") as file:
            file.write(port)
        for path in ["project.conf"] + glob.glob("elements/*"):
            with open(path, encoding="utf-8") as file:
                text = file.read()
            with open(path, "w", encoding="utf-8") as file:
                file.write(text.replace(name, port))
        return
    os.setsid()
    port, serve, stop = start(scheme, directory)
    os.write(writer, str(port).encode())
    for fd in 0, 1, 2, writer:
        os.dup2(os.open("/dev/null", os.O_RDWR), fd)

    def watch():
        end = time.monotonic() + LIFE_S
        while os.path.isdir(directory) and time.monotonic() < end:
            time.sleep(1)
        stop()
        os._exit(0)

    threading.Thread(target=watch, daemon=True).start()
    serve()


main()
