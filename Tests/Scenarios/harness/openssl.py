"""OpenSSL's own client, by ctypes, for what Python's ssl does not offer: key updates, padded records, renegotiation.

It is between two memory BIOs, so that a test says when its bytes leave, and in what pieces.
"""

import ctypes
import hashlib
import hmac
import socket
import struct

_ssl = ctypes.CDLL("libssl.so.3")
_crypto = ctypes.CDLL("libcrypto.so.3")

_POINTER, _INT, _LONG, _SIZE = ctypes.c_void_p, ctypes.c_int, ctypes.c_long, ctypes.c_size_t
_BYTES = ctypes.c_char_p

_VERSIONS = {"1.2": 0x0303, "1.3": 0x0304}
_SET_MIN_VERSION, _SET_MAX_VERSION = 123, 124
_WANT_READ, _ZERO_RETURN, _SYSCALL = 2, 6, 5
_UPDATE_NOT_REQUESTED, _UPDATE_REQUESTED = 0, 1
_GCM_GET_TAG = 0x10
_HANDSHAKE = 22

RECORD_OVERHEAD = 21


def _declare(library, result, **functions):
    for name, arguments in functions.items():
        function = getattr(library, name)
        function.restype, function.argtypes = result, arguments


_declare(
    _ssl, _POINTER, TLS_client_method=[], SSL_CTX_new=[_POINTER], SSL_new=[_POINTER],
    SSL_get_session=[_POINTER])
_declare(
    _ssl, None, SSL_CTX_free=[_POINTER], SSL_free=[_POINTER], SSL_set_connect_state=[_POINTER],
    SSL_set_bio=[_POINTER, _POINTER, _POINTER])
_declare(_ssl, _LONG, SSL_CTX_ctrl=[_POINTER, _INT, _LONG, _POINTER])
_declare(
    _ssl, _INT, SSL_CTX_set_block_padding=[_POINTER, _SIZE],
    SSL_CTX_set_cipher_list=[_POINTER, _BYTES],
    SSL_do_handshake=[_POINTER], SSL_get_error=[_POINTER, _INT], SSL_key_update=[_POINTER, _INT],
    SSL_shutdown=[_POINTER],
    SSL_read=[_POINTER, _POINTER, _INT], SSL_write=[_POINTER, _BYTES, _INT])
_declare(
    _ssl, _SIZE, SSL_SESSION_get_master_key=[_POINTER, _POINTER, _SIZE],
    SSL_get_client_random=[_POINTER, _POINTER, _SIZE],
    SSL_get_server_random=[_POINTER, _POINTER, _SIZE])
_declare(
    _crypto, _POINTER, BIO_new=[_POINTER], BIO_s_mem=[], EVP_CIPHER_CTX_new=[],
    EVP_aes_128_gcm=[])
_declare(_crypto, None, EVP_CIPHER_CTX_free=[_POINTER], ERR_clear_error=[])
_declare(_crypto, _SIZE, BIO_ctrl_pending=[_POINTER])
_declare(
    _crypto, _INT, BIO_read=[_POINTER, _POINTER, _INT], BIO_write=[_POINTER, _BYTES, _INT],
    EVP_EncryptInit_ex=[_POINTER, _POINTER, _POINTER, _BYTES, _BYTES],
    EVP_EncryptUpdate=[_POINTER, _POINTER, _POINTER, _BYTES, _INT],
    EVP_EncryptFinal_ex=[_POINTER, _POINTER, _POINTER],
    EVP_CIPHER_CTX_ctrl=[_POINTER, _INT, _INT, _POINTER])


class TLSFailed(Exception):
    """OpenSSL took what came for an error or an end."""


class Session:
    """A client's TLS session that trusts everybody.

    `padding`: TLS 1.3 records have a multiple of so many bytes inside, and RECORD_OVERHEAD more outside.
    """

    def __init__(self, version: str = "1.3", padding: int = 0):
        context = _ssl.SSL_CTX_new(_ssl.TLS_client_method())
        for command in (_SET_MIN_VERSION, _SET_MAX_VERSION):
            assert _ssl.SSL_CTX_ctrl(context, command, _VERSIONS[version], None) == 1
        # By 1.2 records are made here: see `renegotiations`.
        assert _ssl.SSL_CTX_set_cipher_list(
            context, b"ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256") == 1
        if padding:
            assert _ssl.SSL_CTX_set_block_padding(context, padding) == 1
        self._ssl = _ssl.SSL_new(context)
        _ssl.SSL_CTX_free(context)
        self._incoming = _crypto.BIO_new(_crypto.BIO_s_mem())
        self._outgoing = _crypto.BIO_new(_crypto.BIO_s_mem())
        _ssl.SSL_set_bio(self._ssl, self._incoming, self._outgoing)
        _ssl.SSL_set_connect_state(self._ssl)
        self._records: _Records | None = None

    def __del__(self):
        if hasattr(self, "_ssl"):
            _ssl.SSL_free(self._ssl)

    def hello(self) -> bytes:
        """The client's first flight."""
        assert self._attempt(_ssl.SSL_do_handshake) is None
        return self.outgoing()

    def handshake(self, connection: socket.socket) -> bytes:
        """Takes the handshake to its end, and gives the client's last flight, which is still to be sent."""
        while self._attempt(_ssl.SSL_do_handshake) is None:
            connection.sendall(self.outgoing())
            self.receive(connection)
        return self.outgoing()

    def receive(self, connection: socket.socket):
        """Takes in what comes next."""
        data = connection.recv(65536)
        if not data:
            raise TLSFailed("the peer closed")
        assert _crypto.BIO_write(self._incoming, data, len(data)) == len(data)

    def outgoing(self) -> bytes:
        """What is to be sent."""
        count = _crypto.BIO_ctrl_pending(self._outgoing)
        if count == 0:
            return b""
        buffer = ctypes.create_string_buffer(count)
        assert _crypto.BIO_read(self._outgoing, buffer, count) == count
        return buffer.raw

    def sealed(self, data: bytes) -> bytes:
        """The records that carry `data`."""
        assert self._attempt(_ssl.SSL_write, data, len(data)) == len(data)
        return self.outgoing()

    def goodbye(self) -> bytes:
        """The close_notify; what the other side says may still be read."""
        assert _ssl.SSL_shutdown(self._ssl) == 0
        return self.outgoing()

    def read(self, connection: socket.socket) -> bytes:
        """Some of what the server says; b"" at its close_notify."""
        buffer = ctypes.create_string_buffer(65536)
        while (count := self._attempt(_ssl.SSL_read, buffer, len(buffer))) is None:
            self.receive(connection)
        return buffer.raw[:count]

    def key_updates(self, count: int, requested: bool = True) -> bytes:
        """So many KeyUpdates, a record each; each `requested` one is to be answered by another (RFC 8446 §4.6.3)."""
        kind = _UPDATE_REQUESTED if requested else _UPDATE_NOT_REQUESTED
        update, write, ssl = _ssl.SSL_key_update, _ssl.SSL_do_handshake, self._ssl
        for _ in range(count):
            assert update(ssl, kind) == 1 and write(ssl) == 1
        return self.outgoing()

    def renegotiations(self, count: int, size: int) -> bytes:
        """So many ClientHellos, a record of `size` bytes each, behind a TLS 1.2 handshake and others of them alone.

        OpenSSL's client sends one and waits, so these are made by hand; a server that refuses looks no further than
        at their kind.
        """
        self._records = self._records or _Records(*self._client_write_key())
        length = size - _Records.OVERHEAD - 4
        hello = b"\x01" + length.to_bytes(3, "big") + bytes(length)
        return b"".join(self._records.record(_HANDSHAKE, hello) for _ in range(count))

    def _client_write_key(self) -> tuple[bytes, bytes]:
        buffer = ctypes.create_string_buffer(48)
        session = _ssl.SSL_get_session(self._ssl)
        assert _ssl.SSL_SESSION_get_master_key(session, buffer, 48) == 48
        master, randoms = buffer.raw, b""
        for side in (_ssl.SSL_get_server_random, _ssl.SSL_get_client_random):
            assert side(self._ssl, buffer, 32) == 32
            randoms += buffer.raw[:32]
        # RFC 5246 §5 and §6.3: the keys of client and server, then their salts.
        seed, block, a = b"key expansion" + randoms, b"", b"key expansion" + randoms
        while len(block) < 40:
            a = hmac.digest(master, a, hashlib.sha256)
            block += hmac.digest(master, a + seed, hashlib.sha256)
        return block[:16], block[32:36]

    def _attempt(self, operation, *arguments) -> int | None:
        """What the operation gives; None where it wants more from the peer."""
        _crypto.ERR_clear_error()
        result = operation(self._ssl, *arguments)
        if result > 0:
            return result
        error = _ssl.SSL_get_error(self._ssl, result)
        if error == _WANT_READ:
            return None
        if error == _ZERO_RETURN:
            return 0
        raise TLSFailed(f"SSL_get_error: {error}")


class _Records:
    """Records of TLS 1.2 under AES-128-GCM (RFC 5288), with a client's key."""

    OVERHEAD = 5 + 8 + 16  # header, sequence number, tag

    def __init__(self, key: bytes, salt: bytes):
        self._salt = salt
        self._number = 1  # Finished was number 0.
        self._cipher = _crypto.EVP_CIPHER_CTX_new()
        assert _crypto.EVP_EncryptInit_ex(
            self._cipher, _crypto.EVP_aes_128_gcm(), None, key, None) == 1

    def __del__(self):
        _crypto.EVP_CIPHER_CTX_free(self._cipher)

    def record(self, kind: int, plain: bytes) -> bytes:
        """The next one."""
        cipher, sequence = self._cipher, struct.pack("!Q", self._number)
        self._number += 1
        done, sealed = _INT(), ctypes.create_string_buffer(len(plain))
        tag = ctypes.create_string_buffer(16)
        about = sequence + struct.pack("!BHH", kind, 0x0303, len(plain))
        ok = _crypto.EVP_EncryptInit_ex(cipher, None, None, None, self._salt + sequence) == 1
        ok &= _crypto.EVP_EncryptUpdate(cipher, None, ctypes.byref(done), about, len(about)) == 1
        ok &= _crypto.EVP_EncryptUpdate(cipher, sealed, ctypes.byref(done), plain, len(plain)) == 1
        ok &= _crypto.EVP_EncryptFinal_ex(cipher, tag, ctypes.byref(done)) == 1
        ok &= _crypto.EVP_CIPHER_CTX_ctrl(cipher, _GCM_GET_TAG, 16, tag) == 1
        assert ok
        body = sequence + sealed.raw + tag.raw
        return struct.pack("!BHH", kind, 0x0303, len(body)) + body
